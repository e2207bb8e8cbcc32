"""One learner update of PPO and A2C from one rollout of one agent, with the terminal, returns and loss sites."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from agents.deeprl.engines.fleet.advantages import advantages_and_returns, with_time_limit_bootstrap
from agents.deeprl.engines.fleet.networks import Parameters
from agents.deeprl.engines.fleet.on_policy_recipe import OnPolicyNumbers, OnPolicySettings
from agents.deeprl.engines.fleet.optimizers import optimizer_of
from agents.deeprl.engines.fleet.policy_gradient import RolloutBatch, log_probs_of, update, values_of
from agents.deeprl.engines.fleet.rollout import Rollout
from agents.deeprl.engines.fleet.sites import Sites, stream


class OnPolicyLearner(NamedTuple):
    """One agent's learner: what updates change."""

    parameters: Parameters
    optimizer: Any


class FaultDraws(NamedTuple):
    """Random numbers of the terminal, returns and loss sites, uniform in [0, 1).

    Attributes:
        flags: per step; for the flag of the episode that ends with it, if one does.
        undiscounted, forward, inverted: per iteration.
    """

    flags: jax.Array
    undiscounted: jax.Array
    forward: jax.Array
    inverted: jax.Array


def prepare(
    parameters: Parameters,
    rollout: Rollout,
    draws: FaultDraws,
    sites: Sites,
    activation: str,
) -> RolloutBatch:
    """What the update reads of a rollout: values, log-probabilities, advantages and returns.

    The parameters do not change during a rollout, so all of it is computed at its end in one batch. Where a terminal
    flag is lost the recursion goes on into the next episode, and a time limit adds no bootstrap of its own.

    Args:
        parameters: those that acted.
        rollout: of one agent.
        draws: flags of shape (steps,), the others scalars.
        sites: the recipe's.
        activation: of the hidden layers.
    """
    values = values_of(parameters, rollout.observations, activation)
    log_probs = log_probs_of(parameters, rollout.observations, rollout.actions, activation)
    final_values = values_of(parameters, rollout.final_observations, activation)
    last_value = values_of(parameters, rollout.last_observation[None], activation)[0]
    noticed = draws.flags >= sites.missed_terminal
    rewards = with_time_limit_bootstrap(rollout.rewards, rollout.timed_out & noticed, final_values, sites.own_gamma)
    ends = (rollout.done & noticed).astype(jnp.float32)
    gamma = jnp.where(draws.undiscounted < sites.undiscounted, 1.0, sites.gamma)
    advantages, returns = advantages_and_returns(
        rewards,
        values,
        last_value,
        1.0 - ends,
        gamma,
        sites.gae_lambda,
        draws.forward < sites.forward,
    )
    return RolloutBatch(rollout.observations, rollout.actions, values, log_probs, advantages, returns)


def learn(
    learner: OnPolicyLearner,
    rollout: Rollout,
    draws: FaultDraws,
    key: jax.Array,
    iteration: jax.Array,
    sites: Sites,
    numbers: OnPolicyNumbers,
    settings: OnPolicySettings,
) -> OnPolicyLearner:
    """One learner update of one agent from one rollout; `draws` as in `prepare`."""
    batch = prepare(learner.parameters, rollout, draws, sites, settings.policy.activation)
    sign = jnp.where(draws.inverted < sites.inverted, -1.0, 1.0).astype(jnp.float32)
    remaining = 1.0 - (iteration + 1) * settings.n_steps / numbers.total_steps
    parameters, optimizer = update(
        learner.parameters,
        learner.optimizer,
        batch,
        stream(key, "batches", iteration),
        sign,
        remaining,
        settings,
        numbers,
    )
    return OnPolicyLearner(parameters, optimizer)


def first_learner(parameters: Parameters, settings: OnPolicySettings) -> OnPolicyLearner:
    """Before the first update."""
    return OnPolicyLearner(parameters, optimizer_of(settings.policy).init(parameters))
