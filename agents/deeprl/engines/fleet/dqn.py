"""DQN for a block of agents: CartPole, replay and gradient steps in one compiled program.

The agents of a block are trained one after the other inside a call (`jax.lax.map`), so that one agent's networks
and moments stay in the core's cache; and an agent's numbers cannot depend on its neighbours.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from agents.deeprl.engines.fleet import cartpole, replay_buffer
from agents.deeprl.engines.fleet import world as worlds
from agents.deeprl.engines.fleet.cartpole import Masses
from agents.deeprl.engines.fleet.dqn_recipe import Numbers, Settings, numbers_of, settings_of
from agents.deeprl.engines.fleet.dqn_update import (
    Learner,
    exploration_rate,
    first_learner,
    follow_target,
    learning_rate,
    update,
)
from agents.deeprl.engines.fleet.hyperparameters import number
from agents.deeprl.engines.fleet.networks import Layers, Parameters, forward
from agents.deeprl.engines.fleet.sites import Sites, sites_of, stream
from agents.deeprl.engines.fleet.world import World
from agents.deeprl.recipe import TrainingRecipe

BLOCK_STEPS = 1024
"""Environment steps per agent of one compiled call, at least: enough to hide the call, little enough to interrupt."""


class State(NamedTuple):
    """A block of agents in training; all leaves have the agents as first axis.

    Attributes:
        observation: that the agent acts on next.
        transitions: the replay buffer's rows.
    """

    learner: Learner
    world: World
    observation: jax.Array
    transitions: jax.Array
    key: jax.Array


class StepDraws(NamedTuple):
    """Random numbers of a block, one row per step.

    Attributes:
        explore: uniform in [0, 1): below the exploration rate the action is random.
        actions: the random actions.
        terminal, state: of the sites, uniform in [0, 1).
    """

    explore: jax.Array
    actions: jax.Array
    terminal: jax.Array
    state: jax.Array


class UpdateDraws(NamedTuple):
    """Random numbers of a block, one row per iteration.

    Attributes:
        batches: random uint32, shape (iterations, gradient steps, batch size).
        returns, loss: of the sites, uniform in [0, 1), shape (iterations, gradient steps).
    """

    batches: jax.Array
    returns: jax.Array
    loss: jax.Array


class DQN:
    """See `learner.Learner`; CartPole is stepped inside the compiled program."""

    networks: tuple[str, ...] = ("q", "q_target")

    def __init__(self, recipe: TrainingRecipe) -> None:
        self.settings, self.numbers = settings_of(recipe), numbers_of(recipe)
        self.sites = sites_of(recipe, number(recipe, "gamma"))
        self.masses = cartpole.masses(recipe.environment)
        self.iteration_steps = self.settings.train_freq
        self.block_iterations = max(1, BLOCK_STEPS // self.iteration_steps)

    def start(self, keys: jax.Array, parameters: Parameters) -> State:
        """The beginning of a training; `parameters` have the agents as first axis."""
        started: State = _start(keys, parameters, self.settings)
        return started

    def run(self, state: State, iteration: int, count: int) -> tuple[State, jax.Array]:
        """`count` iterations from `iteration` on, within one block; second: returns of finished episodes."""
        trained: tuple[State, jax.Array] = _run(
            state, iteration, count, self.sites, self.numbers, self.masses, self.settings, self.block_iterations
        )
        return trained

    def parameters(self, state: State) -> Parameters:
        """The networks as they are now, agents as first axis."""
        return state.learner.parameters


def step_draws(key: jax.Array, part: jax.Array, steps: int, actions: int) -> StepDraws:
    """The random numbers of `steps` steps of one agent."""
    explore, action = jax.random.split(stream(key, "actions", part))
    return StepDraws(
        jax.random.uniform(explore, (steps,), jnp.float32),
        jax.random.randint(action, (steps,), 0, actions, jnp.int32),
        jax.random.uniform(stream(key, "terminal", part), (steps,), jnp.float32),
        jax.random.uniform(stream(key, "state", part), (steps,), jnp.float32),
    )


def update_draws(key: jax.Array, part: jax.Array, iterations: int, settings: Settings) -> UpdateDraws:
    """The random numbers of `iterations` calls of one agent's update."""
    shape = (iterations, settings.gradient_steps)
    return UpdateDraws(
        jax.random.bits(stream(key, "batches", part), (*shape, settings.batch_size), jnp.uint32),
        jax.random.uniform(stream(key, "returns", part), shape, jnp.float32),
        jax.random.uniform(stream(key, "loss", part), shape, jnp.float32),
    )


def choose(
    q: Layers,
    observation: jax.Array,
    steps: jax.Array,
    explore: jax.Array,
    random_action: jax.Array,
    numbers: Numbers,
    activation: str,
) -> jax.Array:
    """The epsilon-greedy action of one agent that has made `steps` steps; random until learning starts. int32."""
    greedy = jnp.argmax(forward(q, observation[None], activation)[0]).astype(jnp.int32)
    explores = (steps < numbers.learning_starts) | (explore < exploration_rate(steps, numbers))
    return jnp.where(explores, random_action, greedy)


