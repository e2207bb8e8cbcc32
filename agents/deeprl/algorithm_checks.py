"""The contract of an algorithm: what a campaign relies on, for the table's and the user's own classes."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from agents.deeprl.algorithms import algorithm_facts
from agents.deeprl.checkpoint import from_bytes, weights_digest
from agents.deeprl.engines.base import AgentSelection, TrainedAgent
from agents.deeprl.engines.sb3.build import build
from agents.deeprl.engines.sb3.engine import train_one
from agents.deeprl.evaluation import evaluate
from agents.deeprl.presets import preset
from agents.deeprl.recipe import ExperienceSite, LossSite, ReturnsSite, StateSite, TerminalSite, TrainingRecipe
from envsearch.checks import Check
from envsearch.errors import InputError
from envsearch.spec import EnvironmentSpec

ENVIRONMENTS = ("CartPole-v1", "Pendulum-v1")
"""A discrete and a continuous control problem; the first that the algorithm takes is used."""

SHORT: dict[str, dict[str, Any]] = {
    "on_policy": {"n_steps": 64, "batch_size": 32},
    "off_policy": {"learning_starts": 64, "buffer_size": 2000, "train_freq": 4},
}
"""Settings with which a few hundred steps hold several learner updates; those that the algorithm has are used."""

STEPS = 320

SITES: dict[str, dict[str, Any]] = {
    "experience": {"experience": ExperienceSite("random", 1.0)},
    "terminal flag": {"terminal": TerminalSite(1.0)},
    "state update": {"state": StateSite(1.0)},
    "returns": {"returns": ReturnsSite(undiscounted=1.0)},
    "loss": {"loss": LossSite(1.0)},
}
"""Every site of a recipe, with a fault that must change what is learned."""


def check_algorithm(name: str) -> list[Check]:
    """Train the algorithm a few times for a few hundred steps.

    Never raises for a bad class: what goes wrong inside it is the detail of a failed check. If it cannot be built, that
    is the only check.
    """
    built, recipe = _built(name)
    if recipe is None:
        return [built]
    try:  # a user's class may fail in any way
        healthy = _trained(recipe)
    except Exception as error:  # noqa: BLE001
        return [built, Check(f"it trains for {STEPS} steps", False, _told(error))]
    clauses: list[tuple[str, Callable[[], str]]] = [
        ("the same seed gives the same weights", partial(_same_seed, recipe, healthy)),
        ("another seed gives other weights", partial(_other_seed, recipe, healthy)),
        ("a checkpoint restores the same weights", partial(_round_trip, recipe, healthy)),
        ("a saved agent can be evaluated", partial(_evaluated, recipe, healthy)),
        ("fault sites without a fault change nothing", partial(_neutral, recipe, healthy)),
    ]
    clauses += [(f"a fault of the {site} takes effect", partial(_live, recipe, healthy, site)) for site in SITES]
    return [built, Check(f"it trains for {STEPS} steps", True), *(_judge(*clause) for clause in clauses)]


def _built(name: str) -> tuple[Check, TrainingRecipe | None]:
    clause, reason = "it is built with its own defaults", ""
    for environment in ENVIRONMENTS:
        try:  # a user's class may fail in any way
            recipe = _recipe(name, environment)
            build(recipe, seed=0).get_env().close()  # type: ignore[union-attr]
        except Exception as error:  # noqa: BLE001
            reason = reason or _told(error)
        else:
            return Check(clause, True, f"{algorithm_facts(name).family.replace('_', '-')}, in {environment}"), recipe
    return Check(clause, False, reason), None


def _recipe(name: str, environment: str) -> TrainingRecipe:
    defaults = preset("", name)
    settings = SHORT[algorithm_facts(name).family]
    short = {key: value for key, value in settings.items() if key in dict(defaults.hyperparameters)}
    return defaults.recipe(EnvironmentSpec(environment), STEPS, short)


def _trained(recipe: TrainingRecipe, seed: int = 0, all_seams: bool = False) -> TrainedAgent:
    return train_one(recipe, seed, AgentSelection(), all_seams=all_seams)


def _same_seed(recipe: TrainingRecipe, healthy: TrainedAgent) -> str:
    same = _trained(recipe).weights_digest == healthy.weights_digest
    return "" if same else "two trainings differ; draw random numbers from the seeded generators only"


def _other_seed(recipe: TrainingRecipe, healthy: TrainedAgent) -> str:
    return "" if _trained(recipe, seed=1).weights_digest != healthy.weights_digest else "seeds 0 and 1 agree"


def _round_trip(recipe: TrainingRecipe, healthy: TrainedAgent) -> str:
    same = weights_digest(from_bytes(healthy.checkpoint, recipe.algorithm)) == healthy.weights_digest
    return "" if same else "what is loaded differs from what was saved"


def _evaluated(recipe: TrainingRecipe, healthy: TrainedAgent) -> str:
    returns = evaluate(healthy.checkpoint, recipe.algorithm, recipe.environment, episodes=2)
    return "" if all(map(math.isfinite, returns)) else f"returns are {returns}"


def _neutral(recipe: TrainingRecipe, healthy: TrainedAgent) -> str:
    same = _trained(recipe, all_seams=True).weights_digest == healthy.weights_digest
    return "" if same else "a healthy training differs once the fault sites are added"


def _live(recipe: TrainingRecipe, healthy: TrainedAgent, site: str) -> str:
    mutant = _trained(recipe.replace(**SITES[site]))
    return "" if mutant.weights_digest != healthy.weights_digest else "the agent is the healthy one"


def _judge(name: str, clause: Callable[[], str]) -> Check:
    try:  # a user's class may fail in any way
        problem = clause()
    except Exception as error:  # noqa: BLE001
        problem = _told(error)
    return Check(name, not problem, problem)


def _told(error: Exception) -> str:
    text = str(error).strip().splitlines()[0] if str(error).strip() else ""
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"
