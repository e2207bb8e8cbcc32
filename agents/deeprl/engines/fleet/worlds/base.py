"""What a compiled world is: a gymnasium environment as pure functions, stepped inside the compiled program.

The functions work on coordinates: a state is a tuple of float64 arrays, one per coordinate, of any common shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

Coordinates = tuple[jax.Array, ...]
"""float64 arrays of a common shape."""


class Discrete(NamedTuple):
    """Actions numbered from 0; a step takes int32."""

    choices: int


class Continuous(NamedTuple):
    """Actions are vectors within bounds, one (low, high) per component; a step takes a tuple of float32."""

    bounds: tuple[tuple[float, float], ...]


class Arithmetic(NamedTuple):
    """How exactly a step follows gymnasium.

    Attributes:
        rounded: applied to each product before it is added to something. The compiler would otherwise fuse the two and
            round once where NumPy rounds twice.
        squared: ``value ** 2`` of a Python or NumPy number, which calls C's ``pow``: in one case of a thousand it
            differs from ``value * value`` in the last bit.
    """

    rounded: Callable[[jax.Array], jax.Array]
    squared: Callable[[jax.Array], jax.Array]


FAST = Arithmetic(lambda value: value, jnp.square)
"""For training: a single step is gymnasium's to about 1e-14."""


def exact(zero: Any) -> Arithmetic:
    """For evaluation: gymnasium's steps, bit for bit.

    Args:
        zero: an int64 array that holds 0. It must be an argument of the compiled program: the compiler cannot know its
            value, so it can neither fuse the product nor replace the power.
    """

    def rounded(value: jax.Array) -> jax.Array:
        bits = jax.lax.bitcast_convert_type(value, jnp.int64) ^ zero
        return jax.lax.bitcast_convert_type(bits, jnp.float64)

    return Arithmetic(rounded, lambda value: jnp.power(value, rounded(jnp.float64(2.0)).astype(value.dtype)))


class Transition(NamedTuple):
    """The outcome of one step.

    Attributes:
        state: after the step, before any reset.
        reward: float64.
        terminated: bool; the time limit is not part of the physics.
    """

    state: Coordinates
    reward: jax.Array
    terminated: jax.Array


class World(NamedTuple):
    """One environment. Hashable: it is a static parameter of the compiled programs.

    Attributes:
        name: gymnasium id.
        parameters: (name, default) of every parameter that the physics reads. They are data of the compiled program,
            so environments that differ in them share a compilation.
        observations: numbers in an observation.
        actions: the action space.
        time_limit: steps after which an episode is truncated.
        reset_states: (key, count) -> initial states, float64, shape (count, coordinates).
        library_reset: a generator -> state (coordinates,) and observation (observations,) that gymnasium's reset draws
            from it, float64 and float32.
        observe: state -> observation, before it is rounded to float32; None where the observation is the state.
        step: (state, action, point, arithmetic) -> `Transition`. The point holds the parameters' values, in order.
        address: parts of the address of agents trained and evaluations run in this world, so that results of the time
            when the fleet stepped the environment on the host are not taken for these.
    """

    name: str
    parameters: tuple[tuple[str, float], ...]
    observations: int
    actions: Discrete | Continuous
    time_limit: int
    reset_states: Callable[[jax.Array, int], jax.Array]
    library_reset: Callable[[np.random.Generator], tuple[NDArray[np.float64], NDArray[np.float32]]]
    observe: Callable[[Coordinates], Coordinates] | None
    step: Callable[[Coordinates, Any, Coordinates, Arithmetic], Transition]
    address: tuple[str, ...] = ("compiled",)

    def observation(self, state: Coordinates) -> Coordinates:
        """What an agent sees of a state, in float64."""
        return state if self.observe is None else self.observe(state)
