"""What DQN takes from a recipe: the shape of its compiled program, the numbers it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from agents.deeprl.engines.fleet.hyperparameters import number, schedule, value
from agents.deeprl.recipe import PolicySite, TrainingRecipe
from envsearch.errors import InputError

WHOLE: dict[str, int] = {
    "batch_size": 1,
    "buffer_size": 1,
    "learning_starts": 0,
    "train_freq": 1,
    "gradient_steps": -1,
    "target_update_interval": 1,
}
"""Hyper-parameters that are whole numbers, with the smallest value that is understood."""

REAL: dict[str, float] = {
    "gamma": 0.0,
    "tau": 0.0,
    "exploration_fraction": 0.0,
    "exploration_initial_eps": 0.0,
    "exploration_final_eps": 0.0,
    "max_grad_norm": 0.0,
}
"""Hyper-parameters that are real numbers, with the smallest value that is understood."""

NEUTRAL: dict[str, object] = {"n_steps": 1, "optimize_memory_usage": False}
"""Hyper-parameters that are understood at the value with which they do nothing."""


@dataclass(frozen=True)
class DQNSettings:
    """What of a recipe shapes the compiled program.

    Attributes:
        train_freq: environment steps between two calls of the update.
        gradient_steps: of one call.
        capacity: transitions that the replay buffer holds.
        memory_size: of the experience site; 0 where nothing is ever replaced.
    """

    train_freq: int
    gradient_steps: int
    batch_size: int
    capacity: int
    policy: PolicySite
    memory_size: int


class DQNNumbers(NamedTuple):
    """What of a recipe the compiled program reads; scalars."""

    learning_rate: jax.Array
    rate_falls: jax.Array
    learning_starts: jax.Array
    tau: jax.Array
    target_update_interval: jax.Array
    exploration_fraction: jax.Array
    exploration_initial: jax.Array
    exploration_final: jax.Array
    max_grad_norm: jax.Array
    total_steps: jax.Array


def objection(recipe: TrainingRecipe) -> str | None:
    """Why the fleet's DQN cannot be trained with these hyper-parameters, or None if it can."""
    for name, setting in recipe.hyperparameters:
        if name in NEUTRAL and setting == NEUTRAL[name]:
            continue
        if name not in (*WHOLE, *REAL, "learning_rate"):
            return f"the fleet engine has no {name} = {setting!r} for dqn"
    for name, smallest in WHOLE.items():
        setting = value(recipe, name)
        if isinstance(setting, bool) or not isinstance(setting, int) or setting < smallest:
            return f"the fleet engine needs a whole number of {smallest} or more for {name}, not {setting!r}"
    for name, least in REAL.items():
        setting = value(recipe, name)
        if isinstance(setting, bool) or not isinstance(setting, int | float) or not setting >= least:
            return f"the fleet engine needs a number of {least:g} or more for {name}, not {setting!r}"
    return _rate_objection(recipe)


def _rate_objection(recipe: TrainingRecipe) -> str | None:
    setting = value(recipe, "learning_rate")
    try:
        rate, _ = schedule(recipe, "learning_rate")
    except (InputError, ValueError):
        rate = -1.0
    if isinstance(setting, bool) or not rate >= 0.0:
        return f"the fleet engine needs a number or lin_<number> of 0 or more for learning_rate, not {setting!r}"
    return None


def settings_of(recipe: TrainingRecipe) -> DQNSettings:
    """What of a recipe shapes the program."""
    train_freq = int(number(recipe, "train_freq"))
    gradient_steps = int(number(recipe, "gradient_steps"))
    iterations = -(-recipe.total_steps // train_freq)
    return DQNSettings(
        train_freq=train_freq,
        gradient_steps=gradient_steps if gradient_steps >= 0 else train_freq,
        batch_size=int(number(recipe, "batch_size")),
        capacity=max(1, min(int(number(recipe, "buffer_size")), iterations * train_freq)),
        policy=recipe.policy,
        memory_size=recipe.experience.memory if recipe.experience.replacement != "none" else 0,
    )


def numbers_of(recipe: TrainingRecipe) -> DQNNumbers:
    """What of a recipe the program reads."""
    rate, falls = schedule(recipe, "learning_rate")
    return DQNNumbers(
        learning_rate=jnp.float64(rate),
        rate_falls=jnp.bool_(falls),
        learning_starts=jnp.int64(number(recipe, "learning_starts")),
        tau=jnp.float32(number(recipe, "tau")),
        target_update_interval=jnp.int64(max(1, number(recipe, "target_update_interval"))),
        exploration_fraction=jnp.float64(number(recipe, "exploration_fraction")),
        exploration_initial=jnp.float64(number(recipe, "exploration_initial_eps")),
        exploration_final=jnp.float64(number(recipe, "exploration_final_eps")),
        max_grad_norm=jnp.float32(number(recipe, "max_grad_norm")),
        total_steps=jnp.float64(recipe.total_steps),
    )
