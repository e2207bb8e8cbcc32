"""The replay buffer of one agent, compiled, with the terminal, state, returns and loss sites; callers map it.

A transition is one row of float32: observation, next observation, action, reward, terminal flag. Whole rows are
written and gathered at once.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from agents.deeprl.engines.fleet.sites import Sites


class TransitionBatch(NamedTuple):
    """Sampled transitions; any leading axes.

    Attributes:
        observations, next_observations: float32, shape (..., observations).
        actions: int32, shape (...).
        rewards, dones: float32, shape (...); dones are 1 where nothing follows.
    """

    observations: jax.Array
    next_observations: jax.Array
    actions: jax.Array
    rewards: jax.Array
    dones: jax.Array


def empty(capacity: int, observations: int) -> jax.Array:
    """Room for `capacity` transitions, float32, shape (capacity, 2 * observations + 3)."""
    return jnp.zeros((capacity, 2 * observations + 3), jnp.float32)


def row(
    observation: jax.Array,
    next_observation: jax.Array,
    action: jax.Array,
    reward: jax.Array,
    done: jax.Array,
    timed_out: jax.Array,
    terminal_draw: jax.Array,
    state_draw: jax.Array,
    sites: Sites,
) -> jax.Array:
    """One transition as it is stored, with what the terminal and state sites lose.

    Args:
        observation, next_observation: shape (observations,); the next one without the reset.
        action, reward, done: of the step.
        timed_out: the episode ended by its time limit alone; such an end is stored as not terminal.
        terminal_draw, state_draw: uniform in [0, 1).
        sites: the recipe's.
    """
    stored_end = done & (terminal_draw >= sites.missed_terminal)
    following = jnp.where(state_draw < sites.missed_state_update, observation, next_observation)
    tail = jnp.stack([action.astype(jnp.float32), reward, (stored_end & ~timed_out).astype(jnp.float32)])
    return jnp.concatenate([observation, following, tail])


def store(transitions: jax.Array, new: jax.Array, stored: jax.Array) -> jax.Array:
    """The buffer with one more row, in the place of the oldest once it is full; `stored` rows were stored before."""
    after: jax.Array = jax.lax.dynamic_update_index_in_dim(transitions, new, stored % transitions.shape[0], 0)
    return after


def places(bits: jax.Array, stored: jax.Array, capacity: int) -> jax.Array:
    """Indices drawn uniformly, with replacement, among what is stored.

    Args:
        bits: random uint32, any shape.
        stored: transitions stored so far, the overwritten ones included.
        capacity: of the buffer.
    """
    size = jnp.clip(stored, 1, capacity).astype(jnp.uint64)
    return ((bits.astype(jnp.uint64) * size) >> 32).astype(jnp.int32)


def gather(transitions: jax.Array, indices: jax.Array) -> TransitionBatch:
    """The transitions in these places, with the indices' shape as leading axes."""
    rows = transitions.at[indices].get(mode="promise_in_bounds")
    width = (transitions.shape[1] - 3) // 2
    return TransitionBatch(
        rows[..., :width],
        rows[..., width : 2 * width],
        rows[..., -3].astype(jnp.int32),
        rows[..., -2],
        rows[..., -1],
    )


def discounts(undiscounted_draws: jax.Array, inverted_draws: jax.Array, sites: Sites) -> jax.Array:
    """The factor c of each batch's target r + (1 - d) c max Q: gamma, 1 (NDF), -gamma (ILF) or -1 (both); float32."""
    size = jnp.where(undiscounted_draws < sites.undiscounted, 1.0, sites.gamma)
    return (jnp.where(inverted_draws < sites.inverted, -1.0, 1.0) * size).astype(jnp.float32)
