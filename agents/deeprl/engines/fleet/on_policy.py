"""PPO and A2C for a block of agents at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from agents.deeprl.engines.fleet.lanes import in_lanes
from agents.deeprl.engines.fleet.learner import AgentState, HostedEnvironments, TrainingData
from agents.deeprl.engines.fleet.networks import Layers, Parameters, forward
from agents.deeprl.engines.fleet.on_policy_recipe import OnPolicySettings
from agents.deeprl.engines.fleet.on_policy_update import FaultDraws, OnPolicyLearner, first_learner, learn
from agents.deeprl.engines.fleet.rollout import Rollout, RolloutDraws, collect, drawn_action
from agents.deeprl.engines.fleet.sites import stream
from agents.deeprl.engines.fleet.stepping import EpisodeState, WorldDraws
from agents.deeprl.engines.fleet.worlds.base import World


class OnPolicyStepDraws(NamedTuple):
    """Random numbers, one row per step; uniform in [0, 1).

    Attributes:
        actions: of the policy.
        state, flags: of the state and the terminal site.
    """

    actions: jax.Array
    state: jax.Array
    flags: jax.Array


class OnPolicyUpdateDraws(NamedTuple):
    """Random numbers, one row per iteration; see `on_policy_update.FaultDraws`."""

    undiscounted: jax.Array
    forward: jax.Array
    inverted: jax.Array


@dataclass(frozen=True)
class OnPolicyProgram:
    """See `learner.Program`. Lanes of agents are trained side by side."""

    networks: ClassVar[tuple[str, ...]] = ("actor", "critic")
    block_steps: ClassVar[int] = 2048  # enough to hide the call, little enough to interrupt

    settings: OnPolicySettings
    world: World | None

    @property
    def iteration_steps(self) -> int:
        """Steps of one rollout."""
        return self.settings.n_steps

    @property
    def memory_size(self) -> int:
        """Of the experience site."""
        return self.settings.memory_size

    def mapped(self, function: Callable[[Any], Any], agents: Any) -> Any:
        """See `learner.Program.mapped`."""
        return in_lanes(function, agents)

    def first_state(
        self, parameters: Parameters, episode: EpisodeState | None, observation: Any, key: jax.Array
    ) -> AgentState:
        """See `learner.Program.first_state`."""
        return AgentState(first_learner(parameters, self.settings), episode, observation, None, key)

    def draws(self, key: jax.Array, part: jax.Array, iterations: int) -> tuple[OnPolicyStepDraws, OnPolicyUpdateDraws]:
        """See `learner.Program.draws`."""
        steps = iterations * self.iteration_steps
        actions = jax.random.uniform(stream(key, "actions", part), (steps,), jnp.float32)
        state = jax.random.uniform(stream(key, "state", part), (steps,), jnp.float32)
        returns = jax.random.uniform(stream(key, "returns", part), (iterations, 2), jnp.float32)
        flags = jax.random.uniform(stream(key, "terminal", part), (steps,), jnp.float32)
        inverted = jax.random.uniform(stream(key, "loss", part), (iterations,), jnp.float32)
        return (
            OnPolicyStepDraws(actions, state, flags),
            OnPolicyUpdateDraws(returns[:, 0], returns[:, 1], inverted),
        )

    def iterate(
        self,
        state: AgentState,
        world_rows: WorldDraws,
        rows: OnPolicyStepDraws,
        own: OnPolicyUpdateDraws,
        iteration: jax.Array,
        data: TrainingData,
    ) -> tuple[AgentState, jax.Array]:
        """See `learner.Program.iterate`."""
        assert self.world is not None and state.episode is not None
        actor, activation = state.learner.parameters["actor"], self.settings.policy.activation
        draws = RolloutDraws(world_rows, rows.actions, rows.state)
        episode, held, rollout, returns = collect(
            self.world, data.point, actor, activation, state.episode, state.observation, draws, data.sites
        )
        faults = FaultDraws(rows.flags, *own)
        learner = learn(state.learner, rollout, faults, state.key, iteration, data.sites, data.numbers, self.settings)
        return state._replace(learner=learner, episode=episode, observation=held), returns

    def iterate_hosted(
        self,
        state: AgentState,
        worlds: HostedEnvironments,
        rows: OnPolicyStepDraws,
        own: OnPolicyUpdateDraws,
        iteration: int,
        data: TrainingData,
    ) -> tuple[AgentState, NDArray[np.float32]]:
        """See `learner.Program.iterate_hosted`."""
        held, rollout, returns = self._collect_hosted(state, worlds, rows, float(data.sites.missed_state_update))
        faults = FaultDraws(rows.flags, *own)
        learner = _learn((state.learner, rollout, faults, state.key), jnp.int32(iteration), data, self.settings)
        return state._replace(learner=learner, observation=held), returns

    def _collect_hosted(
        self, state: AgentState, worlds: HostedEnvironments, rows: OnPolicyStepDraws, missed: float
    ) -> tuple[NDArray[np.float32], Rollout, NDArray[np.float32]]:
        """One rollout of every agent; `missed` is the probability that an observation is not updated."""
        actor, activation = state.learner.parameters["actor"], self.settings.policy.activation
        uniforms, chances = np.asarray(rows.actions), np.asarray(rows.state)
        held = state.observation
        steps: list[tuple[Any, ...]] = []
        for step in range(self.iteration_steps):
            actions = np.asarray(_act(actor, held, uniforms[:, step], activation))
            result = worlds.step(actions)
            steps.append((held, actions, *result[1:]))
            following = np.asarray(result.observation)
            lost = chances[:, step] < missed
            held = np.where(lost[:, None], held, following) if missed else following
        columns = [np.stack(column, axis=1) for column in zip(*steps, strict=True)]
        seen, taken, rewards, done, timed_out, final, returns = columns
        return held, Rollout(seen, taken, rewards, done, timed_out, final, following), returns  # type: ignore[arg-type]


@partial(jax.jit, static_argnames=("activation",))
def _act(actor: Layers, observations: jax.Array, uniforms: jax.Array, activation: str) -> Any:
    """An action of each agent."""

    def act(own: tuple[Layers, jax.Array, jax.Array]) -> jax.Array:
        layers, observation, uniform = own
        return drawn_action(forward(layers, observation, activation), uniform)

    return in_lanes(act, (actor, observations, uniforms))


@partial(jax.jit, static_argnames=("settings",))
def _learn(
    agents: tuple[OnPolicyLearner, Rollout, FaultDraws, jax.Array],
    iteration: jax.Array,
    data: TrainingData,
    settings: OnPolicySettings,
) -> Any:
    """One learner update of each agent."""

    def update(own: tuple[OnPolicyLearner, Rollout, FaultDraws, jax.Array]) -> OnPolicyLearner:
        return learn(*own, iteration, data.sites, data.numbers, settings)

    return in_lanes(update, agents)
