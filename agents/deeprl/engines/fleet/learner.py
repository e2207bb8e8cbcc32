"""How a block of agents is trained, whatever the algorithm: in a compiled world or in environments on the host.

An algorithm is a `Program`. `CompiledLearner` runs it and the world in one compiled call; `HostedLearner` runs it
around environments that are stepped in Python. Neither knows which algorithm it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from agents.deeprl.engines.fleet import stepping
from agents.deeprl.engines.fleet.networks import Parameters
from agents.deeprl.engines.fleet.sites import Sites
from agents.deeprl.engines.fleet.stepping import EpisodeState, StepResult, WorldDraws
from agents.deeprl.engines.fleet.worlds.base import Coordinates, World


class TrainingData(NamedTuple):
    """What a compiled program reads, so that recipes which differ in it alone share a compilation.

    Attributes:
        numbers: of the algorithm, a NamedTuple of scalars.
        point: values of the compiled world's parameters; empty where the environments are hosted.
    """

    sites: Sites
    numbers: Any
    point: Coordinates


class AgentState(NamedTuple):
    """An agent in training; of a block, with the agents as first axis.

    Attributes:
        learner: networks and optimizer, of the algorithm's own type; the networks are in its field ``parameters``.
        episode: of the compiled world; None where the environments are hosted.
        observation: that the agent acts on next, float32.
        buffer: the replay buffer's rows; None on-policy.
        key: of the agent's random streams.
    """

    learner: Any
    episode: EpisodeState | None
    observation: Any
    buffer: jax.Array | None
    key: jax.Array


class HostedEnvironments(Protocol):
    """One environment per agent, stepped together; the experience site is already in it."""

    def start(self) -> NDArray[np.float32]:
        """Begin a training: the first observations, shape (agents, observations)."""
        ...

    def step(self, actions: NDArray[np.int32]) -> StepResult:
        """One step of each; leaves are NumPy arrays with the agents as first axis."""
        ...


class Program(Protocol):
    """An algorithm as a recipe shapes it. Hashable: it is a static parameter of the compiled programs.

    Attributes:
        networks: names of its networks, see `networks.layer_names`.
        block_steps: environment steps per agent of one compiled call, at least.
        world: the compiled one; None where the environments are hosted.
        iteration_steps: environment steps of one iteration: a rollout and the updates that follow it.
        memory_size: of the experience site.
    """

    @property
    def networks(self) -> tuple[str, ...]: ...

    @property
    def block_steps(self) -> int: ...

    @property
    def world(self) -> World | None: ...

    @property
    def iteration_steps(self) -> int: ...

    @property
    def memory_size(self) -> int: ...

    def mapped(self, function: Callable[[Any], Any], agents: Any) -> Any:
        """`function` of each agent of a block, in an order that makes an agent's bits independent of the others."""
        ...

    def first_state(
        self, parameters: Parameters, episode: EpisodeState | None, observation: Any, key: jax.Array
    ) -> AgentState:
        """One agent before its first step."""
        ...

    def draws(self, key: jax.Array, part: jax.Array, iterations: int) -> tuple[Any, Any]:
        """One agent's random numbers for one block: with the steps, and with the iterations as first axis."""
        ...

    def iterate(
        self, state: AgentState, world_rows: WorldDraws, rows: Any, own: Any, iteration: jax.Array, data: TrainingData
    ) -> tuple[AgentState, jax.Array]:
        """One iteration of one agent in the compiled world; second: see `Learner.run`.

        Args:
            state: before.
            world_rows, rows: the iteration's random numbers, one row per step.
            own: the iteration's random numbers.
            iteration: its number.
            data: of the recipe.
        """
        ...

    def iterate_hosted(
        self, state: AgentState, worlds: HostedEnvironments, rows: Any, own: Any, iteration: int, data: TrainingData
    ) -> tuple[AgentState, NDArray[np.float32]]:
        """`iterate` for a block of agents, all arguments with the agents as first axis."""
        ...


class Learner(Protocol):
    """Trains a block of agents, iteration by iteration.

    Attributes:
        program: the algorithm.
        data: what the program reads.
        block_iterations: iterations that one call of `run` may do. Random numbers are drawn per block, so cutting a
            training into other counts changes no bit.
    """

    program: Program
    data: TrainingData
    block_iterations: int

    def start(self, keys: jax.Array, parameters: Parameters) -> AgentState:
        """The beginning of a training.

        Args:
            keys: typed random keys, shape (agents,).
            parameters: first weights, agents as first axis.
        """
        ...

    def run(self, state: AgentState, iteration: int, count: int) -> tuple[AgentState, jax.Array]:
        """`count` iterations from number `iteration` on, all within one block.

        Returns:
            The state afterwards, and per agent and step the return of the episode that ended with it (NaN: none),
            float32, shape (agents, at least count * iteration_steps); later columns are NaN.
        """
        ...


