"""Episodes of many agents at many points of a compiled world: all of them advance together until all have ended.

The physics is gymnasium's, bit for bit (`worlds.base.exact`): over hundreds of steps a difference of one bit grows
until an episode ends at another step.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray

from agents.deeprl.engines.fleet.evaluation_policies import (
    FEWEST_ROWS,
    Layers,
    Policy,
    actions,
    padded,
    stacked,
)
from agents.deeprl.engines.fleet.worlds.base import Coordinates, World, exact

MOST_ROWS = 4096
"""Episodes that advance together; more would not stay in the core's cache."""

EARLY_SEGMENTS = (40, 120)
"""Steps after which agents whose episodes are all over leave the batch."""

WORTH_LEAVING = 1024
"""Episodes of a batch that is worth making smaller; another size may have to be compiled."""

Point = tuple[float, ...]
"""Values of a world's parameters, in order."""

CompiledTask = tuple[int, Point]
"""Index of an agent, and the point of its environment."""

TaskBatch = list[tuple[int, list[int]]]
"""Agents with the positions of their tasks."""


class EpisodeColumns(NamedTuple):
    """The episodes of all agents, in arrays of shape (agents, episodes).

    Attributes:
        state, point: of the world.
        observations: float32, shape (agents, episodes, observations).
        returns: so far, float64.
        running: whether the episode has not ended.
    """

    state: Coordinates
    point: Coordinates
    observations: jax.Array
    returns: jax.Array
    running: jax.Array


class Starts(NamedTuple):
    """Where episodes begin; arrays of shape (coordinates, episodes) and (episodes, observations)."""

    states: NDArray[np.float64]
    observations: NDArray[np.float32]


def evaluate_compiled(
    world: World, policies: Sequence[Policy], tasks: Sequence[CompiledTask], episodes: int, seed: int
) -> list[tuple[float, ...]]:
    """Returns of each task's episodes, shape (episodes,); episode e starts where a reset with seed + e puts it.

    Args:
        world: of all tasks.
        policies: of one shape.
        tasks: what to evaluate.
        episodes, seed: of each task.
    """
    return advance_together(world, policies, tasks, episodes, seed)[0]


def advance_together(
    world: World, policies: Sequence[Policy], tasks: Sequence[CompiledTask], episodes: int, seed: int
) -> tuple[list[tuple[float, ...]], int]:
    """`evaluate_compiled`, and the steps that were made for it (of whole batches)."""
    by_agent: dict[int, list[int]] = {}
    for position, (agent, _) in enumerate(tasks):
        by_agent.setdefault(agent, []).append(position)
    results: list[tuple[float, ...]] = [()] * len(tasks)
    starts, steps = _starts(world, episodes, seed), 0
    for batch in _batches(by_agent, episodes):
        points = [[tasks[position][1] for position in positions] for _, positions in batch]
        returns, made = _run(world, stacked_of(policies, batch), policies[0].activation, points, starts)
        steps += made
        for (_, positions), row in zip(batch, returns, strict=True):
            for place, position in enumerate(positions):
                chosen = row[place * episodes : (place + 1) * episodes]
                results[position] = tuple(float(value) for value in chosen)
    return results, steps


def _starts(world: World, episodes: int, seed: int) -> Starts:
    resets = [_reset(world, seed + episode) for episode in range(episodes)]
    states, observations = zip(*resets, strict=True)
    return Starts(np.stack(states, axis=1), np.stack(observations))


