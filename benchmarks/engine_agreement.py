"""Can healthy populations of the two engines be distinguished? The calibrated test decides, at 20 seeds.

    python -m benchmarks.engine_agreement --algorithm ppo --steps 65536 --cache agreement.json

Trains the same seeds with the fleet and with Stable-Baselines3 (the long part; finished agents are kept in `--cache`,
so an interrupted run continues), and compares the final evaluation (10 deterministic episodes) and the area under the
learning curve (mean training return per environment step) by the paired permutation test.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.deeprl.engines.base import AgentSelection, TrainedAgent
from agents.deeprl.engines.registry import engine
from agents.deeprl.evaluation import evaluate
from agents.deeprl.presets.preset import preset
from agents.deeprl.recipe import TrainingRecipe
from envsearch.definition import initial_spec
from envsearch.registry import environment, resolve_name
from mutations.killing.registry import kill_test

Row = dict[str, float]


def main() -> None:
    """Train what is missing, compare, print."""
    arguments = _arguments()
    name, _ = resolve_name(arguments.environment)
    recipe = preset(name, arguments.algorithm).recipe(initial_spec(environment(name)), arguments.steps)
    cache = Path(arguments.cache)
    known: dict[str, Row] = json.loads(cache.read_text(encoding="utf-8")) if cache.exists() else {}
    rows = {side: rows_of(recipe, side, arguments.seeds, known, cache) for side in ("sb3", "fleet")}
    result: dict[str, Any] = {
        "environment": name,
        "algorithm": recipe.algorithm,
        "steps": recipe.total_steps,
        "seeds": arguments.seeds,
    }
    for measure in ("evaluation", "area"):
        library, fleet = (np.array([row[measure] for row in rows[side]]) for side in ("sb3", "fleet"))
        result[measure] = compared(library, fleet)
    print(json.dumps(result, indent=2))


def compared(library: NDArray[np.float64], fleet: NDArray[np.float64]) -> dict[str, Any]:
    """Means and what the calibrated test says of them."""
    verdict = kill_test("paired_permutation").judge(library, fleet, np.random.default_rng(0))
    return {
        "sb3_mean": round(float(library.mean()), 1),
        "fleet_mean": round(float(fleet.mean()), 1),
        "p_value": None if verdict.p_value is None else round(float(verdict.p_value), 4),
        "vargha_delaney": None if verdict.effect_size is None else round(float(verdict.effect_size), 3),
        "told_apart": bool(verdict.outcome == "killed"),
    }


def rows_of(recipe: TrainingRecipe, side: str, seeds: int, known: dict[str, Row], cache: Path) -> list[Row]:
    """The measures of one engine's agents, by seed; new ones are written to the cache as they come."""
    keys = {seed: f"{recipe.address}/{side}/{seed}" for seed in range(seeds)}
    missing = [seed for seed in keys if keys[seed] not in known]
    block = len(missing) if side == "fleet" else 1
    for start in range(0, len(missing), max(1, block)):
        chosen = missing[start : start + block]
        for agent in engine(side).train(recipe, chosen, AgentSelection()):
            known[keys[agent.seed]] = measured(agent, recipe)
        temporary = cache.with_suffix(".new")
        temporary.write_text(json.dumps(known), encoding="utf-8")
        temporary.replace(cache)
    return [known[key] for key in keys.values()]


def measured(agent: TrainedAgent, recipe: TrainingRecipe) -> Row:
    """Final evaluation and area under the learning curve of one agent."""
    returns = evaluate(agent.checkpoint, recipe.algorithm, recipe.environment)
    ends, values = np.array(agent.episode_steps), np.array(agent.episode_returns)
    lengths = np.diff(ends, prepend=0)
    return {"evaluation": float(np.mean(returns)), "area": float((values * lengths).sum() / lengths.sum())}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithm", choices=("ppo", "a2c", "dqn"), default="ppo")
    parser.add_argument("--environment", default="CartPole-v1")
    parser.add_argument("--steps", type=int, default=None, help="default: the paper's budget")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--cache", default="engine-agreement.json", help="file of finished agents' figures")
    return parser.parse_args()


if __name__ == "__main__":
    main()
