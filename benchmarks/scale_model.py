"""What the six published pairs cost on more cores than one machine has: inputs in one table, arithmetic, no measuring.

`benchmarks.scale` measures the inputs that this machine can provide and prints the tables of docs/scale.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

FLEET_STEPS_PER_SECOND: dict[str, float] = {
    # `benchmarks.training` with 20 seeds, compilation included (2026-11-28, docs/performance.md).
    "ppo": 119_000.0,
    "a2c": 148_000.0,
    "dqn": 5_200.0,  # network of 256 x 256
}
"""On one core. An environment that is stepped on the host costs extra time (`Pair.host_steps_per_second`)."""

EUROS_PER_CORE_HOUR = 0.04
"""Of a rented core on demand; spot machines cost about a third of it."""

BUSY = 0.95
"""Share of the cores' time that tasks use (measured on one machine with 50 ms tasks: 0.93 to 0.97)."""

REQUESTS_PER_SECOND_S3 = 1_000.0
"""32 requests at a time of about 30 ms each; one prefix of a bucket takes more than 3,000/s."""

HIGHER_ORDER_MUTANTS = 12
"""Assumed per pair: which pairs are candidates is known only when the kill matrix is."""

BOUNDARY_ROUNDS = 9
"""Rounds of a boundary search, one after another; the points of a round are requested together."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One environment with one algorithm at the published size.

    Attributes:
        steps: of one training.
        agents, evaluations: upper bounds of the plan, higher order included.
        populations: healthy, first and higher order; each is an MLflow run.
        searches: boundary searches, one for each kill test that searches.
        train_seconds, evaluation_seconds: of one agent with Stable-Baselines3 on one core, measured.
        host_steps_per_second: of an environment that the fleet cannot compile; None where it can.
    """

    name: str
    algorithm: str
    steps: int
    seeds: int
    agents: int
    evaluations: int
    populations: int
    searches: int
    train_seconds: float
    evaluation_seconds: float
    host_steps_per_second: float | None

    def train_core_seconds(self, engine: str) -> float:
        """Of one agent."""
        if engine == "sb3":
            return self.train_seconds
        host = self.steps / self.host_steps_per_second if self.host_steps_per_second else 0.0
        return self.steps / FLEET_STEPS_PER_SECOND[self.algorithm] + host


@dataclass(frozen=True, slots=True)
class Rates:
    """What the driver and its surroundings manage, measured.

    Attributes:
        tasks: blocks per second through the executor, each with a saved item.
        requests: to the results store, per second.
        commits: of the service's state store, one event each, by one writer and by eight, per second.
        tracking_seconds: per MLflow run.
        block_bytes, report_bytes: of a task's argument and answer.
        agent_bytes: of a trained agent in the store (checkpoint and record).
        item_bytes: memory of the driver per work item.
    """

    tasks: float
    requests: float
    commits: float
    commits_of_eight: float
    tracking_seconds: float
    block_bytes: float
    report_bytes: float
    agent_bytes: float
    item_bytes: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """All six pairs, as six campaigns at once, on so many cores.

    Attributes:
        wall_hours: the longest of cores, chain and driver.
        cores_hours: all work divided by the cores.
        chain_hours: what cannot be done at once: a training, the search's rounds, a higher-order training.
        driver_hours: one driver's tasks, requests and tracking, one after another.
        store_gigabytes, object_store_megabytes: written to the results store; carried between driver and workers.
    """

    engine: str
    cores: int
    core_hours: float
    euros: float
    wall_hours: float
    cores_hours: float
    chain_hours: float
    driver_hours: float
    tasks: int
    tasks_per_second: float
    requests_per_second: float
    store_gigabytes: float
    object_store_megabytes: float


