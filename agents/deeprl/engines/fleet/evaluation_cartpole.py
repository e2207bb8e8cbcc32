"""CartPole episodes of many agents with many masses, compiled: all of them advance together until all have ended.

The physics is gymnasium's, bit for bit: same operations, same order, float64, and no product fused into the sum that
follows it (XLA's compiler would round once where NumPy rounds twice, and over hundreds of steps a difference of one
bit grows until the pole falls at another step).
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

from agents.deeprl.engines.fleet import cartpole
from agents.deeprl.engines.fleet.evaluation_policies import (
    FEWEST_ROWS,
    Layers,
    Policy,
    actions,
    padded,
    stacked,
)

MOST_ROWS = 4096
"""Episodes that advance together; more would not stay in the core's cache."""

SEGMENTS = (40, 120, cartpole.TIME_LIMIT)
"""Steps after which agents whose episodes are all over leave the batch."""

WORTH_LEAVING = 1024
"""Episodes of a batch that is worth making smaller; another size may have to be compiled."""

State = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


class Columns(NamedTuple):
    """The episodes of all agents, each array of shape (agents, episodes): state, masses, steps survived, running."""

    state: State
    total_mass: jax.Array
    pole_mass: jax.Array
    steps: jax.Array
    running: jax.Array


class Masses(NamedTuple):
    """kg; plain numbers."""

    cart: float
    pole: float


Task = tuple[int, Masses]
"""Index of an agent, and the masses of its environment."""


def evaluate_cartpole(
    policies: Sequence[Policy], tasks: Sequence[Task], episodes: int, seed: int
) -> list[tuple[float, ...]]:
    """Returns of each task's episodes, shape (episodes,); episode e starts where a reset with seed + e puts it.

    Args:
        policies: of one shape.
    """
    by_agent: dict[int, list[int]] = {}
    for position, (agent, _) in enumerate(tasks):
        by_agent.setdefault(agent, []).append(position)
    results: list[tuple[float, ...]] = [()] * len(tasks)
    starts = np.stack([initial_state(seed + episode) for episode in range(episodes)], axis=1)
    for batch in _batches(by_agent, episodes):
        masses = [[tasks[position][1] for position in positions] for _, positions in batch]
        steps = _run(stacked_of(policies, batch), policies[0].activation, masses, starts)
        for (_, positions), row in zip(batch, steps, strict=True):
            for place, position in enumerate(positions):
                chosen = row[place * episodes : (place + 1) * episodes]
                results[position] = tuple(float(value) for value in chosen)
    return results


@functools.lru_cache(maxsize=4096)
def initial_state(seed: int) -> NDArray[np.float64]:
    """The state that gymnasium's reset with this seed draws, shape (4,)."""
    generator, _ = seeding.np_random(seed)
    bound = cartpole.RESET_BOUND
    return generator.uniform(low=-bound, high=bound, size=(cartpole.OBSERVATIONS,))


Batch = list[tuple[int, list[int]]]
"""Agents with the positions of their tasks."""


