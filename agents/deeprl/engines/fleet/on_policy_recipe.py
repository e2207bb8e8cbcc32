"""What PPO and A2C take from a recipe: the shape of their compiled program, and the numbers it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from agents.deeprl.engines.fleet.hyperparameters import number, schedule
from agents.deeprl.engines.fleet.sites import Sites, sites_of
from agents.deeprl.recipe import PolicySite, TrainingRecipe

SHARED = ("n_steps", "gamma", "gae_lambda", "ent_coef", "vf_coef", "max_grad_norm", "normalize_advantage")

UNDERSTOOD: dict[str, frozenset[str]] = {
    "ppo": frozenset((*SHARED, "learning_rate", "batch_size", "n_epochs", "clip_range", "clip_range_vf")),
    "a2c": frozenset((*SHARED, "learning_rate")),
}
"""Algorithm -> the hyper-parameters that the fleet understands."""

NEUTRAL: dict[str, object] = {"use_sde": False, "sde_sample_freq": -1, "target_kl": None}
"""Hyper-parameters that it accepts at the value with which they do nothing."""

SCHEDULES = ("learning_rate", "clip_range")
"""Those that may be written ``lin_<initial>``."""


@dataclass(frozen=True)
class OnPolicySettings:
    """What of a recipe shapes the compiled program.

    Attributes:
        batch_size: rows per gradient step; the last one of an epoch may have fewer.
        memory_size: transitions that the experience site remembers; 0 where it replaces none.
    """

    algorithm: Literal["ppo", "a2c"]
    n_steps: int
    batch_size: int
    n_epochs: int
    normalize_advantage: bool
    clip_values: bool
    policy: PolicySite
    memory_size: int


class OnPolicyNumbers(NamedTuple):
    """What of a recipe the compiled program reads; scalars, float32 unless said.

    Attributes:
        learning_rate, clip_range: initial values, float64.
        rate_falls, clip_falls: whether they fall linearly to 0 over the training, bool.
        total_steps: of the training, float64.
    """

    learning_rate: jax.Array
    rate_falls: jax.Array
    clip_range: jax.Array
    clip_falls: jax.Array
    clip_range_vf: jax.Array
    ent_coef: jax.Array
    vf_coef: jax.Array
    max_grad_norm: jax.Array
    total_steps: jax.Array


def objection(recipe: TrainingRecipe) -> str | None:
    """Why the fleet's PPO or A2C cannot be trained with these hyper-parameters, or None if it can."""
    understood = UNDERSTOOD[recipe.algorithm]
    for name, value in recipe.hyperparameters:
        if name in NEUTRAL and NEUTRAL[name] == value:
            continue
        if name not in understood:
            return f"the fleet engine has no {name} = {value!r} for {recipe.algorithm}"
        if isinstance(value, str) and not (name in SCHEDULES and value.startswith("lin_")):
            return f"the fleet engine has no {name} = {value!r}"
    return None


def settings_of(recipe: TrainingRecipe) -> OnPolicySettings:
    """What of a recipe shapes the program."""
    ppo = recipe.algorithm == "ppo"
    remembers = recipe.experience.replacement != "none"
    return OnPolicySettings(
        algorithm="ppo" if ppo else "a2c",
        n_steps=int(number(recipe, "n_steps")),
        batch_size=int(number(recipe, "batch_size")) if ppo else int(number(recipe, "n_steps")),
        n_epochs=int(number(recipe, "n_epochs")) if ppo else 1,
        normalize_advantage=bool(number(recipe, "normalize_advantage")),
        clip_values=ppo and recipe.hyperparameter("clip_range_vf") is not None,
        policy=recipe.policy,
        memory_size=recipe.experience.memory if remembers else 0,
    )


def numbers_of(recipe: TrainingRecipe) -> OnPolicyNumbers:
    """What of a recipe the program reads."""
    ppo = recipe.algorithm == "ppo"
    rate, rate_falls = schedule(recipe, "learning_rate")
    clip_range, clip_falls = schedule(recipe, "clip_range") if ppo else (0.0, False)
    clip_range_vf = recipe.hyperparameter("clip_range_vf")
    return OnPolicyNumbers(
        learning_rate=jnp.float64(rate),
        rate_falls=jnp.bool_(rate_falls),
        clip_range=jnp.float64(clip_range),
        clip_falls=jnp.bool_(clip_falls),
        clip_range_vf=jnp.float32(0.0 if clip_range_vf is None else clip_range_vf),
        ent_coef=jnp.float32(number(recipe, "ent_coef")),
        vf_coef=jnp.float32(number(recipe, "vf_coef")),
        max_grad_norm=jnp.float32(number(recipe, "max_grad_norm")),
        total_steps=jnp.float64(recipe.total_steps),
    )


def on_policy_sites(recipe: TrainingRecipe) -> Sites:
    """The sites, with the agent's own gamma and lambda."""
    return sites_of(recipe, number(recipe, "gamma"), number(recipe, "gae_lambda"))
