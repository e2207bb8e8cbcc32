"""How fast the fleet engine trains a population, against Stable-Baselines3 doing the same.

    python -m benchmarks.training --algorithm ppo --environment CartPole-v1 --seeds 20 --format json

Both sides run in this process, on one thread, in alternation. Every run of the fleet compiles its program again and
builds the agents' first networks; `--warm` leaves the compilation out. The library's side of a long training is timed
on a part of its steps (`--reference-steps`) and scaled by the number of steps. Time is the process's CPU time, which
for one thread is the wall time of an idle core; wall times are listed next to it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["PROCTOR_COMPILATION_CACHE"] = "off"  # so that every run of the fleet compiles

import jax

from agents.deeprl.engines.base import AgentSelection
from agents.deeprl.engines.registry import engine
from agents.deeprl.presets.preset import preset
from agents.deeprl.recipe import TrainingRecipe
from envsearch.definition import initial_spec
from envsearch.registry import environment, resolve_name


def main() -> None:
    """Measure and print; the last key of the JSON is the ratio."""
    arguments = _arguments()
    name, _ = resolve_name(arguments.environment)
    chosen = preset(name, arguments.algorithm)
    place = initial_spec(environment(name))
    overrides = {"net_arch": [arguments.width] * 2} if arguments.width else {}
    recipe = chosen.recipe(place, arguments.steps, overrides)
    reference = recipe.replace(total_steps=min(arguments.reference_steps, recipe.total_steps))
    if arguments.warm:
        engine("fleet").train(recipe.replace(total_steps=1), range(arguments.seeds), AgentSelection())
    pairs = [_pair(recipe, reference, arguments.seeds, arguments.warm) for _ in range(arguments.pairs)]
    result = summary(recipe, reference, arguments.seeds, pairs, arguments.warm)
    if arguments.format == "json":
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key:36} {value}")


def _pair(recipe: TrainingRecipe, reference: TrainingRecipe, seeds: int, warm: bool) -> dict[str, float]:
    if not warm:
        jax.clear_caches()  # type: ignore[no-untyped-call]
    fleet_cpu, fleet_wall = _timed(lambda: engine("fleet").train(recipe, range(seeds), AgentSelection()))
    library_cpu, library_wall = _timed(lambda: engine("sb3").train(reference, [0], AgentSelection()))
    return {
        "fleet": seeds * recipe.total_steps / fleet_cpu,
        "library": reference.total_steps / library_cpu,
        "fleet_wall": seeds * recipe.total_steps / fleet_wall,
        "library_wall": reference.total_steps / library_wall,
    }


def _timed(work: Callable[[], Any]) -> tuple[float, float]:
    """(CPU seconds of this process, wall seconds)."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def summary(
    recipe: TrainingRecipe, reference: TrainingRecipe, seeds: int, pairs: list[dict[str, float]], warm: bool
) -> dict[str, Any]:
    """Medians over the pairs, in agent-steps per second; `ratio` is the median of the pairs' ratios."""
    return {
        "environment": recipe.environment.name,
        "algorithm": recipe.algorithm,
        "net_arch": list(recipe.policy.net_arch),
        "seeds": seeds,
        "steps": recipe.total_steps,
        "library_steps_timed": reference.total_steps,
        "library_scaled": reference.total_steps < recipe.total_steps,
        "compilation_included": not warm,
        "pairs": len(pairs),
        "load_average": os.getloadavg()[0],
        "fleet_steps_per_wall_second": round(statistics.median(pair["fleet_wall"] for pair in pairs)),
        "library_steps_per_wall_second": round(statistics.median(pair["library_wall"] for pair in pairs)),
        "fleet_steps_per_cpu_second": round(statistics.median(pair["fleet"] for pair in pairs)),
        "library_steps_per_cpu_second": round(statistics.median(pair["library"] for pair in pairs)),
        "ratio": round(statistics.median(pair["fleet"] / pair["library"] for pair in pairs), 2),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithm", choices=("ppo", "a2c", "dqn"), default="ppo")
    parser.add_argument("--environment", default="CartPole-v1")
    parser.add_argument("--seeds", type=int, default=20, help="agents that the fleet trains at once")
    parser.add_argument("--steps", type=int, default=None, help="of the fleet's side (default: the paper's budget)")
    parser.add_argument("--reference-steps", type=int, default=10_000, help="of the library's side; scaled")
    parser.add_argument("--width", type=int, default=None, help="units of both hidden layers instead of the preset's")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--warm", action="store_true", help="compile before the measurement")
    parser.add_argument("--format", choices=("json", "text"), default="text")
    return parser.parse_args()


if __name__ == "__main__":
    main()
