"""A compiled world as a learner meets it: physics, time limit, resets, and the experience site. One agent."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from agents.deeprl.engines.fleet import experience
from agents.deeprl.engines.fleet.experience import ExperienceDraws, ShownMemory
from agents.deeprl.engines.fleet.sites import Sites, stream
from agents.deeprl.engines.fleet.worlds.base import FAST, Coordinates, World


class EpisodeState(NamedTuple):
    """One agent's environment between two steps.

    Attributes:
        state: of the physics, float64, shape (coordinates,).
        elapsed: steps of this episode, int32.
        memory: of the experience site.
        episode_return: sum of the logged rewards of this episode, float32.
    """

    state: jax.Array
    elapsed: jax.Array
    memory: ShownMemory
    episode_return: jax.Array


class WorldDraws(NamedTuple):
    """Random numbers of a part of a training, one row per step.

    Attributes:
        resets: the state that an episode starts from if the one before ends with this step.
    """

    resets: jax.Array
    experience: ExperienceDraws


class StepResult(NamedTuple):
    """What the learner sees of one step.

    Attributes:
        observation: the next one; after the end of an episode the first of the following one. float32,
            shape (observations,).
        reward: as shown, float32.
        done: the episode ended.
        timed_out: it ended by the time limit alone, and the recipe lets the learner know.
        final_observation: as `observation`, without the reset.
        finished_return: return of the episode that ended, NaN if none did, float32.
    """

    observation: jax.Array
    reward: jax.Array
    done: jax.Array
    timed_out: jax.Array
    final_observation: jax.Array
    finished_return: jax.Array


def draws(world: World, agent_key: jax.Array, part: int | jax.Array, steps: int) -> WorldDraws:
    """The random numbers of `steps` steps of one agent; leaves have the steps as first axis."""
    resets = world.reset_states(stream(agent_key, "resets", part), steps)
    return WorldDraws(resets, experience.draws(agent_key, part, steps))


def start(world: World, agent_key: jax.Array, memory_size: int) -> tuple[EpisodeState, jax.Array]:
    """The first episode's beginning and its observation. Part -1 of the stream of resets."""
    state = world.reset_states(stream(agent_key, "resets", jnp.uint32(2**32 - 1)), 1)[0]
    memory = experience.empty_memory(memory_size, world.observations)
    return EpisodeState(state, jnp.int32(0), memory, jnp.float32(0)), _observed(world, state)


def advance(
    world: World, point: Coordinates, episode: EpisodeState, action: Any, draw: WorldDraws, sites: Sites
) -> tuple[EpisodeState, StepResult]:
    """One step.

    Args:
        world: which environment.
        point: its parameters' values; float64 scalars.
        episode: before the step.
        action: as the world takes it.
        draw: one row of `WorldDraws`.
        sites: the recipe's.
    """
    stepped, pay, terminated = world.step(_coordinates(episode.state), action, point, FAST)
    following, true_reward = jnp.stack(stepped), pay.astype(jnp.float32)
    elapsed = episode.elapsed + 1
    timed_out = elapsed >= world.time_limit
    done = terminated | timed_out
    memory, shown, reward = experience.show(
        episode.memory, _observed(world, following), true_reward, draw.experience, sites
    )
    episode_return = episode.episode_return + jnp.where(sites.log_shown_reward, reward, true_reward)
    result = StepResult(
        observation=jnp.where(done, _observed(world, draw.resets), shown),
        reward=reward,
        done=done,
        timed_out=timed_out & ~terminated & ~sites.time_limit_is_terminal,
        final_observation=shown,
        finished_return=jnp.where(done, episode_return, jnp.float32(jnp.nan)),
    )
    after = EpisodeState(
        state=jnp.where(done, draw.resets, following),
        elapsed=jnp.where(done, 0, elapsed),
        memory=experience.end_episode(memory, done, sites),
        episode_return=jnp.where(done, jnp.float32(0), episode_return),
    )
    return after, result


def _coordinates(state: jax.Array) -> Coordinates:
    return tuple(state[index] for index in range(state.shape[0]))


def _observed(world: World, state: jax.Array) -> jax.Array:
    if world.observe is not None:
        state = jnp.stack(world.observe(_coordinates(state)))
    return state.astype(jnp.float32)