class CompiledLearner:
    """See `Learner`: rollouts in a compiled world and updates in one compiled program."""

    def __init__(self, program: Program, data: TrainingData) -> None:
        self.program, self.data = program, data
        self.block_iterations = max(1, program.block_steps // program.iteration_steps)

    def start(self, keys: jax.Array, parameters: Parameters) -> AgentState:
        """See `Learner.start`."""
        started: AgentState = _start(keys, parameters, self.program)
        return started

    def run(self, state: AgentState, iteration: int, count: int) -> tuple[AgentState, jax.Array]:
        """See `Learner.run`; the state that is passed in is overwritten."""
        trained: tuple[AgentState, jax.Array] = _run(
            state, iteration, count, self.data, self.program, self.block_iterations
        )
        return trained


@partial(jax.jit, static_argnames=("program",))
def _start(keys: jax.Array, parameters: Parameters, program: Program) -> Any:
    world = program.world
    assert world is not None

    def start(own: tuple[jax.Array, Parameters]) -> AgentState:
        key, initial = own
        episode, observation = stepping.start(world, key, program.memory_size)
        return program.first_state(initial, episode, observation, key)

    return program.mapped(start, (keys, parameters))


@partial(jax.jit, static_argnames=("program", "block_iterations"), donate_argnames=("state",))
def _run(
    state: AgentState,
    iteration: jax.Array,
    count: jax.Array,
    data: TrainingData,
    program: Program,
    block_iterations: int,
) -> Any:
    world, length = program.world, program.iteration_steps
    assert world is not None
    block_steps = length * block_iterations

    def run(state: AgentState) -> tuple[AgentState, jax.Array]:
        part = jnp.asarray(iteration) // block_iterations
        per_step, per_iteration = program.draws(state.key, part, block_iterations)
        steps = stepping.draws(world, state.key, part, block_steps), per_step

        def iterate(index: jax.Array, carry: tuple[AgentState, jax.Array]) -> tuple[AgentState, jax.Array]:
            state, finished = carry
            place = (iteration + index) % block_iterations
            rows = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, place * length, length), steps)
            own = jax.tree.map(lambda x: x[place], per_iteration)
            world_rows, own_rows = rows
            state, returns = program.iterate(state, world_rows, own_rows, own, iteration + index, data)
            return state, jax.lax.dynamic_update_slice_in_dim(finished, returns, index * length, 0)

        nothing = jnp.full(block_steps, jnp.nan, jnp.float32)
        trained: tuple[AgentState, jax.Array] = jax.lax.fori_loop(0, count, iterate, (state, nothing))
        return trained

    return program.mapped(run, state)


class HostedLearner:
    """See `Learner`: environments on the host, between compiled calls that act and that learn.

    Args:
        program, data: of the recipe.
        worlds: the agents' environments, in their order.
    """

    def __init__(self, program: Program, data: TrainingData, worlds: HostedEnvironments) -> None:
        self.program, self.data, self.worlds = program, data, worlds
        self.block_iterations = max(1, program.block_steps // program.iteration_steps)

    def start(self, keys: jax.Array, parameters: Parameters) -> AgentState:
        """See `Learner.start`."""
        observations = self.worlds.start()

        def first(initial: Parameters, observation: Any, key: jax.Array) -> AgentState:
            return self.program.first_state(initial, None, observation, key)

        state: AgentState = jax.vmap(first)(parameters, jnp.asarray(observations), keys)
        # Compiled calls overwrite the learner, which must not share memory with the caller's parameters.
        return state._replace(learner=jax.tree.map(jnp.copy, state.learner), observation=observations)

    def run(self, state: AgentState, iteration: int, count: int) -> tuple[AgentState, jax.Array]:
        """See `Learner.run`."""
        length, part = self.program.iteration_steps, jnp.asarray(iteration // self.block_iterations)
        per_step, per_iteration = _draws(state.key, part, self.program, self.block_iterations)
        finished = np.full((len(state.key), length * self.block_iterations), np.nan, np.float32)
        for index in range(count):
            place = (iteration + index) % self.block_iterations
            window = slice(place * length, (place + 1) * length)
            rows = jax.tree.map(lambda x, window=window: x[:, window], per_step)
            own = jax.tree.map(lambda x, place=place: x[:, place], per_iteration)
            state, returns = self.program.iterate_hosted(state, self.worlds, rows, own, iteration + index, self.data)
            finished[:, index * length : (index + 1) * length] = returns
        return state, jnp.asarray(finished)


@partial(jax.jit, static_argnames=("program", "iterations"))
def _draws(keys: jax.Array, part: jax.Array, program: Program, iterations: int) -> Any:
    return program.mapped(lambda key: program.draws(key, part, iterations), keys)
