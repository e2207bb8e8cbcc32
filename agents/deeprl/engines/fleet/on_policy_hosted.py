"""PPO and A2C for a block of agents whose environments run on the host, between compiled calls that act and learn."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from agents.deeprl.engines.fleet.hosted import HostedWorlds
from agents.deeprl.engines.fleet.lanes import in_lanes
from agents.deeprl.engines.fleet.networks import Layers, Parameters, forward
from agents.deeprl.engines.fleet.on_policy import (
    BLOCK_STEPS,
    FaultDraws,
    Learner,
    fault_draws,
    first_learner,
    learn,
    numbers_of,
    on_policy_sites,
    settings_of,
)
from agents.deeprl.engines.fleet.policy_gradient import Numbers, Settings
from agents.deeprl.engines.fleet.rollout import Rollout
from agents.deeprl.engines.fleet.sites import Sites, stream
from agents.deeprl.recipe import TrainingRecipe


class State(NamedTuple):
    """A block of agents in training, their environments apart; agents as first axis.

    Attributes:
        held: the observations that are acted on next.
    """

    learner: Learner
    held: NDArray[np.float32]
    key: jax.Array


class Draws(NamedTuple):
    """Random numbers of one block of a training, agents as first axis; uniform in [0, 1)."""

    actions: NDArray[np.float32]
    state: NDArray[np.float32]
    faults: FaultDraws


class HostedOnPolicy:
    """See `learner.Learner`.

    Args:
        recipe: what to train.
        worlds: the agents' environments, in their order.
    """

    networks: tuple[str, ...] = ("actor", "critic")

    def __init__(self, recipe: TrainingRecipe, worlds: HostedWorlds) -> None:
        self.settings, self.numbers, self.sites = settings_of(recipe), numbers_of(recipe), on_policy_sites(recipe)
        self.worlds = worlds
        self.iteration_steps = self.settings.n_steps
        self.block_iterations = max(1, BLOCK_STEPS // self.iteration_steps)

    def start(self, keys: jax.Array, parameters: Parameters) -> State:
        """The beginning of a training; `parameters` have the agents as first axis."""
        learner = jax.vmap(partial(first_learner, settings=self.settings))(parameters)
        return State(learner, self.worlds.start(), keys)

    def run(self, state: State, iteration: int, count: int) -> tuple[State, jax.Array]:
        """`count` iterations from `iteration` on, within one block; second: returns of finished episodes."""
        steps = self.iteration_steps
        part = jnp.int32(iteration // self.block_iterations)
        draws = _draws(state.key, part, self.settings, self.block_iterations)
        finished = np.full((len(state.held), steps * self.block_iterations), np.nan, np.float32)
        for index in range(count):
            place = (iteration + index) % self.block_iterations
            window = slice(place * steps, (place + 1) * steps)
            own = Draws(
                np.asarray(draws.actions[:, window]),
                np.asarray(draws.state[:, window]),
                FaultDraws(draws.faults.flags[:, window], *(each[:, place] for each in draws.faults[1:])),
            )
            held, rollout, returns = self._collect(state, own)
            finished[:, index * steps : (index + 1) * steps] = returns
            learner = _learn(
                (state.learner, rollout, own.faults, state.key),
                jnp.int32(iteration + index),
                self.sites,
                self.numbers,
                self.settings,
            )
            state = State(learner, held, state.key)
        return state, jnp.asarray(finished)

    def parameters(self, state: State) -> Parameters:
        """The networks as they are now, agents as first axis."""
        return state.learner.parameters

    def _collect(self, state: State, draws: Draws) -> tuple[NDArray[np.float32], Rollout, NDArray[np.float32]]:
        """One rollout of every agent; `timed_out` is what the recipe lets the learner know."""
        actor, activation = state.learner.parameters["actor"], self.settings.policy.activation
        missed = float(self.sites.missed_state_update)
        held = state.held
        rows: list[tuple[Any, ...]] = []
        for step in range(self.iteration_steps):
            actions = np.asarray(_act(actor, held, draws.actions[:, step], activation))
            seen = self.worlds.step(actions)
            rows.append((held, actions, *seen[1:]))
            following = np.asarray(seen.observation)
            lost = draws.state[:, step] < missed
            held = np.where(lost[:, None], held, following) if missed else following
        columns = [np.stack(column, axis=1) for column in zip(*rows, strict=True)]
        observations, taken, rewards, done, timed_out, final, returns = columns
        rollout = Rollout(observations, taken, rewards, done, timed_out, final, following)  # type: ignore[arg-type]
        return held, rollout, returns


@partial(jax.jit, static_argnames=("settings", "iterations"))
def _draws(keys: jax.Array, part: jax.Array, settings: Settings, iterations: int) -> Any:
    steps = settings.n_steps * iterations

    def one(key: jax.Array) -> Draws:
        return Draws(
            jax.random.uniform(stream(key, "actions", part), (steps,), jnp.float32),  # type: ignore[arg-type]
            jax.random.uniform(stream(key, "state", part), (steps,), jnp.float32),  # type: ignore[arg-type]
            fault_draws(key, part, steps, iterations),
        )

    return in_lanes(one, keys)


@partial(jax.jit, static_argnames=("activation",))
def _act(actor: Layers, observations: jax.Array, uniforms: jax.Array, activation: str) -> Any:
    """One action per agent, drawn from its policy by inverting the distribution function."""

    def one(own: tuple[Layers, jax.Array, jax.Array]) -> jax.Array:
        layers, observation, uniform = own
        probabilities = jax.nn.softmax(forward(layers, observation, activation))
        return (uniform >= jnp.cumsum(probabilities)[:-1]).sum().astype(jnp.int32)

    return in_lanes(one, (actor, observations, uniforms))


@partial(jax.jit, static_argnames=("settings",))
def _learn(
    agents: tuple[Learner, Rollout, FaultDraws, jax.Array],
    iteration: jax.Array,
    sites: Sites,
    numbers: Numbers,
    settings: Settings,
) -> Any:
    def one(own: tuple[Learner, Rollout, FaultDraws, jax.Array]) -> Learner:
        learner, rollout, faults, key = own
        return learn(learner, rollout, faults, key, iteration, sites, numbers, settings)

    return in_lanes(one, agents)
