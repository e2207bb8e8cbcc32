"""What operators ask of a healthy recipe: how its algorithm learns, and whether anything is bootstrapped."""

from __future__ import annotations

from agents.deeprl.algorithms import algorithm_facts
from agents.deeprl.recipe import TrainingRecipe


def is_on_policy(recipe: TrainingRecipe) -> bool:
    """Whether the algorithm computes returns over a rollout, instead of sampling stored transitions."""
    return algorithm_facts(recipe.algorithm).family == "on_policy"


def is_set_to(recipe: TrainingRecipe, name: str, value: float) -> bool:
    """Whether a hyper-parameter is spelled out in the recipe and has this value."""
    setting = recipe.hyperparameter(name)
    return isinstance(setting, int | float) and setting == value


def bootstrap_objection(recipe: TrainingRecipe) -> str | None:
    """Why nothing is learned from the next state's value (then faults in it change nothing), or None."""
    return (
        "gamma is 0, so nothing is learned from the value of the next state" if is_set_to(recipe, "gamma", 0) else None
    )
