"""CartPole-v1: gymnasium's formulas in its order of operations, in float64."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from agents.deeprl.engines.fleet.worlds.base import Arithmetic, Coordinates, Discrete, Transition, World
from envsearch.environments.cartpole import CARTPOLE as DEFINITION
from envsearch.environments.cartpole import MAX_STEPS

GRAVITY = 9.8
HALF_LENGTH = 0.5
FORCE = 10.0
SECONDS_PER_STEP = 0.02
POSITION_LIMIT = 2.4
ANGLE_LIMIT = 12 * 2 * math.pi / 360
RESET_BOUND = 0.05


def _step(state: Coordinates, action: jax.Array, point: Coordinates, arithmetic: Arithmetic) -> Transition:
    """`state`: position (m), velocity (m/s), angle (rad), angular velocity (rad/s); `action` 1 pushes right."""
    position, velocity, angle, angular_velocity = state
    cart_mass, pole_mass = point
    rounded = arithmetic.rounded
    total_mass = pole_mass + cart_mass
    pole_mass_length = pole_mass * HALF_LENGTH
    force = jnp.where(action == 1, FORCE, -FORCE)
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    push = (force + rounded(pole_mass_length * jnp.square(angular_velocity) * sine)) / total_mass
    angular_acceleration = (rounded(GRAVITY * sine) - rounded(cosine * push)) / (
        HALF_LENGTH * (4.0 / 3.0 - pole_mass * jnp.square(cosine) / total_mass)
    )
    acceleration = push - pole_mass_length * angular_acceleration * cosine / total_mass
    following = (
        position + rounded(SECONDS_PER_STEP * velocity),
        velocity + rounded(SECONDS_PER_STEP * acceleration),
        angle + rounded(SECONDS_PER_STEP * angular_velocity),
        angular_velocity + rounded(SECONDS_PER_STEP * angular_acceleration),
    )
    fallen = (jnp.abs(following[0]) > POSITION_LIMIT) | (jnp.abs(following[2]) > ANGLE_LIMIT)
    return Transition(following, jnp.float64(1.0), fallen)


def _reset_states(key: jax.Array, count: int) -> jax.Array:
    return jax.random.uniform(key, (count, 4), jnp.float64, -RESET_BOUND, RESET_BOUND)


def _library_reset(generator: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    state = generator.uniform(low=-RESET_BOUND, high=RESET_BOUND, size=(4,))
    return state, state.astype(np.float32)


CARTPOLE = World(
    name=DEFINITION.name,
    parameters=tuple((parameter.name, parameter.initial) for parameter in DEFINITION.parameters),
    observations=4,
    actions=Discrete(2),
    time_limit=MAX_STEPS,
    reset_states=_reset_states,
    library_reset=_library_reset,
    observe=None,
    step=_step,
    address=(),  # the fleet has always stepped it in its program
)