def predict(pairs: list[Pair], rates: Rates, engine: str, cores: int) -> Prediction:
    """Cost and time of the six campaigns together."""
    core_seconds = sum(pair.agents * pair.train_core_seconds(engine) for pair in pairs)
    core_seconds += sum(pair.evaluations * pair.evaluation_seconds for pair in pairs)
    chain = max(_chain(pair, engine, cores // len(pairs) or 1) for pair in pairs)
    tasks = sum(_tasks(pair, engine, cores // len(pairs) or 1) for pair in pairs)
    requests = sum(4 * pair.agents + 5 * pair.evaluations for pair in pairs)
    driver = max(_driver(pair, rates, engine, cores // len(pairs) or 1) for pair in pairs)
    wall = max(core_seconds / (cores * BUSY), chain, driver)
    return Prediction(
        engine=engine,
        cores=cores,
        core_hours=core_seconds / 3600,
        euros=cores * wall / 3600 * EUROS_PER_CORE_HOUR,
        wall_hours=wall / 3600,
        cores_hours=core_seconds / (cores * BUSY) / 3600,
        chain_hours=chain / 3600,
        driver_hours=driver / 3600,
        tasks=tasks,
        tasks_per_second=tasks / wall,
        requests_per_second=requests / wall,
        store_gigabytes=sum(pair.agents for pair in pairs) * rates.agent_bytes / 1e9,
        object_store_megabytes=tasks * (rates.block_bytes + rates.report_bytes) / 1e6,
    )


def _together(pair: Pair, engine: str, cores: int) -> int:
    """Agents of a training task: the fleet's blocks are shared out where there are more cores than blocks."""
    return 1 if engine == "sb3" else max(1, min(pair.seeds, pair.agents // cores))


def _tasks(pair: Pair, engine: str, cores: int) -> int:
    """Training blocks, and evaluations up to eight in a task."""
    size = max(1, min(8, pair.evaluations // (4 * cores)))
    return math.ceil(pair.agents / _together(pair, engine, cores)) + math.ceil(pair.evaluations / size)


def _chain(pair: Pair, engine: str, cores: int) -> float:
    """Seconds that no core more would save: two trainings, then every round of every search by the slowest task."""
    train = _together(pair, engine, cores) * pair.train_core_seconds(engine)
    return 2 * train + (pair.searches * BOUNDARY_ROUNDS + 4) * pair.evaluation_seconds


def _driver(pair: Pair, rates: Rates, engine: str, cores: int) -> float:
    """Seconds of one campaign's driver."""
    requests = 2 * pair.agents + 3 * pair.evaluations
    return (
        _tasks(pair, engine, cores) / rates.tasks
        + requests / min(rates.requests, REQUESTS_PER_SECOND_S3)
        + pair.populations * rates.tracking_seconds
    )


@dataclass(frozen=True, slots=True)
class ServiceNode:
    """Inputs of what one node of the scheduling service holds; measured on 2 cores, see docs/scale.md."""

    cores: int = 8
    gibibytes: float = 16.0
    base_gibibytes: float = 1.5
    own_process_mebibytes: float = 62.0
    own_process_cores: float = 0.004
    torch_process_mebibytes: float = 180.0
    in_shard_mebibytes: float = 0.5
    recommend_per_core_second: float = 280.0
    reward_per_core_second: float = 425.0
    idle_share: float = 0.2


@dataclass(frozen=True, slots=True)
class ServiceCapacity:
    """What a node of that size holds and answers."""

    own_processes: int
    in_shards: int
    recommendations_per_second: float
    rewards_per_second: float


def capacity(node: ServiceNode) -> ServiceCapacity:
    """Agents by memory and by the cores that idle processes may take; requests by the cores that are left."""
    free = (0.95 * node.gibibytes - node.base_gibibytes) * 1024
    own = min(free / node.own_process_mebibytes, node.idle_share * node.cores / node.own_process_cores)
    shards = node.cores
    left = node.cores * (1 - node.idle_share)
    return ServiceCapacity(
        int(own),
        int((free - shards * node.own_process_mebibytes) / node.in_shard_mebibytes),
        left * node.recommend_per_core_second,
        left * node.reward_per_core_second,
    )
