"""What the engine asks of a learner."""

from __future__ import annotations

from typing import Any, Protocol

import jax

from agents.deeprl.engines.fleet.networks import Parameters


class Learner(Protocol):
    """Trains a block of agents, iteration by iteration; an iteration is a rollout and the updates that follow it.

    Attributes:
        networks: names of its networks, see `networks.layer_names`.
        iteration_steps: environment steps of one iteration.
        block_iterations: iterations that one call of `run` may do. Random numbers are drawn per block, so cutting a
            training into other counts changes no bit.
    """

    networks: tuple[str, ...]
    iteration_steps: int
    block_iterations: int

    def start(self, keys: jax.Array, parameters: Parameters) -> Any:
        """The beginning of a training.

        Args:
            keys: typed random keys, shape (agents,).
            parameters: first weights, agents as first axis.
        """
        ...

    def run(self, state: Any, iteration: int, count: int) -> tuple[Any, jax.Array]:
        """`count` iterations from number `iteration` on, all within one block.

        Returns:
            The state afterwards, and per agent and step the return of the episode that ended with it (NaN: none),
            float32, shape (agents, at least count * iteration_steps); later columns are NaN.
        """
        ...

    def parameters(self, state: Any) -> Parameters:
        """The networks as they are now, agents as first axis."""
        ...
