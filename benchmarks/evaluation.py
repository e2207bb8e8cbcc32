"""Fleet evaluation against Stable-Baselines3's `evaluate_policy`, agent by agent, on one core with one thread.

    python -m benchmarks.evaluation --environment CartPole-v1 --agents 20 --episodes 10 [--format json|table]

Both sides evaluate the same briefly trained agents, already in memory, on the same episode seeds, and take turns; the
median of the pairs' ratios counts. The fleet's programs are compiled before, its environments are built while the
clock runs; the library's are built before. For an environment that is stepped on the host the limit is its own step:
the same episodes are replayed from their recorded actions without any policy.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import gymnasium
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.evaluation import evaluate_policy

from agents.deeprl.checkpoint import from_bytes
from agents.deeprl.engines.base import AgentSelection
from agents.deeprl.engines.fleet.evaluation import SavedAgent, evaluate_together, read
from agents.deeprl.engines.registry import engine
from agents.deeprl.presets import preset
from agents.deeprl.recipe import TrainingRecipe
from agents.deeprl.threads import one_thread
from envsearch.registry import environment, initial_spec, make
from envsearch.spec import EnvironmentSpec

SEED = 420
TRAIN_STEPS = {"fleet": 60_000, "sb3": 2_000}
"""Steps of each agent's training by default; sb3 trains where the fleet does not."""
REPLAYED_AGENTS = 3

Returns = list[tuple[float, ...]]
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured; seconds are medians.

    Attributes:
        trained: engine and steps of the agents that were evaluated.
        steps: environment steps of one side's run.
        differing_episodes: whose returns are not the same on both sides (to 1e-3: the library keeps rewards as
            float32).
        fleet_load_milliseconds, sb3_load_milliseconds: of one agent from its zip file; not part of the ratio.
        environment_seconds: of the same number of steps without any policy (None: compiled, so no such step exists).
        share_of_limit: environment_seconds / fleet_seconds.
        cpu_ratio: the same of the processor's seconds, which a busy machine disturbs less.
        ratio: median over the pairs of sb3's seconds / the fleet's seconds.
    """

    environment: str
    algorithm: str
    agents: int
    episodes: int
    pairs: int
    trained: str
    steps: int
    mean_return: float
    differing_episodes: int
    sb3_seconds: float
    fleet_seconds: float
    sb3_steps_per_second: float
    fleet_steps_per_second: float
    sb3_load_milliseconds: float
    fleet_load_milliseconds: float
    environment_seconds: float | None
    share_of_limit: float | None
    ratios: tuple[float, ...]
    cpu_ratio: float
    ratio: float


class SeededResets(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Episode e is reset with seed + e, whoever calls reset; counts steps."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.episode, self.steps = 0, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.episode += 1
        return self.env.reset(seed=SEED + self.episode - 1, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self.steps += 1
        return self.env.step(action)


def trained(recipe: TrainingRecipe, agents: int, steps: int | None) -> tuple[list[SavedAgent], str]:
    """Briefly trained agents, so that their episodes have lengths as in practice."""
    fleet = engine("fleet")
    chosen = fleet if fleet.objection(recipe) is None else engine("sb3")
    budget = steps or TRAIN_STEPS[chosen.name]
    short = recipe.replace(total_steps=budget)
    agents_trained = chosen.train(short, list(range(agents)), AgentSelection())
    saved = [SavedAgent(agent.checkpoint, recipe.algorithm, recipe.policy) for agent in agents_trained]
    return saved, f"{chosen.name}, {budget} steps"


Seconds = tuple[float, float]
"""By the clock, and of the processor."""


def now() -> Seconds:
    """Both clocks."""
    return time.perf_counter(), time.process_time()


def since(start: Seconds) -> Seconds:
    """Both clocks' seconds since then."""
    return time.perf_counter() - start[0], time.process_time() - start[1]


def by_library(models: Sequence[BaseAlgorithm], place: EnvironmentSpec, episodes: int) -> tuple[Returns, Seconds, int]:
    """Returns, seconds and environment steps of `evaluate_policy` for one agent after another."""
    envs = [SeededResets(make(place)) for _ in models]
    returns: Returns = []
    started = now()
    for model, env in zip(models, envs, strict=True):
        rewards, _ = evaluate_policy(model, env, episodes, return_episode_rewards=True, warn=False)
        assert isinstance(rewards, list)
        returns.append(tuple(rewards))
    seconds = since(started)
    return returns, seconds, sum(env.steps for env in envs)


def by_fleet(agents: Sequence[SavedAgent], place: EnvironmentSpec, episodes: int) -> tuple[Returns, Seconds]:
    """Returns and seconds of one batch."""
    started = now()
    outcomes = evaluate_together([(agent, place) for agent in agents], episodes, SEED)
    seconds = since(started)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, tuple)], seconds


