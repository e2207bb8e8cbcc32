"""MountainCar-v0: gymnasium's formulas in its order of operations, in float64."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from agents.deeprl.engines.fleet.worlds.base import Arithmetic, Coordinates, Discrete, Transition, World

MIN_POSITION, MAX_POSITION = -1.2, 0.6
RESET_LOW, RESET_HIGH = -0.6, -0.4


def _step(state: Coordinates, action: jax.Array, point: Coordinates, arithmetic: Arithmetic) -> Transition:
    """`state`: position and velocity; `action`: 0 pushes left, 1 not at all, 2 right."""
    position, velocity = state
    force, gravity, max_speed, goal_position, goal_velocity = point
    rounded = arithmetic.rounded
    push = rounded((action - 1) * force) + rounded(jnp.cos(3 * position) * -gravity)
    velocity = jnp.clip(velocity + push, -max_speed, max_speed)
    position = jnp.clip(position + velocity, MIN_POSITION, MAX_POSITION)
    velocity = jnp.where((position == MIN_POSITION) & (velocity < 0), 0.0, velocity)
    reached = (position >= goal_position) & (velocity >= goal_velocity)
    return Transition((position, velocity), jnp.float64(-1.0), reached)


def _reset_states(key: jax.Array, count: int) -> jax.Array:
    positions = jax.random.uniform(key, (count,), jnp.float64, RESET_LOW, RESET_HIGH)
    return jnp.stack([positions, jnp.zeros_like(positions)], axis=1)


def _library_reset(generator: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    state = np.array([generator.uniform(low=RESET_LOW, high=RESET_HIGH), 0.0])
    return state, state.astype(np.float32)


MOUNTAIN_CAR = World(
    name="MountainCar-v0",
    parameters=(
        ("force", 0.001),
        ("gravity", 0.0025),
        ("max_speed", 0.07),
        ("goal_position", 0.5),
        ("goal_velocity", 0.0),
    ),
    observations=2,
    actions=Discrete(3),
    time_limit=200,
    reset_states=_reset_states,
    library_reset=_library_reset,
    observe=None,
    step=_step,
)
