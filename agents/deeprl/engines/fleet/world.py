"""CartPole as a learner meets it, compiled: physics, time limit, resets, and the experience site. One agent."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from agents.deeprl.engines.fleet import cartpole, experience
from agents.deeprl.engines.fleet.cartpole import Masses
from agents.deeprl.engines.fleet.experience import Memory
from agents.deeprl.engines.fleet.sites import Sites, stream


class World(NamedTuple):
    """One agent's environment between two steps.

    Attributes:
        state: of the physics, float64, shape (4,).
        elapsed: steps of this episode, int32.
        memory: of the experience site.
        episode_return: sum of the logged rewards of this episode, float32.
    """

    state: jax.Array
    elapsed: jax.Array
    memory: Memory
    episode_return: jax.Array


class Draws(NamedTuple):
    """Random numbers of a part of a training, one row per step."""

    resets: jax.Array
    experience: experience.Draws


class Seen(NamedTuple):
    """What one step tells the learner.

    Attributes:
        observation: the next one; after the end of an episode the first of the following one. float32, shape (4,).
        reward: as shown, float32.
        done: the episode ended.
        timed_out: it ended by the time limit alone, and the learner is told so.
        final_observation: as `observation`, without the reset.
        finished_return: return of the episode that ended, NaN if none did, float32.
    """

    observation: jax.Array
    reward: jax.Array
    done: jax.Array
    timed_out: jax.Array
    final_observation: jax.Array
    finished_return: jax.Array


def draws(agent_key: jax.Array, part: int | jax.Array, steps: int) -> Draws:
    """The random numbers of `steps` steps of one agent; leaves have the steps as first axis."""
    resets = cartpole.reset_states(stream(agent_key, "resets", part), steps)
    return Draws(resets, experience.draws(agent_key, part, steps))


def start(agent_key: jax.Array, memory_size: int) -> tuple[World, jax.Array]:
    """The first episode's beginning and its observation. Part -1 of the stream of resets."""
    state = cartpole.reset_states(stream(agent_key, "resets", jnp.uint32(2**32 - 1)), 1)[0]
    memory = experience.empty_memory(memory_size, cartpole.OBSERVATIONS)
    return World(state, jnp.int32(0), memory, jnp.float32(0)), state.astype(jnp.float32)


def advance(world: World, action: jax.Array, draw: Draws, sites: Sites, masses: Masses) -> tuple[World, Seen]:
    """One step.

    Args:
        world: before the step.
        action: 0 or 1.
        draw: one row of `Draws`.
        sites: the recipe's.
        masses: of the environment that agents are trained in.
    """
    following, fallen = cartpole.step(world.state, action, masses)
    elapsed = world.elapsed + 1
    timed_out = elapsed >= cartpole.TIME_LIMIT
    done = fallen | timed_out
    true_reward = jnp.float32(1.0)
    memory, shown, reward = experience.show(
        world.memory, following.astype(jnp.float32), true_reward, draw.experience, sites
    )
    episode_return = world.episode_return + jnp.where(sites.log_shown_reward, reward, true_reward)
    seen = Seen(
        observation=jnp.where(done, draw.resets.astype(jnp.float32), shown),
        reward=reward,
        done=done,
        timed_out=timed_out & ~fallen & ~sites.time_limit_is_terminal,
        final_observation=shown,
        finished_return=jnp.where(done, episode_return, jnp.float32(jnp.nan)),
    )
    after = World(
        state=jnp.where(done, draw.resets, following),
        elapsed=jnp.where(done, 0, elapsed),
        memory=experience.end_episode(memory, done, sites),
        episode_return=jnp.where(done, jnp.float32(0), episode_return),
    )
    return after, seen