def step_seconds(models: Sequence[BaseAlgorithm], place: EnvironmentSpec, episodes: int) -> float:
    """Seconds per step of the environment, resets included, on the agents' own episodes."""
    recorded: list[tuple[int, list[Any]]] = []
    env = make(place)
    for model in models:
        for episode in range(episodes):
            observation, _ = env.reset(seed=SEED + episode)
            actions, over = [], False
            while not over:
                action, _ = model.predict(observation, deterministic=True)
                observation, _, terminated, truncated, _ = env.step(action)
                actions.append(action)
                over = terminated or truncated
            recorded.append((SEED + episode, [int(action) for action in actions]))
    started = time.perf_counter()
    for seed, actions in recorded:
        env.reset(seed=seed)
        for action in actions:
            env.step(action)
    seconds = time.perf_counter() - started
    return seconds / sum(len(actions) for _, actions in recorded)


def load_milliseconds(agents: Sequence[SavedAgent]) -> tuple[float, float]:
    """(library, fleet) milliseconds per agent."""
    started = time.perf_counter()
    for agent in agents:
        from_bytes(agent.checkpoint, agent.algorithm)
    middle = time.perf_counter()
    for agent in agents:
        read.__wrapped__(agent)
    return 1e3 * (middle - started) / len(agents), 1e3 * (time.perf_counter() - middle) / len(agents)


def differing(ours: Returns, theirs: Returns) -> int:
    """Episodes whose returns differ."""
    pairs = zip((value for row in ours for value in row), (value for row in theirs for value in row), strict=True)
    return sum(bool(abs(first - second) > 1e-3) for first, second in pairs)


def measure(
    name: str, algorithm: str, agents: int, episodes: int, pairs: int, steps: int | None, report: Report
) -> Result:
    """Everything, on this process's one core."""
    definition = environment(name)
    place = initial_spec(definition)
    report("training")
    saved, how = trained(preset(definition.name, algorithm).recipe(place), agents, steps)
    models = [from_bytes(agent.checkpoint, algorithm) for agent in saved]
    loads = load_milliseconds(saved)
    by_fleet(saved, place, episodes)
    rows = []
    for pair in range(pairs):
        if pair % 2:
            ours, fast = by_fleet(saved, place, episodes)
            theirs, slow, done = by_library(models, place, episodes)
        else:
            theirs, slow, done = by_library(models, place, episodes)
            ours, fast = by_fleet(saved, place, episodes)
        rows.append((*slow, *fast))
        report(f"[{pair + 1}/{pairs}] sb3 {slow[0]:.2f} s, fleet {1e3 * fast[0]:.1f} ms, ratio {slow[0] / fast[0]:.1f}")
    library_seconds, _, fleet_seconds, _ = (statistics.median(column) for column in zip(*rows, strict=True))
    compiled = definition.name == "CartPole-v1"
    limit = None if compiled else done * step_seconds(models[:REPLAYED_AGENTS], place, episodes)
    ratios = tuple(round(row[0] / row[2], 2) for row in rows)
    return Result(
        environment=definition.name,
        algorithm=algorithm,
        agents=agents,
        episodes=episodes,
        pairs=pairs,
        trained=how,
        steps=done,
        mean_return=float(sum(sum(row) for row in ours) / (agents * episodes)),
        differing_episodes=differing(ours, theirs),
        sb3_seconds=library_seconds,
        fleet_seconds=fleet_seconds,
        sb3_steps_per_second=done / library_seconds,
        fleet_steps_per_second=done / fleet_seconds,
        sb3_load_milliseconds=loads[0],
        fleet_load_milliseconds=loads[1],
        environment_seconds=limit,
        share_of_limit=None if limit is None else limit / fleet_seconds,
        ratios=ratios,
        cpu_ratio=round(statistics.median(row[1] / row[3] for row in rows), 2),
        ratio=statistics.median(ratios),
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluation", description=__doc__.splitlines()[0])
    parser.add_argument("--environment", default="CartPole-v1")
    parser.add_argument("--algorithm", choices=("ppo", "a2c", "dqn"), default="ppo")
    parser.add_argument("--agents", type=int, default=20)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=5, help="turns of each side")
    parser.add_argument("--train-steps", type=int, help="steps of each agent's training (default: some seconds' worth)")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    options = parser.parse_args()
    if min(options.agents, options.episodes, options.pairs) < 1:
        parser.error("--agents, --episodes and --pairs must be at least 1")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with one_thread():
        result = measure(
            options.environment,
            options.algorithm,
            options.agents,
            options.episodes,
            options.pairs,
            options.train_steps,
            lambda line: print(line, file=sys.stderr, flush=True),
        )
    if options.format == "json":
        print(json.dumps(asdict(result), indent=2))
    else:
        print("\n".join(f"{key:>24}  {value}" for key, value in asdict(result).items()))


if __name__ == "__main__":
    main()
