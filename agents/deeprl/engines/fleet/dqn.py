"""DQN for a block of agents at once.

The agents of a block are trained one after the other inside a call (`jax.lax.map`), so that one agent's networks
and moments stay in the core's cache; and an agent's numbers cannot depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from agents.deeprl.engines.fleet import replay_buffer, stepping
from agents.deeprl.engines.fleet.dqn_recipe import DQNNumbers, DQNSettings
from agents.deeprl.engines.fleet.dqn_update import (
    DQNLearner,
    exploration_rate,
    first_learner,
    follow_target,
    learning_rate,
    update,
)
from agents.deeprl.engines.fleet.learner import AgentState, HostedEnvironments, TrainingData
from agents.deeprl.engines.fleet.networks import Layers, Parameters, forward
from agents.deeprl.engines.fleet.replay_buffer import TransitionBatch
from agents.deeprl.engines.fleet.sites import Sites, stream
from agents.deeprl.engines.fleet.stepping import EpisodeState, StepResult, WorldDraws
from agents.deeprl.engines.fleet.worlds.base import World

Carry = tuple[EpisodeState, jax.Array, jax.Array, jax.Array]
"""Of the steps of an iteration: episode, observation, replay buffer, steps made so far."""


class DQNStepDraws(NamedTuple):
    """Random numbers, one row per step.

    Attributes:
        explore: uniform in [0, 1): below the exploration rate the action is random.
        actions: the random actions.
        terminal, state: of the sites, uniform in [0, 1).
    """

    explore: jax.Array
    actions: jax.Array
    terminal: jax.Array
    state: jax.Array


class DQNUpdateDraws(NamedTuple):
    """Random numbers, one row per iteration.

    Attributes:
        batches: random uint32, shape (iterations, gradient steps, batch size).
        returns, loss: of the sites, uniform in [0, 1), shape (iterations, gradient steps).
    """

    batches: jax.Array
    returns: jax.Array
    loss: jax.Array


@dataclass(frozen=True)
class DQNProgram:
    """See `learner.Program`.

    Attributes:
        actions: how many there are.
    """

    networks: ClassVar[tuple[str, ...]] = ("q", "q_target")
    block_steps: ClassVar[int] = 1024  # enough to hide the call, little enough to interrupt

    settings: DQNSettings
    world: World | None
    actions: int

    @property
    def iteration_steps(self) -> int:
        """Steps between two calls of the update."""
        return self.settings.train_freq

    @property
    def memory_size(self) -> int:
        """Of the experience site."""
        return self.settings.memory_size

    def mapped(self, function: Callable[[Any], Any], agents: Any) -> Any:
        """See `learner.Program.mapped`."""
        return jax.lax.map(function, agents)

    def first_state(
        self, parameters: Parameters, episode: EpisodeState | None, observation: Any, key: jax.Array
    ) -> AgentState:
        """See `learner.Program.first_state`."""
        buffer = replay_buffer.empty(self.settings.capacity, observation.shape[0])
        return AgentState(first_learner(parameters, self.settings), episode, observation, buffer, key)

    def draws(self, key: jax.Array, part: jax.Array, iterations: int) -> tuple[DQNStepDraws, DQNUpdateDraws]:
        """See `learner.Program.draws`."""
        steps = iterations * self.iteration_steps
        explore, action = jax.random.split(stream(key, "actions", part))
        per_step = DQNStepDraws(
            jax.random.uniform(explore, (steps,), jnp.float32),
            jax.random.randint(action, (steps,), 0, self.actions, jnp.int32),
            jax.random.uniform(stream(key, "terminal", part), (steps,), jnp.float32),
            jax.random.uniform(stream(key, "state", part), (steps,), jnp.float32),
        )
        shape = (iterations, self.settings.gradient_steps)
        per_iteration = DQNUpdateDraws(
            jax.random.bits(stream(key, "batches", part), (*shape, self.settings.batch_size), jnp.uint32),
            jax.random.uniform(stream(key, "returns", part), shape, jnp.float32),
            jax.random.uniform(stream(key, "loss", part), shape, jnp.float32),
        )
        return per_step, per_iteration

    def iterate(
        self,
        state: AgentState,
        world_rows: WorldDraws,
        rows: DQNStepDraws,
        own: DQNUpdateDraws,
        iteration: jax.Array,
        data: TrainingData,
    ) -> tuple[AgentState, jax.Array]:
        """See `learner.Program.iterate`."""
        steps, length = jnp.asarray(iteration * self.iteration_steps), self.iteration_steps
        state, returns = self._collect(state, steps, (world_rows, rows), data)
        assert state.buffer is not None
        places = replay_buffer.places(own.batches, steps + length, self.settings.capacity)
        batches = replay_buffer.gather(state.buffer, places)
        learner = learn_from(state.learner, batches, own, steps + length, data, self.settings)
        return state._replace(learner=learner), returns

    def _collect(
        self, state: AgentState, steps: jax.Array, draws: tuple[WorldDraws, DQNStepDraws], data: TrainingData
    ) -> tuple[AgentState, jax.Array]:
        """As many steps of one agent as there are rows of draws, stored; second: returns of finished episodes."""
        world, q, activation = self.world, state.learner.parameters["q"], self.settings.policy.activation
        assert world is not None and state.episode is not None and state.buffer is not None

        def step(carry: Carry, rows: tuple[WorldDraws, DQNStepDraws]) -> tuple[Carry, jax.Array]:
            (episode, observation, buffer, steps), (world_draw, draw) = carry, rows
            action = choose(q, observation, steps, draw.explore, draw.actions, data.numbers, activation)
            episode, result = stepping.advance(world, data.point, episode, action, world_draw, data.sites)
            new = _row(observation, action, result, draw.terminal, draw.state, data.sites)
            buffer = replay_buffer.store(buffer, new, steps)
            return (episode, result.observation, buffer, steps + 1), result.finished_return

        carry = (state.episode, state.observation, state.buffer, steps)
        (episode, observation, buffer, _), finished = jax.lax.scan(step, carry, draws)
        return state._replace(episode=episode, observation=observation, buffer=buffer), finished

    def iterate_hosted(
        self,
        state: AgentState,
        worlds: HostedEnvironments,
        rows: DQNStepDraws,
        own: DQNUpdateDraws,
        iteration: int,
        data: TrainingData,
    ) -> tuple[AgentState, NDArray[np.float32]]:
        """See `learner.Program.iterate_hosted`."""
        length = self.iteration_steps
        state, returns = self._collect_hosted(state, worlds, rows, iteration * length, data)
        assert state.buffer is not None
        learner = _learn(state.learner, state.buffer, (iteration + 1) * length, own, data, self.settings)
        return state._replace(learner=learner), returns

    def _collect_hosted(
        self, state: AgentState, worlds: HostedEnvironments, rows: DQNStepDraws, done: int, data: TrainingData
    ) -> tuple[AgentState, NDArray[np.float32]]:
        """`_collect` of every agent; `done` steps were made before."""
        observations, buffer, q = jnp.asarray(state.observation), state.buffer, state.learner.parameters["q"]
        activation, returns = self.settings.policy.activation, []
        for step in range(self.iteration_steps):
            actions = _act(q, observations, done + step, rows, step, data.numbers, activation)
            result = worlds.step(np.asarray(actions))
            buffer = _store(buffer, observations, actions, result, done + step, rows, step, data.sites)
            observations = jnp.asarray(result.observation)
            returns.append(result.finished_return)
        return state._replace(observation=observations, buffer=buffer), np.stack(returns, axis=1)


def choose(
    q: Layers,
    observation: jax.Array,
    steps: jax.Array,
    explore: jax.Array,
    random_action: jax.Array,
    numbers: DQNNumbers,
    activation: str,
) -> jax.Array:
    """The epsilon-greedy action of one agent that has made `steps` steps; random until learning starts. int32."""
    greedy = jnp.argmax(forward(q, observation[None], activation)[0]).astype(jnp.int32)
    explores = (steps < numbers.learning_starts) | (explore < exploration_rate(steps, numbers))
    return jnp.where(explores, random_action, greedy)


def learn_from(
    learner: DQNLearner,
    batches: TransitionBatch,
    draws: DQNUpdateDraws,
    steps: jax.Array,
    data: TrainingData,
    settings: DQNSettings,
) -> DQNLearner:
    """The iteration's call of the update after `steps` steps in all, if learning has started.

    Args:
        learner: of one agent.
        batches: what it learns from, shape (gradient steps, batch size, ...).
        draws: one row of `DQNUpdateDraws`.
        steps: made, and stored, so far.
        data, settings: of the recipe.
    """
    numbers: DQNNumbers = data.numbers
    parameters = follow_target(learner.parameters, steps - settings.train_freq, steps, numbers)
    return update(
        learner._replace(parameters=parameters),
        batches,
        replay_buffer.discounts(draws.returns, draws.loss, data.sites),
        jnp.where(steps > numbers.learning_starts, settings.gradient_steps, 0),
        learning_rate(steps, numbers),
        numbers,
        settings,
    )


def _row(
    observation: jax.Array,
    action: jax.Array,
    result: StepResult,
    terminal_draw: jax.Array,
    state_draw: jax.Array,
    sites: Sites,
) -> jax.Array:
    """A step as it is stored."""
    return replay_buffer.row(
        observation,
        result.final_observation,
        action,
        result.reward,
        result.done,
        result.timed_out,
        terminal_draw,
        state_draw,
        sites,
    )


@partial(jax.jit, static_argnames=("activation",))
def _act(
    q: Layers,
    observations: jax.Array,
    steps: jax.Array,
    rows: DQNStepDraws,
    step: jax.Array,
    numbers: DQNNumbers,
    activation: str,
) -> jax.Array:
    """An action of each agent; `steps` were made in all, `step` in this iteration."""

    def act(own: tuple[Layers, jax.Array, jax.Array, jax.Array]) -> jax.Array:
        layers, observation, explore, random_action = own
        return choose(layers, observation, jnp.asarray(steps), explore, random_action, numbers, activation)

    chosen: jax.Array = jax.lax.map(act, (q, observations, rows.explore[:, step], rows.actions[:, step]))
    return chosen


@partial(jax.jit, donate_argnames=("buffer",))
def _store(
    buffer: jax.Array,
    observations: jax.Array,
    actions: jax.Array,
    result: StepResult,
    stored: jax.Array,
    rows: DQNStepDraws,
    step: jax.Array,
    sites: Sites,
) -> jax.Array:
    """A step of each agent in its buffer."""
    new = jax.vmap(partial(_row, sites=sites))(
        observations, actions, result, rows.terminal[:, step], rows.state[:, step]
    )
    after: jax.Array = jax.lax.dynamic_update_index_in_dim(buffer, new, stored % buffer.shape[1], 1)
    return after


@partial(jax.jit, static_argnames=("settings",), donate_argnames=("learner",))
def _learn(
    learner: DQNLearner,
    buffer: jax.Array,
    steps: jax.Array,
    own: DQNUpdateDraws,
    data: TrainingData,
    settings: DQNSettings,
) -> DQNLearner:
    """The call of the update of each agent after `steps` steps in all."""
    done = jnp.asarray(steps)
    batches = jax.vmap(replay_buffer.gather)(buffer, replay_buffer.places(own.batches, done, settings.capacity))

    def learn(each: tuple[DQNLearner, TransitionBatch, DQNUpdateDraws]) -> DQNLearner:
        return learn_from(*each, done, data, settings)

    learnt: DQNLearner = jax.lax.map(learn, (learner, batches, own))
    return learnt
