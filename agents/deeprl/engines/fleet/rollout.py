"""Collecting rollouts in a compiled world, for one agent; callers `vmap` it."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from agents.deeprl.engines.fleet import stepping
from agents.deeprl.engines.fleet.networks import Layers, forward
from agents.deeprl.engines.fleet.sites import Sites
from agents.deeprl.engines.fleet.stepping import EpisodeState, WorldDraws
from agents.deeprl.engines.fleet.worlds.base import Coordinates, World


class Rollout(NamedTuple):
    """The steps of one iteration; `steps` as first axis but for `last_observation`.

    Attributes:
        observations: those that were acted on, float32.
        done, timed_out, final_observations: see `stepping.StepResult`.
        last_observation: after the last step.
    """

    observations: jax.Array
    actions: jax.Array
    rewards: jax.Array
    done: jax.Array
    timed_out: jax.Array
    final_observations: jax.Array
    last_observation: jax.Array


class RolloutDraws(NamedTuple):
    """Random numbers, one row per step; `actions` and `state` uniform in [0, 1)."""

    world: WorldDraws
    actions: jax.Array
    state: jax.Array


def drawn_action(logits: jax.Array, uniform: jax.Array) -> jax.Array:
    """An action of the policy, int32, by inverting its distribution function; `uniform` is in [0, 1)."""
    return (uniform >= jnp.cumsum(jax.nn.softmax(logits))[:-1]).sum().astype(jnp.int32)


def collect(
    world: World,
    point: Coordinates,
    actor: Layers,
    activation: str,
    episode: EpisodeState,
    held: jax.Array,
    draws: RolloutDraws,
    sites: Sites,
) -> tuple[EpisodeState, jax.Array, Rollout, jax.Array]:
    """One rollout with the stochastic policy.

    Args:
        world, point: see `stepping.advance`.
        actor: the policy's network; one logit per action.
        activation: of its hidden layers.
        episode: before the first step.
        held: the observation that is acted on first.
        draws: as many rows as steps.
        sites: of the recipe.

    Returns:
        Episode and held observation after the last step, the rollout, and per step the return of the episode that
        ended with it (NaN: none).
    """

    def step(
        carry: tuple[EpisodeState, jax.Array, jax.Array], draw: RolloutDraws
    ) -> tuple[tuple[EpisodeState, jax.Array, jax.Array], tuple[jax.Array, ...]]:
        episode, held, _ = carry
        action = _action(forward(actor, held, activation), draw.actions)
        episode, result = stepping.advance(world, point, episode, action, draw.world, sites)
        following = jnp.where(draw.state < sites.missed_state_update, held, result.observation)
        row = (
            held,
            action,
            result.reward,
            result.done,
            result.timed_out,
            result.final_observation,
            result.finished_return,
        )
        return (episode, following, result.observation), row

    steps = draws.actions.shape[0]
    (episode, held, last), rows = jax.lax.scan(step, (episode, held, held), draws, unroll=min(steps, 5))
    seen, actions, rewards, done, timed_out, final, finished_returns = rows
    return episode, held, Rollout(seen, actions, rewards, done, timed_out, final, last), finished_returns


def _action(logits: jax.Array, uniform: jax.Array) -> jax.Array:
    """`drawn_action`, cheaper where there are two actions."""
    if logits.shape[-1] != 2:
        return drawn_action(logits, uniform)
    return (uniform < jax.nn.sigmoid(logits[1] - logits[0])).astype(jnp.int32)