def _batches(by_agent: dict[int, list[int]], episodes: int) -> list[Batch]:
    """Tasks that are run together: all agents, as many tasks of each as fit."""
    agents = list(by_agent)
    width = max(1, MOST_ROWS // FEWEST_ROWS)
    batches: list[Batch] = []
    for first in range(0, len(agents), width):
        some = agents[first : first + width]
        each = max(1, MOST_ROWS // (padded(len(some)) * episodes))
        for start in range(0, max(len(by_agent[agent]) for agent in some), each):
            batch = [(agent, by_agent[agent][start : start + each]) for agent in some]
            batches.append([(agent, positions) for agent, positions in batch if positions])
    return batches


def stacked_of(policies: Sequence[Policy], batch: Batch) -> Layers:
    """The layers of a batch's agents, filled up to a size that is compiled anyway."""
    return stacked([policies[agent] for agent, _ in batch], padded(len(batch)))


def _run(layers: Layers, activation: str, masses: list[list[Masses]], starts: NDArray[np.float64]) -> NDArray[np.int32]:
    """Steps survived, shape (agents, columns); in segments, after which finished agents leave."""
    columns = _columns(masses, starts)
    survived = np.zeros((len(masses), columns.steps.shape[1]), np.int32)
    rows = np.arange(len(masses))
    for end in SEGMENTS:
        columns = _advance(layers, columns, activation, np.int64(0), end)
        survived[rows] = np.asarray(columns.steps)[: len(rows)]
        running = np.any(np.asarray(columns.running)[: len(rows)], axis=1)
        if not running.any():
            break
        fewer = padded(int(running.sum()))
        if columns.steps.size >= WORTH_LEAVING and 2 * fewer <= padded(len(rows)):
            kept = np.flatnonzero(running)
            rows = rows[kept]
            chosen = np.concatenate([kept, np.zeros(fewer - len(kept), np.int64)])
            layers, columns = jax.tree.map(lambda leaf, some=chosen: leaf[some], (layers, columns))
            columns = columns._replace(running=columns.running.at[len(kept) :].set(False))
    return survived


def _columns(masses: list[list[Masses]], starts: NDArray[np.float64]) -> Columns:
    """All episodes at their start; padding has ended before it begins."""
    episodes = starts.shape[1]
    shape = (padded(len(masses)), padded(episodes * max(len(row) for row in masses), FEWEST_ROWS))
    state, running = np.zeros((cartpole.OBSERVATIONS, *shape)), np.zeros(shape, bool)
    cart, pole = np.ones(shape), np.ones(shape)
    for agent, row in enumerate(masses):
        for place, point in enumerate(row):
            part = slice(place * episodes, (place + 1) * episodes)
            state[:, agent, part] = starts
            cart[agent, part], pole[agent, part] = point.cart, point.pole
            running[agent, part] = True
    four = tuple(jnp.asarray(values) for values in state)
    total = jnp.asarray(pole + cart)
    return Columns(
        (four[0], four[1], four[2], four[3]),
        total,
        jnp.asarray(pole),
        jnp.zeros(shape, jnp.int32),
        jnp.asarray(running),
    )


@functools.partial(jax.jit, static_argnames=("activation",))
def _advance(layers: Layers, columns: Columns, activation: str, zero: Any, end: Any) -> Columns:
    """Advance until step `end`, or until all episodes are over. `zero` is 0; see `_rounded`."""

    def unfinished(carry: tuple[jax.Array, Columns]) -> jax.Array:
        step, now = carry
        return jnp.any(now.running) & jnp.less(step, end)

    def advance(carry: tuple[jax.Array, Columns]) -> tuple[jax.Array, Columns]:
        step, now = carry
        observations = jnp.stack([values.astype(jnp.float32) for values in now.state], axis=-1)
        chosen = actions(layers, observations, activation)
        following, fallen = _step(now.state, chosen, now.total_mass, now.pole_mass, zero)
        kept = tuple(jnp.where(now.running, new, old) for new, old in zip(following, now.state, strict=True))
        state = (kept[0], kept[1], kept[2], kept[3])
        steps = now.steps + now.running
        return step + 1, now._replace(state=state, steps=steps, running=now.running & ~fallen)

    final: Columns = jax.lax.while_loop(unfinished, advance, (jnp.max(columns.steps), columns))[1]
    return final


def _step(
    state: State, action: jax.Array, total_mass: jax.Array, pole_mass: jax.Array, zero: jax.Array
) -> tuple[State, jax.Array]:
    """`cartpole.step` for arrays of any shape, with every product rounded before it is added to something."""
    position, velocity, angle, angular_velocity = state
    pole_mass_length = pole_mass * cartpole.HALF_LENGTH
    force = jnp.where(action == 1, cartpole.FORCE, -cartpole.FORCE)
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    push = (force + _rounded(pole_mass_length * jnp.square(angular_velocity) * sine, zero)) / total_mass
    angular_acceleration = (_rounded(cartpole.GRAVITY * sine, zero) - _rounded(cosine * push, zero)) / (
        cartpole.HALF_LENGTH * (4.0 / 3.0 - pole_mass * jnp.square(cosine) / total_mass)
    )
    acceleration = push - pole_mass_length * angular_acceleration * cosine / total_mass
    seconds = cartpole.SECONDS_PER_STEP
    following = (
        position + _rounded(seconds * velocity, zero),
        velocity + _rounded(seconds * acceleration, zero),
        angle + _rounded(seconds * angular_velocity, zero),
        angular_velocity + _rounded(seconds * angular_acceleration, zero),
    )
    off_the_track, tipped = (
        jnp.abs(following[0]) > cartpole.POSITION_LIMIT,
        jnp.abs(following[2]) > cartpole.ANGLE_LIMIT,
    )
    return following, off_the_track | tipped


def _rounded(value: jax.Array, zero: jax.Array) -> jax.Array:
    """The value itself, out of the compiler's sight: it cannot know that `zero`, an int64, is 0."""
    bits = jax.lax.bitcast_convert_type(value, jnp.int64) ^ zero
    return jax.lax.bitcast_convert_type(bits, jnp.float64)
