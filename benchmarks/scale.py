"""How far campaigns and the service go: rates measured on this machine, then cost and time on 2, 64 and 1,000 cores.

    python -m benchmarks.scale [--quick] [--store s3://...] [--state postgresql://...] [--format table|json]

`--quick` takes the cost of trainings and evaluations as they were measured last, and measures the rest. What is
computed, and from which inputs, is in `benchmarks.scale_model`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import pickle
import tempfile
import time
import tracemalloc
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

from agents.deeprl.engines.base import AgentSelection, TrainedAgent
from agents.deeprl.recipe import PolicySite, TrainingRecipe
from benchmarks.scale_model import HIGHER_ORDER_MUTANTS, Pair, Prediction, Rates, ServiceNode, capacity, predict
from envsearch.registry import make
from envsearch.spec import EnvironmentSpec
from orchestration.campaign.calibration import Costs, measured
from orchestration.campaign.context import RunContext
from orchestration.campaign.plan import plan_campaign
from orchestration.campaign.spec.campaign import ResolvedCampaign
from orchestration.campaign.spec.loading import load_spec
from orchestration.campaign.spec.resolving import resolve
from orchestration.execution.block_progress import ProgressCallback
from orchestration.execution.executors.ray_tasks import RayExecutor
from orchestration.execution.results import ResultStore
from orchestration.execution.tasks import TaskFunctions
from orchestration.execution.work import (
    AgentKey,
    BlockReport,
    EvaluationKey,
    JobOutcome,
    TrainBlock,
    WorkBlock,
    item_addresses,
)
from orchestration.runtime.progress import Progress
from orchestration.service.store.rows import AgentCommit, EventRow
from orchestration.service.store.sql import SqlStore

CORES = (2, 64, 1000)
PAIRS = tuple(f"{env}_{algorithm}" for env in ("cartpole", "lunarlander") for algorithm in ("ppo", "a2c", "dqn"))
ITEMS = 100_000
CHECKPOINT_BYTES = 150_000
"""Of a PPO policy of 64 x 64 with its optimizer; DQN's 256 x 256 are about 1.1 MB."""

LAST_COSTS: dict[str, Costs] = {
    "cartpole_ppo": Costs(82.5, 0.115, "recorded"),
    "cartpole_a2c": Costs(2335.0, 0.180, "recorded"),
    "cartpole_dqn": Costs(41.0, 0.080, "recorded"),
    "lunarlander_ppo": Costs(2147.5, 1.324, "recorded"),
    "lunarlander_a2c": Costs(1368.8, 0.458, "recorded"),
    "lunarlander_dqn": Costs(222.0, 0.384, "recorded"),
}
"""Seconds of one training and one evaluation with Stable-Baselines3: 2 loaded cores, no GPU, 2026-11-20."""


