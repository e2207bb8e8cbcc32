"""DQN for a block of agents whose environments run on the host, between compiled calls that act and that learn."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from agents.deeprl.engines.fleet import replay_buffer
from agents.deeprl.engines.fleet.dqn import (
    BLOCK_STEPS,
    StepDraws,
    UpdateDraws,
    choose,
    learn_from,
    step_draws,
    update_draws,
)
from agents.deeprl.engines.fleet.dqn_recipe import Numbers, Settings, numbers_of, settings_of
from agents.deeprl.engines.fleet.dqn_update import Learner, first_learner
from agents.deeprl.engines.fleet.hyperparameters import number
from agents.deeprl.engines.fleet.networks import Layers, Parameters
from agents.deeprl.engines.fleet.sites import Sites, sites_of
from agents.deeprl.engines.fleet.world import Seen
from agents.deeprl.recipe import TrainingRecipe


class HostWorld(Protocol):
    """One environment per agent, stepped together; the experience site is already in it."""

    def start(self) -> NDArray[np.float32]:
        """Begin a training: the first observations, shape (agents, observations)."""
        ...

    def step(self, actions: NDArray[np.int32]) -> Seen:
        """One step of each; leaves are NumPy arrays with the agents as first axis."""
        ...


class State(NamedTuple):
    """A block of agents in training, their environments apart; all leaves have the agents as first axis."""

    learner: Learner
    transitions: jax.Array
    observations: jax.Array
    key: jax.Array


class HostDQN:
    """See `learner.Learner`.

    Args:
        recipe: what to train.
        world: the agents' environments, in their order.
        actions: how many actions there are.
    """

    networks: tuple[str, ...] = ("q", "q_target")

    def __init__(self, recipe: TrainingRecipe, world: HostWorld, actions: int) -> None:
        self.settings, self.numbers = settings_of(recipe), numbers_of(recipe)
        self.sites = sites_of(recipe, number(recipe, "gamma"))
        self.world, self.actions = world, actions
        self.iteration_steps = self.settings.train_freq
        self.block_iterations = max(1, BLOCK_STEPS // self.iteration_steps)

    def start(self, keys: jax.Array, parameters: Parameters) -> State:
        """The beginning of a training; `parameters` have the agents as first axis."""
        observations = jnp.asarray(self.world.start())
        learner = jax.vmap(partial(first_learner, settings=self.settings))(parameters)
        agents, width = observations.shape
        empty = jnp.zeros((agents, *replay_buffer.empty(self.settings.capacity, width).shape), jnp.float32)
        return State(jax.tree.map(jnp.copy, learner), empty, observations, keys)

    def run(self, state: State, iteration: int, count: int) -> tuple[State, jax.Array]:
        """`count` iterations from `iteration` on, within one block; second: returns of finished episodes."""
        length, part = self.iteration_steps, iteration // self.block_iterations
        steps, updates = _block_draws(state.key, part, self.actions, self.settings, self.block_iterations)
        finished = np.full((len(state.key), length * self.block_iterations), np.nan, np.float32)
        for index in range(count):
            place = (iteration + index) % self.block_iterations
            state = self._collect(state, (iteration + index) * length, place, steps, finished[:, index * length :])
            learner = _learn(
                state.learner,
                state.transitions,
                (iteration + index + 1) * length,
                place,
                updates,
                self.sites,
                self.numbers,
                self.settings,
            )
            state = state._replace(learner=learner)
        return state, jnp.asarray(finished)

    def parameters(self, state: State) -> Parameters:
        """The networks as they are now, agents as first axis."""
        return state.learner.parameters

    def _collect(self, state: State, done: int, place: int, draws: StepDraws, finished: NDArray[Any]) -> State:
        """The steps of one iteration; `done` steps were made before it, `place` is its place in the block."""
        observations, transitions, q = state.observations, state.transitions, state.learner.parameters["q"]
        activation, length = self.settings.policy.activation, self.iteration_steps
        for step in range(length):
            row = place * length + step
            actions = _act(q, observations, done + step, draws, row, self.numbers, activation)
            seen = self.world.step(np.asarray(actions))
            transitions = _store(transitions, observations, actions, seen, done + step, draws, row, self.sites)
            observations = jnp.asarray(seen.observation)
            finished[:, step] = seen.finished_return
        return state._replace(observations=observations, transitions=transitions)


@partial(jax.jit, static_argnames=("actions", "settings", "iterations"))
def _block_draws(
    keys: jax.Array, part: jax.Array, actions: int, settings: Settings, iterations: int
) -> tuple[StepDraws, UpdateDraws]:
    steps = iterations * settings.train_freq

    def one(key: jax.Array) -> tuple[StepDraws, UpdateDraws]:
        own_draws = step_draws(key, part, steps, actions)
        return own_draws, update_draws(key, part, iterations, settings)

    drawn: tuple[StepDraws, UpdateDraws] = jax.lax.map(one, keys)
    return drawn


@partial(jax.jit, static_argnames=("activation",))
def _act(
    q: Layers,
    observations: jax.Array,
    steps: jax.Array,
    draws: StepDraws,
    row: jax.Array,
    numbers: Numbers,
    activation: str,
) -> jax.Array:
    def one(own: tuple[Layers, jax.Array, jax.Array, jax.Array]) -> jax.Array:
        layers, observation, explore, random_action = own
        return choose(layers, observation, jnp.asarray(steps), explore, random_action, numbers, activation)

    chosen: jax.Array = jax.lax.map(one, (q, observations, draws.explore[:, row], draws.actions[:, row]))
    return chosen


@partial(jax.jit, donate_argnames=("transitions",))
def _store(
    transitions: jax.Array,
    observations: jax.Array,
    actions: jax.Array,
    seen: Seen,
    stored: jax.Array,
    draws: StepDraws,
    row: jax.Array,
    sites: Sites,
) -> jax.Array:
    new = jax.vmap(partial(replay_buffer.row, sites=sites))(
        observations,
        seen.final_observation,
        actions,
        seen.reward,
        seen.done,
        seen.timed_out,
        draws.terminal[:, row],
        draws.state[:, row],
    )
    after: jax.Array = jax.lax.dynamic_update_index_in_dim(transitions, new, stored % transitions.shape[1], 1)
    return after


@partial(jax.jit, static_argnames=("settings",), donate_argnames=("learner",))
def _learn(
    learner: Learner,
    transitions: jax.Array,
    steps: jax.Array,
    place: jax.Array,
    draws: UpdateDraws,
    sites: Sites,
    numbers: Numbers,
    settings: Settings,
) -> Learner:
    own: UpdateDraws = jax.tree.map(lambda leaf: leaf[:, place], draws)
    made = jnp.asarray(steps)
    indices = replay_buffer.places(own.batches, made, settings.capacity)
    batches = jax.vmap(replay_buffer.gather)(transitions, indices)

    def one(each: tuple[Learner, replay_buffer.Batch, UpdateDraws]) -> Learner:
        return learn_from(*each, made, sites, numbers, settings)

    learnt: Learner = jax.lax.map(one, (learner, batches, own))
    return learnt
