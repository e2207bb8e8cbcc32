"""The experience site, compiled: what `FaultyExperience` does in the sb3 engine, for one agent; callers `vmap` it.

A transition is one row: the observation and, last, the reward.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from agents.deeprl.engines.fleet.sites import REPLACEMENTS, Sites, stream


class ShownMemory(NamedTuple):
    """The latest true transitions, and what was shown last.

    Attributes:
        transitions: ring of rows, float32, shape (size, observations + 1).
        written: transitions written since the memory was cleared, int32.
        shown: the row that was shown last, shape (observations + 1,).
    """

    transitions: jax.Array
    written: jax.Array
    shown: jax.Array


class ExperienceDraws(NamedTuple):
    """Random numbers of the site, one row per step; uniform in [0, 1) but for `normal`."""

    strikes: jax.Array
    picks: jax.Array
    noise_strikes: jax.Array
    normal: jax.Array


def empty_memory(size: int, observations: int) -> ShownMemory:
    """A memory without transitions; size 0 where nothing is ever replaced."""
    row = observations + 1
    return ShownMemory(jnp.zeros((size, row), jnp.float32), jnp.int32(0), jnp.zeros(row, jnp.float32))


def draws(agent_key: jax.Array, part: int | jax.Array, steps: int) -> ExperienceDraws:
    """The site's random numbers for one part of a training; leaves have `steps` as first axis."""
    strike, pick = jax.random.split(stream(agent_key, "replacement", part))
    noise_strike, normal = jax.random.split(stream(agent_key, "noise", part))
    return ExperienceDraws(
        jax.random.uniform(strike, (steps,), jnp.float32),
        jax.random.uniform(pick, (steps, 3), jnp.float32),
        jax.random.uniform(noise_strike, (steps,), jnp.float32),
        jax.random.normal(normal, (steps,), jnp.float32),
    )


def show(
    memory: ShownMemory, observation: jax.Array, reward: jax.Array, draw: ExperienceDraws, sites: Sites
) -> tuple[ShownMemory, jax.Array, jax.Array]:
    """Observation and reward of one step as the learner sees them.

    Args:
        memory: before the step.
        observation: the true one, float32, shape (observations,).
        reward: the true one, float32.
        draw: one row of `ExperienceDraws`.
        sites: the recipe's.
    """
    if memory.transitions.shape[0] > 0:  # otherwise the program has no memory to carry
        memory, observation, reward = _replaced(memory, observation, reward, draw, sites)
    noisy = reward + sites.noise_scale * jnp.abs(reward) * draw.normal
    return memory, observation, jnp.where(draw.noise_strikes < sites.noise_probability, noisy, reward)


def end_episode(memory: ShownMemory, done: jax.Array, sites: Sites) -> ShownMemory:
    """Forget the episode that ended, unless the site keeps it."""
    return memory._replace(written=jnp.where(done & ~sites.across_episodes, 0, memory.written))


def _replaced(
    memory: ShownMemory, observation: jax.Array, reward: jax.Array, draw: ExperienceDraws, sites: Sites
) -> tuple[ShownMemory, jax.Array, jax.Array]:
    size = memory.transitions.shape[0]
    current = jnp.concatenate([observation, reward[None]])
    transitions = jax.lax.dynamic_update_index_in_dim(memory.transitions, current, memory.written % size, 0)
    written = memory.written + 1
    length = jnp.minimum(written, size)

    def row(age: jax.Array) -> jax.Array:
        return jnp.take(transitions, (written - 1 - age) % size, axis=0)

    first = _index(draw.picks[0], length)
    # Two draws from a pool of p distinct transitions hit the same one once in p times.
    pool = jnp.minimum(sites.mangle_pool, length)
    other = (first + 1 + _index(draw.picks[2], length - 1)) % length
    second = jnp.where(draw.picks[1] < 1.0 / pool, first, other)
    picked = row(first)
    mangled = jnp.concatenate([picked[:-1], row(second)[-1:]])
    previous = jnp.where(sites.frozen, memory.shown, row(jnp.int32(1)))
    alone = length < 2
    choices = (current, jnp.where(alone, current, previous), picked, jnp.where(alone, current, mangled))
    replaced = jnp.select([sites.replacement == code for code in range(len(REPLACEMENTS))], choices)
    shown = jnp.where(draw.strikes < sites.replacement_probability, replaced, current)
    return ShownMemory(transitions, written, shown), shown[:-1], shown[-1]


def _index(uniform: jax.Array, length: jax.Array) -> jax.Array:
    """A whole number in [0, length) from a number in [0, 1)."""
    return jnp.clip((uniform * length).astype(jnp.int32), 0, jnp.maximum(length - 1, 0))