class InstantEngine:
    """Trains nothing: what is left is the cost of everything around a training."""

    name = "instant"

    def objection(self, recipe: TrainingRecipe) -> str | None:
        """It takes all."""
        return None

    def train(
        self,
        recipe: TrainingRecipe,
        seeds: Sequence[int],
        selection: AgentSelection | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[TrainedAgent]:
        """An agent that is all zeros."""
        checkpoint = bytes(CHECKPOINT_BYTES)
        digest = hashlib.sha256(checkpoint).hexdigest()
        return [TrainedAgent(seed, checkpoint, digest, (10,), (1.0,), recipe.total_steps, 0.0) for seed in seeds]


def instant_engine(_name: str) -> InstantEngine:
    """For `TaskFunctions`."""
    return InstantEngine()


class SimulatedExecutor:
    """Says at once that a block is done, in the store of `SimulatedStore`; draws one block at a time."""

    name = "simulated"
    slots = 1000

    def __init__(self, failing: bool = False) -> None:
        self._failing = failing

    def run(
        self, blocks: Iterable[WorkBlock], store_url: str, progress: ProgressCallback | None = None
    ) -> Iterator[BlockReport]:
        """See `Executor.run`."""
        for block in blocks:
            if self._failing:
                failures = tuple(
                    (address, "Traceback\n" + "  line\n" * 200 + "Error: x") for address in item_addresses(block)
                )
                yield BlockReport(block, JobOutcome.FAILED, 0.0, failures)
            else:
                yield BlockReport(block, JobOutcome.DONE, 0.0)

    def close(self) -> None:
        """Nothing is held."""


def many_items(count: int) -> list[TrainBlock]:
    """Blocks of one agent each."""
    recipe = TrainingRecipe(EnvironmentSpec("CartPole-v1"), "ppo", (), 100_000, PolicySite("Tanh", "Adam"))
    return [TrainBlock((AgentKey(recipe, seed, "sb3"),)) for seed in range(count)]


def driver_growth(count: int, failing: bool = False) -> tuple[float, float]:
    """Bytes per work item: of the plan, and of what running it adds at most."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        blocks = many_items(count)
        planned = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        with tempfile.TemporaryDirectory() as folder, Progress("silent") as progress:
            context = RunContext(SimulatedExecutor(failing), ResultStore(folder), progress)
            context.run("train", blocks)
            peak = tracemalloc.get_traced_memory()[1]
            assert context.computed + len(context.failures) == count
        return (planned - before) / count, (peak - planned) / count
    finally:
        tracemalloc.stop()


def campaign(name: str) -> ResolvedCampaign:
    """One of the six pairs, for Stable-Baselines3: the engine that can be timed for a second."""
    return replace(resolve(load_spec(name), name), engine="sb3")


def pair(name: str, quick: bool) -> Pair:
    """A pair's plan and costs."""
    resolved = campaign(name)
    costs = LAST_COSTS[name] if quick else measured(resolved)
    with tempfile.TemporaryDirectory() as folder:
        phases = plan_campaign(resolved, ResultStore(folder), costs, 2).phases
    points = next(phase.items for phase in phases if phase.phase == "kill matrix") // (
        len(resolved.seeds) * len(resolved.mutants)
    )
    above = HIGHER_ORDER_MUTANTS * len(resolved.seeds)
    environment, _, algorithm = name.partition("_")
    return Pair(
        name=name,
        algorithm=algorithm,
        steps=resolved.healthy.total_steps,
        seeds=len(resolved.seeds),
        agents=sum(phase.items for phase in phases if phase.phase == "train") + above,
        evaluations=sum(phase.items for phase in phases if phase.phase != "train") + above * (points + 1),
        populations=1 + len(resolved.mutants) + HIGHER_ORDER_MUTANTS,
        searches=len(resolved.boundary.tests),
        train_seconds=costs.train,
        evaluation_seconds=costs.evaluation,
        host_steps_per_second=None if environment == "cartpole" else _steps_per_second(resolved.healthy.environment),
    )


def _steps_per_second(spec: EnvironmentSpec) -> float:
    """Of the environment alone, with one action."""
    env = make(spec)
    env.reset(seed=0)
    steps, started = 0, time.perf_counter()
    while time.perf_counter() < started + 1.0:
        for _ in range(100):
            _, _, terminated, truncated, _ = env.step(0)
            if terminated or truncated:
                env.reset()
        steps += 100
    env.close()
    return steps / (time.perf_counter() - started)


def rates(store: str, state: str, seconds: float = 5.0) -> Rates:
    """What this machine's scheduler, store and tracking manage."""
    with tempfile.TemporaryDirectory() as folder:
        url = store or folder
        results = ResultStore(url)
        tasks = _tasks_per_second(url, seconds)
        keys = _evaluation_keys(600)
        started = time.perf_counter()
        for key in keys[:200]:
            results.save_evaluation(key, (1.0,) * key.episodes, 0.1)
        results.evaluated(keys)
        results.evaluations(keys[:200])
        requests = (200 * 2 + 600 + 200 * 2) / (time.perf_counter() - started)
        tracking = _tracking_seconds(Path(folder))
        commits = [_commits_per_second(state or f"{folder}/service.db", writers) for writers in (1, 8)]
    block = many_items(1)[0]
    report = BlockReport(block, JobOutcome.DONE, 1.0)
    plan, added = driver_growth(20_000)
    return Rates(
        tasks=tasks,
        requests=requests,
        commits=commits[0],
        commits_of_eight=commits[1],
        tracking_seconds=tracking,
        block_bytes=len(pickle.dumps(block)),
        report_bytes=len(pickle.dumps(report)),
        agent_bytes=CHECKPOINT_BYTES + 30_000,
        item_bytes=plan + added,
    )