def collect(
    state: State,
    steps: jax.Array,
    draws: tuple[worlds.Draws, StepDraws],
    sites: Sites,
    numbers: Numbers,
    masses: Masses,
    settings: Settings,
) -> tuple[State, jax.Array]:
    """As many steps of one agent as there are rows of draws, stored; second: returns of finished episodes."""
    q, activation = state.learner.parameters["q"], settings.policy.activation

    def one_step(
        carry: tuple[World, jax.Array, jax.Array, jax.Array], rows: tuple[worlds.Draws, StepDraws]
    ) -> tuple[tuple[World, jax.Array, jax.Array, jax.Array], jax.Array]:
        (world, observation, transitions, steps), (world_draw, draw) = carry, rows
        action = choose(q, observation, steps, draw.explore, draw.actions, numbers, activation)
        world, seen = worlds.advance(world, action, world_draw, sites, masses)
        new = replay_buffer.row(
            observation,
            seen.final_observation,
            action,
            seen.reward,
            seen.done,
            seen.timed_out,
            draw.terminal,
            draw.state,
            sites,
        )
        transitions = replay_buffer.store(transitions, new, steps)
        return (world, seen.observation, transitions, steps + 1), seen.finished_return

    carry = (state.world, state.observation, state.transitions, steps)
    (world, observation, transitions, _), finished = jax.lax.scan(one_step, carry, draws)
    return state._replace(world=world, observation=observation, transitions=transitions), finished


def learn_from(
    learner: Learner,
    batches: replay_buffer.Batch,
    draws: UpdateDraws,
    steps: jax.Array,
    sites: Sites,
    numbers: Numbers,
    settings: Settings,
) -> Learner:
    """The iteration's call of the update after `steps` steps in all, if learning has started.

    Args:
        learner: of one agent.
        batches: what it learns from, shape (gradient steps, batch size, ...).
        draws: one row of `UpdateDraws`.
        steps: made, and stored, so far.
    """
    parameters = follow_target(learner.parameters, steps - settings.train_freq, steps, numbers)
    return update(
        learner._replace(parameters=parameters),
        batches,
        replay_buffer.discounts(draws.returns, draws.loss, sites),
        jnp.where(steps > numbers.learning_starts, settings.gradient_steps, 0),
        learning_rate(steps, numbers),
        numbers,
        settings,
    )


@partial(jax.jit, static_argnames=("settings",))
def _start(keys: jax.Array, parameters: Parameters, settings: Settings) -> State:
    def one(own: tuple[jax.Array, Parameters]) -> State:
        key, initial = own
        world, observation = worlds.start(key, settings.memory_size)
        transitions = replay_buffer.empty(settings.capacity, observation.shape[0])
        return State(first_learner(initial, settings), world, observation, transitions, key)

    started: State = jax.lax.map(one, (keys, parameters))
    return started


@partial(jax.jit, static_argnames=("settings", "block_iterations"), donate_argnames=("state",))
def _run(
    state: State,
    iteration: jax.Array,
    count: jax.Array,
    sites: Sites,
    numbers: Numbers,
    masses: Masses,
    settings: Settings,
    block_iterations: int,
) -> tuple[State, jax.Array]:
    length = settings.train_freq
    block_steps = length * block_iterations

    def one(state: State) -> tuple[State, jax.Array]:
        part = jnp.asarray(iteration) // block_iterations
        own_draws = step_draws(state.key, part, block_steps, cartpole.ACTIONS)
        per_step = worlds.draws(state.key, part, block_steps), own_draws
        per_update = update_draws(state.key, part, block_iterations, settings)

        def iterate(index: jax.Array, carry: tuple[State, jax.Array]) -> tuple[State, jax.Array]:
            state, finished = carry
            place = (iteration + index) % block_iterations
            rows = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, place * length, length), per_step)
            steps = jnp.asarray((iteration + index) * length)
            state, returns = collect(state, steps, rows, sites, numbers, masses, settings)
            own = UpdateDraws(*(leaf[place] for leaf in per_update))
            indices = replay_buffer.places(own.batches, steps + length, settings.capacity)
            batches = replay_buffer.gather(state.transitions, indices)
            learner = learn_from(state.learner, batches, own, steps + length, sites, numbers, settings)
            finished = jax.lax.dynamic_update_slice_in_dim(finished, returns, index * length, 0)
            return state._replace(learner=learner), finished

        nothing = jnp.full(block_steps, jnp.nan, jnp.float32)
        after: tuple[State, jax.Array] = jax.lax.fori_loop(0, count, iterate, (state, nothing))
        return after

    trained: tuple[State, jax.Array] = jax.lax.map(one, state)
    return trained
