"""Reading a recipe's hyper-parameters: the recipe's own value, else the algorithm's default in Stable-Baselines3."""

from __future__ import annotations

from agents.deeprl.algorithms import constructor_arguments
from agents.deeprl.recipe import Scalar, TrainingRecipe
from envsearch.errors import InputError


def value(recipe: TrainingRecipe, name: str) -> Scalar:
    """The value of one hyper-parameter."""
    default: Scalar = constructor_arguments(recipe.algorithm)[name].default
    return recipe.hyperparameter(name, default)


def number(recipe: TrainingRecipe, name: str) -> float:
    """The value of one hyper-parameter that is a number or a flag.

    Raises:
        InputError: it is neither.
    """
    setting = value(recipe, name)
    if setting is None or isinstance(setting, str):
        raise InputError(f"{setting!r} is not a number", f"hyperparameters.{name}", "a number")
    return float(setting)


def schedule(recipe: TrainingRecipe, name: str) -> tuple[float, bool]:
    """Initial value of a hyper-parameter and whether it falls linearly to 0 over the training (``lin_<initial>``)."""
    setting = value(recipe, name)
    if isinstance(setting, str) and setting.startswith("lin_"):
        return float(setting.removeprefix("lin_")), True
    return number(recipe, name), False