def _evaluation_keys(count: int) -> list[EvaluationKey]:
    return [EvaluationKey(block.agents[0], EnvironmentSpec("CartPole-v1")) for block in many_items(count)]


def _tasks_per_second(url: str, seconds: float) -> float:
    """Blocks through the executor, each an agent that is saved."""
    executor = RayExecutor(cpus=2, functions=TaskFunctions(engine="benchmarks.scale:instant_engine"))
    try:
        blocks = many_items(100_000)
        reports = executor.run(blocks, url)
        for _ in range(200):  # workers start and import what they need
            next(reports)
        done, started = 0, time.perf_counter()
        while time.perf_counter() < started + seconds:
            assert next(reports).outcome is JobOutcome.DONE
            done += 1
        rate = done / (time.perf_counter() - started)
        reports.close()  # type: ignore[attr-defined]
    finally:
        executor.close()
    return rate


def _commits_per_second(url: str, writers: int, seconds: float = 3.0) -> float:
    """Events that this many owners commit one by one."""
    store = SqlStore(url)
    done = [0] * writers
    end = time.perf_counter() + seconds

    def work(number: int) -> None:
        name = f"scale-{uuid.uuid4().hex}"
        store.create_agent(name, "{}", "", 0.0)
        row = store.take_over(name)
        assert row is not None
        while time.perf_counter() < end:
            seq = done[number] + 2
            event = EventRow(row.id, seq, "results", "e", 0, 0.0, bytes(500))
            store.commit([AgentCommit(row.id, row.owner_epoch, seq, 0, 0, 0.0, "{}", "", new_events=[event])])
            done[number] += 1
        store.delete_agent(name)

    with ThreadPoolExecutor(writers) as threads:
        list(threads.map(work, range(writers)))
    store.close()
    return sum(done) / seconds


def _tracking_seconds(folder: Path) -> float:
    """Of a run with 10 parameters and 100 metrics in an embedded database."""
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    from mlflow.entities import Metric, Param
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.create_experiment("scale", artifact_location=str(folder / "artifacts"))
    metrics = [Metric(f"m{number}", 1.0, 0, 0) for number in range(100)]
    params = [Param(f"p{number}", "x") for number in range(10)]
    started = time.perf_counter()
    for _ in range(20):
        run = client.create_run(experiment)
        client.log_batch(run.info.run_id, metrics, params)
        client.set_terminated(run.info.run_id)
    return (time.perf_counter() - started) / 20


def _table(rows: list[dict[str, object]]) -> str:
    names = list(rows[0])
    lines = [f"| {' | '.join(names)} |", "|" + " --- |" * len(names)]
    for row in rows:
        cells = [
            f"{value:.3g}"
            if isinstance(value, float) and value < 1000
            else f"{value:,.0f}"
            if isinstance(value, float)
            else str(value)
            for value in row.values()
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, compute, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="take the recorded costs of trainings and evaluations")
    parser.add_argument("--store", default="", help="URL of the results store to measure (default: a local folder)")
    parser.add_argument("--state", default="", help="URL of the service's state store to measure (default: SQLite)")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    pairs = [pair(name, arguments.quick) for name in PAIRS]
    measured_rates = rates(arguments.store, arguments.state)
    predictions: list[Prediction] = [
        predict(pairs, measured_rates, engine, cores) for engine in ("sb3", "fleet") for cores in CORES
    ]
    plan, added = driver_growth(ITEMS)
    service = {"node": asdict(ServiceNode()), "capacity": asdict(capacity(ServiceNode()))}
    driver = {"items": ITEMS, "plan_bytes_per_item": plan, "bytes_beside_the_plan_per_item": added}
    report = {
        "pairs": [asdict(entry) for entry in pairs],
        "rates": [asdict(measured_rates)],
        "predictions": [asdict(entry) for entry in predictions],
        "driver": [driver],
        "service": [service["capacity"]],
    }
    if arguments.format == "json":
        print(json.dumps(report, indent=1))
    else:
        print("\n\n".join(f"{name}\n\n{_table(rows)}" for name, rows in report.items()))


if __name__ == "__main__":
    main()