@functools.lru_cache(maxsize=4096)
def _reset(world: World, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """State and observation of gymnasium's reset with this seed."""
    return world.library_reset(seeding.np_random(seed)[0])


def _batches(by_agent: dict[int, list[int]], episodes: int) -> list[TaskBatch]:
    """Tasks that are run together: all agents, as many tasks of each as fit."""
    agents = list(by_agent)
    width = max(1, MOST_ROWS // FEWEST_ROWS)
    batches: list[TaskBatch] = []
    for first in range(0, len(agents), width):
        some = agents[first : first + width]
        each = max(1, MOST_ROWS // (padded(len(some)) * episodes))
        for start in range(0, max(len(by_agent[agent]) for agent in some), each):
            batch = [(agent, by_agent[agent][start : start + each]) for agent in some]
            batches.append([(agent, positions) for agent, positions in batch if positions])
    return batches


def stacked_of(policies: Sequence[Policy], batch: TaskBatch) -> Layers:
    """The layers of a batch's agents, filled up to a size that is compiled anyway."""
    return stacked([policies[agent] for agent, _ in batch], padded(len(batch)))


def _run(
    world: World, layers: Layers, activation: str, points: list[list[Point]], starts: Starts
) -> tuple[NDArray[np.float64], int]:
    """Returns, shape (agents, columns), and steps made; in segments, after which finished agents leave."""
    columns = _columns(world, points, starts)
    returns = np.zeros((len(points), columns.returns.shape[1]))
    rows, made = np.arange(len(points)), 0
    for end in (*(step for step in EARLY_SEGMENTS if step < world.time_limit), world.time_limit):
        columns, step = _advance(world, layers, columns, activation, np.int64(0), made, end)
        made = int(step)
        returns[rows] = np.asarray(columns.returns)[: len(rows)]
        running = np.any(np.asarray(columns.running)[: len(rows)], axis=1)
        if not running.any():
            break
        fewer = padded(int(running.sum()))
        if columns.returns.size >= WORTH_LEAVING and 2 * fewer <= padded(len(rows)):
            kept = np.flatnonzero(running)
            rows = rows[kept]
            chosen = np.concatenate([kept, np.zeros(fewer - len(kept), np.int64)])
            layers, columns = jax.tree.map(lambda leaf, some=chosen: leaf[some], (layers, columns))
            columns = columns._replace(running=columns.running.at[len(kept) :].set(False))
    return returns, made


def _columns(world: World, points: list[list[Point]], starts: Starts) -> EpisodeColumns:
    """All episodes at their start; padding has ended before it begins."""
    coordinates, episodes = starts.states.shape
    shape = (padded(len(points)), padded(episodes * max(len(row) for row in points), FEWEST_ROWS))
    state, running = np.zeros((coordinates, *shape)), np.zeros(shape, bool)
    observations = np.zeros((*shape, world.observations), np.float32)
    point = [np.full(shape, default) for _, default in world.parameters]
    for agent, row in enumerate(points):
        for place, values in enumerate(row):
            part = slice(place * episodes, (place + 1) * episodes)
            state[:, agent, part], observations[agent, part] = starts.states, starts.observations
            running[agent, part] = True
            for column, value in zip(point, values, strict=True):
                column[agent, part] = value
    return EpisodeColumns(
        tuple(jnp.asarray(values) for values in state),
        tuple(jnp.asarray(values) for values in point),
        jnp.asarray(observations),
        jnp.zeros(shape),
        jnp.asarray(running),
    )


@functools.partial(jax.jit, static_argnames=("world", "activation"))
def _advance(
    world: World, layers: Layers, columns: EpisodeColumns, activation: str, zero: Any, start: Any, end: Any
) -> tuple[EpisodeColumns, jax.Array]:
    """Advance from step `start` to step `end`, or until all episodes are over; second: the step reached.

    Args:
        world: of all episodes.
        layers, activation: of the agents' policies.
        columns: the episodes at step `start`.
        zero: 0, see `worlds.base.exact`.
        start, end: numbers of steps.
    """
    arithmetic = exact(zero)

    def unfinished(carry: tuple[jax.Array, EpisodeColumns]) -> jax.Array:
        step, now = carry
        return jnp.any(now.running) & jnp.less(step, end)

    def advance(carry: tuple[jax.Array, EpisodeColumns]) -> tuple[jax.Array, EpisodeColumns]:
        step, now = carry
        chosen = actions(layers, now.observations, activation)
        following, reward, terminated = world.step(now.state, chosen, now.point, arithmetic)
        state = tuple(jnp.where(now.running, new, old) for new, old in zip(following, now.state, strict=True))
        observations = jnp.stack([values.astype(jnp.float32) for values in world.observation(state)], axis=-1)
        returns = now.returns + jnp.where(now.running, reward, 0.0)
        return step + 1, EpisodeColumns(state, now.point, observations, returns, now.running & ~terminated)

    step, final = jax.lax.while_loop(unfinished, advance, (jnp.asarray(start), columns))
    return final, step
