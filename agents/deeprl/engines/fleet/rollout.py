"""Collecting rollouts in the compiled CartPole, for one agent; callers `vmap` it."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from agents.deeprl.engines.fleet import world as worlds
from agents.deeprl.engines.fleet.cartpole import Masses
from agents.deeprl.engines.fleet.networks import Layers, forward
from agents.deeprl.engines.fleet.sites import Sites
from agents.deeprl.engines.fleet.world import World


class Rollout(NamedTuple):
    """What was seen; `steps` as first axis but for `last_observation`.

    Attributes:
        observations: those that were acted on, float32.
        done, timed_out, final_observations: see `world.Seen`.
        last_observation: after the last step.
    """

    observations: jax.Array
    actions: jax.Array
    rewards: jax.Array
    done: jax.Array
    timed_out: jax.Array
    final_observations: jax.Array
    last_observation: jax.Array


class StepDraws(NamedTuple):
    """Random numbers, one row per step; `actions` and `state` uniform in [0, 1)."""

    world: worlds.Draws
    actions: jax.Array
    state: jax.Array


def collect(
    actor: Layers,
    activation: str,
    world: World,
    held: jax.Array,
    draws: StepDraws,
    sites: Sites,
    masses: Masses,
) -> tuple[World, jax.Array, Rollout, jax.Array]:
    """One rollout with the stochastic policy.

    Args:
        actor: the policy's network; two logits.
        activation: of its hidden layers.
        world: before the first step.
        held: the observation that is acted on first.
        draws: as many rows as steps.
        sites, masses: of the recipe.

    Returns:
        World and held observation after the last step, the rollout, and per step the return of the episode that
        ended with it (NaN: none).
    """

    def one_step(
        carry: tuple[World, jax.Array, jax.Array], draw: StepDraws
    ) -> tuple[tuple[World, jax.Array, jax.Array], tuple[jax.Array, ...]]:
        world, held, _ = carry
        logits = forward(actor, held, activation)
        action = (draw.actions < jax.nn.sigmoid(logits[1] - logits[0])).astype(jnp.int32)
        world, seen = worlds.advance(world, action, draw.world, sites, masses)
        following = jnp.where(draw.state < sites.missed_state_update, held, seen.observation)
        row = (held, action, seen.reward, seen.done, seen.timed_out, seen.final_observation, seen.finished_return)
        return (world, following, seen.observation), row

    steps = draws.actions.shape[0]
    (world, held, last), rows = jax.lax.scan(one_step, (world, held, held), draws, unroll=min(steps, 5))
    seen, actions, rewards, done, timed_out, final, finished_returns = rows
    return world, held, Rollout(seen, actions, rewards, done, timed_out, final, last), finished_returns
