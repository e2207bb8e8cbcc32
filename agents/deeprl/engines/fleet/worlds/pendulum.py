"""Pendulum-v1: gymnasium's formulas in its order of operations and its precisions (the torque is float32)."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from agents.deeprl.engines.fleet.worlds.base import Arithmetic, Continuous, Coordinates, Transition, World

SECONDS_PER_STEP = 0.05
MAX_SPEED = 8.0
MAX_TORQUE = 2.0
RESET_BOUNDS = (math.pi, 1.0)


def _step(state: Coordinates, action: Coordinates, point: Coordinates, arithmetic: Arithmetic) -> Transition:
    """`state`: angle (rad, 0 is upright) and angular velocity (rad/s); `action`: the torque (N m), float32."""
    angle, velocity = state
    gravity, mass, length = point
    rounded, squared = arithmetic
    torque = jnp.clip(action[0], -MAX_TORQUE, MAX_TORQUE)
    turned = (angle + math.pi) % (2 * math.pi) - math.pi
    effort = (jnp.float32(0.001) * squared(torque)).astype(jnp.float64)
    cost = squared(turned) + rounded(0.1 * squared(velocity)) + effort
    per_torque = (3.0 / rounded(mass * squared(length))).astype(jnp.float32)
    pull = rounded(3 * gravity / (2 * length) * jnp.sin(angle)) + (per_torque * torque).astype(jnp.float64)
    faster = jnp.clip(velocity + rounded(pull * SECONDS_PER_STEP), -MAX_SPEED, MAX_SPEED)
    following = (angle + rounded(faster * SECONDS_PER_STEP), faster)
    return Transition(following, -cost, jnp.zeros_like(angle, dtype=jnp.bool_))


def _observe(state: Coordinates) -> Coordinates:
    angle, velocity = state
    return jnp.cos(angle), jnp.sin(angle), velocity


def _reset_states(key: jax.Array, count: int) -> jax.Array:
    bounds = jnp.array(RESET_BOUNDS, jnp.float64)
    return jax.random.uniform(key, (count, 2), jnp.float64, -bounds, bounds)


def _library_reset(generator: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    bounds = np.array(RESET_BOUNDS)
    state = generator.uniform(low=-bounds, high=bounds)
    return state, np.array([np.cos(state[0]), np.sin(state[0]), state[1]], np.float32)


PENDULUM = World(
    name="Pendulum-v1",
    parameters=(("g", 10.0), ("m", 1.0), ("l", 1.0)),
    observations=3,
    actions=Continuous(((-MAX_TORQUE, MAX_TORQUE),)),
    time_limit=200,
    reset_states=_reset_states,
    library_reset=_library_reset,
    observe=_observe,
    step=_step,
)
