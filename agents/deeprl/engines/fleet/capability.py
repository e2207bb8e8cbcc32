"""What the fleet can train, and the learner for each case: the explicit tables."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import gymnasium
from gymnasium import spaces

from agents.deeprl.engines.fleet import cartpole, dqn_recipe
from agents.deeprl.engines.fleet.dqn import DQN
from agents.deeprl.engines.fleet.dqn_host import HostDQN
from agents.deeprl.engines.fleet.hosted import HostedWorlds
from agents.deeprl.engines.fleet.lanes import LANES
from agents.deeprl.engines.fleet.learner import Learner
from agents.deeprl.engines.fleet.networks import ACTIVATIONS
from agents.deeprl.engines.fleet.on_policy import OnPolicy
from agents.deeprl.engines.fleet.on_policy_hosted import HostedOnPolicy
from agents.deeprl.engines.fleet.optimizers import OPTIMIZERS
from agents.deeprl.recipe import PolicySite, TrainingRecipe
from envsearch.registry import make
from envsearch.spec import EnvironmentSpec

ON_POLICY = ("n_steps", "gamma", "gae_lambda", "ent_coef", "vf_coef", "max_grad_norm", "normalize_advantage")

UNDERSTOOD: dict[str, frozenset[str]] = {
    "ppo": frozenset((*ON_POLICY, "learning_rate", "batch_size", "n_epochs", "clip_range", "clip_range_vf")),
    "a2c": frozenset((*ON_POLICY, "learning_rate")),
}
"""On-policy algorithm -> the hyper-parameters that the fleet understands; DQN's are in `dqn_recipe`."""

NEUTRAL: dict[str, object] = {"use_sde": False, "sde_sample_freq": -1, "target_kl": None}
"""Hyper-parameters that it accepts at the value with which they do nothing."""

SCHEDULES = ("learning_rate", "clip_range")
"""Those that may be written ``lin_<initial>``."""


def objection(recipe: TrainingRecipe) -> str | None:
    """Why the fleet cannot train a recipe, or None if it can."""
    if recipe.algorithm == "dqn":
        reason = dqn_recipe.objection(recipe)
    elif recipe.algorithm in UNDERSTOOD:
        reason = _on_policy_objection(recipe)
    else:
        reason = f"the fleet engine trains {', '.join((*UNDERSTOOD, 'dqn'))}, not {recipe.algorithm}"
    return reason or _policy_objection(recipe.policy) or _environment_objection(recipe.environment)


def _on_policy_objection(recipe: TrainingRecipe) -> str | None:
    understood = UNDERSTOOD[recipe.algorithm]
    for name, value in recipe.hyperparameters:
        if name in NEUTRAL and NEUTRAL[name] == value:
            continue
        if name not in understood:
            return f"the fleet engine has no {name} = {value!r} for {recipe.algorithm}"
        if isinstance(value, str) and not (name in SCHEDULES and value.startswith("lin_")):
            return f"the fleet engine has no {name} = {value!r}"
    return None


def _policy_objection(policy: PolicySite) -> str | None:
    if not policy.net_arch:
        return "the fleet engine needs a hidden layer"
    if policy.activation not in ACTIVATIONS:
        return f"the fleet engine has the activations {', '.join(ACTIVATIONS)}, not {policy.activation}"
    if policy.optimizer not in OPTIMIZERS:
        return f"the fleet engine has the optimizers {', '.join(OPTIMIZERS)}, not {policy.optimizer}"
    unknown = [name for name, _ in policy.optimizer_kwargs if name not in OPTIMIZERS[policy.optimizer][1]]
    return f"the fleet engine's {policy.optimizer} has no argument {unknown[0]}" if unknown else None


@lru_cache(maxsize=256)
def _environment_objection(environment: EnvironmentSpec) -> str | None:
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


def lanes_of(recipe: TrainingRecipe) -> int:
    """The number of agents of a block must be a multiple of it."""
    return 1 if recipe.algorithm == "dqn" else LANES


def learner_of(recipe: TrainingRecipe, seeds: Sequence[int]) -> Learner:
    """The learner of a recipe that `objection` has nothing against.

    Args:
        recipe: what to train.
        seeds: of all agents, a multiple of `lanes_of`.
    """
    if recipe.environment.name == cartpole.NAME:
        return DQN(recipe) if recipe.algorithm == "dqn" else OnPolicy(recipe)
    worlds = HostedWorlds(recipe, seeds)
    return HostDQN(recipe, worlds, worlds.actions) if recipe.algorithm == "dqn" else HostedOnPolicy(recipe, worlds)
