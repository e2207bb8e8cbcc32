"""What the fleet can train, and the learner for each case: the explicit tables."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import gymnasium
from gymnasium import spaces

from agents.deeprl.engines.fleet import cartpole
from agents.deeprl.engines.fleet.learner import Learner
from agents.deeprl.engines.fleet.networks import ACTIVATIONS
from agents.deeprl.engines.fleet.on_policy import OnPolicy
from agents.deeprl.engines.fleet.optimizers import OPTIMIZERS
from agents.deeprl.recipe import TrainingRecipe
from envsearch.registry import make
from envsearch.spec import EnvironmentSpec

ON_POLICY = ("n_steps", "gamma", "gae_lambda", "ent_coef", "vf_coef", "max_grad_norm", "normalize_advantage")

UNDERSTOOD: dict[str, frozenset[str]] = {
    "ppo": frozenset((*ON_POLICY, "learning_rate", "batch_size", "n_epochs", "clip_range", "clip_range_vf")),
    "a2c": frozenset((*ON_POLICY, "learning_rate")),
}
"""Algorithm -> the hyper-parameters that the fleet understands."""

NEUTRAL: dict[str, object] = {"use_sde": False, "sde_sample_freq": -1, "target_kl": None}
"""Hyper-parameters that it accepts at the value with which they do nothing."""


def why_not(recipe: TrainingRecipe) -> str | None:
    """Why the fleet cannot train a recipe, or None if it can."""
    understood = UNDERSTOOD.get(recipe.algorithm)
    if understood is None:
        return f"the fleet engine trains {', '.join(UNDERSTOOD)}, not {recipe.algorithm}"
    for name, value in recipe.hyperparameters:
        if name not in understood and not (name in NEUTRAL and NEUTRAL[name] == value):
            return f"the fleet engine has no {name} = {value!r} for {recipe.algorithm}"
    policy = recipe.policy
    if not policy.net_arch:
        return "the fleet engine needs a hidden layer"
    if policy.activation not in ACTIVATIONS:
        return f"the fleet engine has the activations {', '.join(ACTIVATIONS)}, not {policy.activation}"
    if policy.optimizer not in OPTIMIZERS:
        return f"the fleet engine has the optimizers {', '.join(OPTIMIZERS)}, not {policy.optimizer}"
    unknown = [name for name, _ in policy.optimizer_kwargs if name not in OPTIMIZERS[policy.optimizer][1]]
    if unknown:
        return f"the fleet engine's {policy.optimizer} has no argument {unknown[0]}"
    return _why_not_environment(recipe.environment)


@lru_cache(maxsize=256)
def _why_not_environment(environment: EnvironmentSpec) -> str | None:
    if environment.name == cartpole.NAME:
        return None
    env: gymnasium.Env[object, object] = make(environment)
    observations, actions = env.observation_space, env.action_space
    env.close()
    if not (isinstance(observations, spaces.Box) and len(observations.shape) == 1):
        return f"the fleet engine needs observations that are one vector of numbers, not {observations}"
    if not (isinstance(actions, spaces.Discrete) and actions.start == 0):
        return f"the fleet engine needs actions numbered from 0, not {actions}"
    return None


def learner_of(recipe: TrainingRecipe, seeds: Sequence[int]) -> Learner:
    """The learner of a recipe that `why_not` has nothing against."""
    return OnPolicy(recipe)
