"""What the fleet can train, and the learner for each case."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import gymnasium
import jax.numpy as jnp
from gymnasium import spaces

from agents.deeprl.engines.fleet import dqn_recipe, on_policy_recipe
from agents.deeprl.engines.fleet.dqn import DQNProgram
from agents.deeprl.engines.fleet.hosted import HostedWorlds
from agents.deeprl.engines.fleet.hyperparameters import number
from agents.deeprl.engines.fleet.lanes import LANES
from agents.deeprl.engines.fleet.learner import CompiledLearner, HostedLearner, Learner, Program, TrainingData
from agents.deeprl.engines.fleet.networks import ACTIVATIONS
from agents.deeprl.engines.fleet.on_policy import OnPolicyProgram
from agents.deeprl.engines.fleet.optimizers import OPTIMIZERS
from agents.deeprl.engines.fleet.sites import Sites, sites_of
from agents.deeprl.engines.fleet.worlds.base import Discrete, World
from agents.deeprl.engines.fleet.worlds.registry import point_of, world_of
from agents.deeprl.recipe import PolicySite, TrainingRecipe
from envsearch.registry import make
from envsearch.spec import EnvironmentSpec


def objection(recipe: TrainingRecipe) -> str | None:
    """Why the fleet cannot train a recipe, or None if it can."""
    if recipe.algorithm == "dqn":
        reason = dqn_recipe.objection(recipe)
    elif recipe.algorithm in on_policy_recipe.UNDERSTOOD:
        reason = on_policy_recipe.objection(recipe)
    else:
        reason = f"the fleet engine trains {', '.join((*on_policy_recipe.UNDERSTOOD, 'dqn'))}, not {recipe.algorithm}"
    return reason or _policy_objection(recipe.policy) or _environment_objection(recipe.environment)


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
    world = world_of(environment)
    if world is not None and isinstance(world.actions, Discrete):
        return None
    env: gymnasium.Env[object, object] = make(environment)
    observations, actions = env.observation_space, env.action_space
    env.close()
    if not (isinstance(observations, spaces.Box) and len(observations.shape) == 1):
        return f"the fleet engine needs observations that are one vector of numbers, not {observations}"
    if isinstance(actions, spaces.Box):
        return f"the fleet engine has no algorithm for continuous actions; those of {environment.name} are {actions}"
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
    world = world_of(recipe.environment)
    if world is not None:
        assert isinstance(world.actions, Discrete)
        point = tuple(jnp.float64(value) for value in point_of(world, recipe.environment))
        return CompiledLearner(program_of(recipe, world, world.actions.choices), data_of(recipe, point))
    hosted = HostedWorlds(recipe, seeds)
    return HostedLearner(program_of(recipe, None, hosted.actions), data_of(recipe), hosted)


def program_of(recipe: TrainingRecipe, world: World | None, actions: int) -> Program:
    """The recipe's algorithm in a compiled world, or in environments on the host (None)."""
    if recipe.algorithm == "dqn":
        return DQNProgram(dqn_recipe.settings_of(recipe), world, actions)
    return OnPolicyProgram(on_policy_recipe.settings_of(recipe), world)


def data_of(recipe: TrainingRecipe, point: tuple[Any, ...] = ()) -> TrainingData:
    """What the recipe's program reads; `point` as in `TrainingData`."""
    if recipe.algorithm == "dqn":
        return TrainingData(_dqn_sites(recipe), dqn_recipe.numbers_of(recipe), point)
    return TrainingData(on_policy_recipe.on_policy_sites(recipe), on_policy_recipe.numbers_of(recipe), point)


def _dqn_sites(recipe: TrainingRecipe) -> Sites:
    return sites_of(recipe, number(recipe, "gamma"))
