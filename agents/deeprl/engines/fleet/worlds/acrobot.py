"""Acrobot-v1: gymnasium's formulas (those of the book) in its order of operations, in float64."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from agents.deeprl.engines.fleet.worlds.base import Arithmetic, Coordinates, Discrete, Transition, World

GRAVITY = 9.8
SECONDS_PER_STEP = 0.2
MAX_SPEEDS = (4 * math.pi, 9 * math.pi)
RESET_BOUND = 0.1
MOST_TURNS = 3
"""Whole turns of a link in one step; at the speed limits it makes less than two."""


def _derivative(state: Coordinates, torque: jax.Array, point: Coordinates, arithmetic: Arithmetic) -> Coordinates:
    """The change of the state per second, by gymnasium's names: (m, l, lc, I) of the links, d and phi of the book."""
    theta1, theta2, dtheta1, dtheta2 = state
    m1, m2, l1, lc1, lc2, inertia = point
    rounded, squared = arithmetic
    cosine, sine = jnp.cos(theta2), jnp.sin(theta2)
    swing = squared(l1) + squared(lc2) + rounded(2 * l1 * lc2 * cosine)
    d1 = rounded(m1 * squared(lc1)) + rounded(m2 * swing) + inertia + inertia
    d2 = rounded(m2 * (squared(lc2) + rounded(l1 * lc2 * cosine))) + inertia
    phi2 = rounded(m2 * lc2 * GRAVITY * jnp.cos(theta1 + theta2 - math.pi / 2.0))
    phi1 = (
        rounded(-m2 * l1 * lc2 * squared(dtheta2) * sine)
        - rounded(2 * m2 * l1 * lc2 * dtheta2 * dtheta1 * sine)
        + rounded((rounded(m1 * lc1) + rounded(m2 * l1)) * GRAVITY * jnp.cos(theta1 - math.pi / 2))
        + phi2
    )
    pull = torque + rounded(d2 / d1 * phi1) - rounded(m2 * l1 * lc2 * squared(dtheta1) * sine) - phi2
    ddtheta2 = pull / (rounded(m2 * squared(lc2)) + inertia - squared(d2) / d1)
    ddtheta1 = -(rounded(d2 * ddtheta2) + phi1) / d1
    return dtheta1, dtheta2, ddtheta1, ddtheta2


def _after(state: Coordinates, seconds: float, slopes: Coordinates, arithmetic: Arithmetic) -> Coordinates:
    return tuple(value + arithmetic.rounded(seconds * slope) for value, slope in zip(state, slopes, strict=True))


def _runge_kutta(state: Coordinates, torque: jax.Array, point: Coordinates, arithmetic: Arithmetic) -> Coordinates:
    half = SECONDS_PER_STEP / 2.0
    k1 = _derivative(state, torque, point, arithmetic)
    k2 = _derivative(_after(state, half, k1, arithmetic), torque, point, arithmetic)
    k3 = _derivative(_after(state, half, k2, arithmetic), torque, point, arithmetic)
    k4 = _derivative(_after(state, SECONDS_PER_STEP, k3, arithmetic), torque, point, arithmetic)
    slopes = tuple(a + 2 * b + 2 * c + d for a, b, c, d in zip(k1, k2, k3, k4, strict=True))
    return _after(state, SECONDS_PER_STEP / 6.0, slopes, arithmetic)


def _wrapped(angle: jax.Array) -> jax.Array:
    """The angle within [-pi, pi], by as many whole turns as it takes, one after the other."""
    turn = math.pi - -math.pi
    for _ in range(MOST_TURNS):
        angle = jnp.where(angle > math.pi, angle - turn, angle)
    for _ in range(MOST_TURNS):
        angle = jnp.where(angle < -math.pi, angle + turn, angle)
    return angle


def _step(state: Coordinates, action: jax.Array, point: Coordinates, arithmetic: Arithmetic) -> Transition:
    """`state`: angles (rad) and angular velocities (rad/s) of both links; `action` - 1 is the torque (N m)."""
    following = _runge_kutta(state, (action - 1).astype(jnp.float64), point, arithmetic)
    first, second = _wrapped(following[0]), _wrapped(following[1])
    speeds = [
        jnp.minimum(jnp.maximum(speed, -limit), limit) for speed, limit in zip(following[2:], MAX_SPEEDS, strict=True)
    ]
    terminated = -jnp.cos(first) - jnp.cos(second + first) > 1.0
    return Transition((first, second, *speeds), jnp.where(terminated, 0.0, -1.0), terminated)


def _observe(state: Coordinates) -> Coordinates:
    first, second, *speeds = state
    return jnp.cos(first), jnp.sin(first), jnp.cos(second), jnp.sin(second), *speeds


def _reset_states(key: jax.Array, count: int) -> jax.Array:
    states = jax.random.uniform(key, (count, 4), jnp.float64, -RESET_BOUND, RESET_BOUND)
    return states.astype(jnp.float32).astype(jnp.float64)


def _library_reset(generator: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """gymnasium observes the first state in float32 and all later ones in float64."""
    state = generator.uniform(low=-RESET_BOUND, high=RESET_BOUND, size=(4,)).astype(np.float32)
    first, second, *speeds = state
    observation = np.array([np.cos(first), np.sin(first), np.cos(second), np.sin(second), *speeds], np.float32)
    return state.astype(np.float64), observation


ACROBOT = World(
    name="Acrobot-v1",
    parameters=(
        ("LINK_MASS_1", 1.0),
        ("LINK_MASS_2", 1.0),
        ("LINK_LENGTH_1", 1.0),
        ("LINK_COM_POS_1", 0.5),
        ("LINK_COM_POS_2", 0.5),
        ("LINK_MOI", 1.0),
    ),
    observations=6,
    actions=Discrete(3),
    time_limit=500,
    reset_states=_reset_states,
    library_reset=_library_reset,
    observe=_observe,
    step=_step,
)
