"""Are healthy populations of the two engines equivalent, different, or is neither shown?

    python -m benchmarks.engine_agreement --algorithm ppo --steps 65536 --cache agreement.json

Trains the same seeds with the fleet and with Stable-Baselines3 (the long part; finished agents are kept in `--cache`,
so an interrupted run continues), and compares the final evaluation (10 deterministic episodes) and the area under the
learning curve (mean training return per environment step). The answer is that of the margin test about a margin that is
set before: *equivalent* if two one-sided tests show it, *different* if a difference is shown and may lie beyond the
margin, else *inconclusive*. A large p-value alone is never equivalence. The output holds the value of each agent, by
seed, so that the comparison can be repeated.
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
from mutations.killing.kill_test import Outcome
from mutations.killing.margin_permutation import MarginPermutation
from mutations.killing.margins import Margins

Row = dict[str, float]

ANSWERS = {Outcome.SURVIVED: "equivalent", Outcome.KILLED: "different", Outcome.INCONCLUSIVE: "inconclusive"}

LARGE_EFFECT = (0.29, 0.71)
"""Outside lies what Vargha and Delaney call a large effect."""


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
        result[measure] = compared(library, fleet, Margins(mean=arguments.margin, collapsed=arguments.collapsed))
    print(json.dumps(result, indent=2))


def compared(library: NDArray[np.float64], fleet: NDArray[np.float64], margins: Margins) -> dict[str, Any]:
    """Answer of the margin test on two independent populations of shapes (n,) and (m,).

    `difference`, `low` and `high` (95 %) are of the means, fleet minus library, as shares of the library's mean; all
    values are kept under `sb3` and `fleet`.
    """
    verdict = MarginPermutation(margins=margins).judge(library, fleet, np.random.default_rng(0))
    return {
        "answer": ANSWERS[verdict.outcome or Outcome.INCONCLUSIVE],
        "difference": verdict.effect_size,
        "low": verdict.effect_low,
        "high": verdict.effect_high,
        "margin": margins.mean,
        "p_value": verdict.p_value,
        "reason": verdict.reason,
        "sb3": library.tolist(),
        "fleet": fleet.tolist(),
    }


def answer_of_interval(low: float, high: float, limits: tuple[float, float] = LARGE_EFFECT) -> str:
    """What a 90 % interval of Vargha and Delaney's A shows: it lies within, beyond or across the limits.

    Within is equivalence by two one-sided tests at 5 % (Schuirmann 1987).
    """
    if limits[0] < low and high < limits[1]:
        return "equivalent"
    return "different" if high <= limits[0] or low >= limits[1] else "inconclusive"


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
    parser.add_argument("--margin", type=float, default=0.05, help="of the mean, as a share of the library's mean")
    parser.add_argument("--collapsed", type=float, default=0.1, help="of the share of collapsed agents")
    parser.add_argument("--cache", default="engine-agreement.json", help="file of finished agents' figures")
    return parser.parse_args()


if __name__ == "__main__":
    main()
