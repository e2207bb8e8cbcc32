"""CartPole-v1's physics, compiled: gymnasium's formulas in its order of operations, in float64.

The parameters of the physics are arrays, so environments with different masses run in one batch. Everything here is
written for one environment; callers `vmap` it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from envsearch.environments.cartpole import CARTPOLE, MAX_STEPS
from envsearch.errors import InputError
from envsearch.spec import EnvironmentSpec

GRAVITY = 9.8
HALF_LENGTH = 0.5
FORCE = 10.0
SECONDS_PER_STEP = 0.02
POSITION_LIMIT = 2.4
ANGLE_LIMIT = 12 * 2 * math.pi / 360
RESET_BOUND = 0.05

NAME = CARTPOLE.name
OBSERVATIONS = 4
ACTIONS = 2
TIME_LIMIT = MAX_STEPS


class Masses(NamedTuple):
    """kg; float64 scalars for one environment."""

    cart: jax.Array
    pole: jax.Array


def masses(environment: EnvironmentSpec) -> Masses:
    """The point of the space of masses that a spec names; parameters it does not name keep their initial value.

    Raises:
        InputError: another environment.
    """
    if environment.name != NAME:
        raise InputError(f"{environment.name!r} is not compiled", "environment", NAME)
    values = {parameter.name: parameter.initial for parameter in CARTPOLE.parameters} | dict(environment.values)
    return Masses(jnp.float64(values["cart_mass"]), jnp.float64(values["pole_mass"]))


def step(state: jax.Array, action: jax.Array, masses: Masses) -> tuple[jax.Array, jax.Array]:
    """One step of the physics.

    Args:
        state: position (m), velocity (m/s), angle (rad), angular velocity (rad/s); float64, shape (4,).
        action: 1 pushes right, 0 left.
        masses: of cart and pole.

    Returns:
        The next state, float64, shape (4,), and whether the pole fell or the cart left the track.
    """
    position, velocity, angle, angular_velocity = state[0], state[1], state[2], state[3]
    total_mass = masses.pole + masses.cart
    pole_mass_length = masses.pole * HALF_LENGTH
    force = jnp.where(action == 1, FORCE, -FORCE)
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    push = (force + pole_mass_length * jnp.square(angular_velocity) * sine) / total_mass
    angular_acceleration = (GRAVITY * sine - cosine * push) / (
        HALF_LENGTH * (4.0 / 3.0 - masses.pole * jnp.square(cosine) / total_mass)
    )
    acceleration = push - pole_mass_length * angular_acceleration * cosine / total_mass
    following = jnp.stack(
        [
            position + SECONDS_PER_STEP * velocity,
            velocity + SECONDS_PER_STEP * acceleration,
            angle + SECONDS_PER_STEP * angular_velocity,
            angular_velocity + SECONDS_PER_STEP * angular_acceleration,
        ]
    )
    fallen = (jnp.abs(following[0]) > POSITION_LIMIT) | (jnp.abs(following[2]) > ANGLE_LIMIT)
    return following, fallen


def reset_states(key: jax.Array, count: int) -> jax.Array:
    """Initial states, uniform in each coordinate, float64, shape (count, 4)."""
    return jax.random.uniform(key, (count, OBSERVATIONS), jnp.float64, -RESET_BOUND, RESET_BOUND)
