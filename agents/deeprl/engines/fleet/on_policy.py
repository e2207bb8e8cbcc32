"""PPO and A2C for a block of agents at once: rollouts and updates in one compiled program."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from agents.deeprl.engines.fleet import cartpole
from agents.deeprl.engines.fleet import world as worlds
from agents.deeprl.engines.fleet.advantages import advantages_and_returns, with_time_limit_bootstrap
from agents.deeprl.engines.fleet.cartpole import Masses
from agents.deeprl.engines.fleet.hyperparameters import number, schedule
from agents.deeprl.engines.fleet.lanes import in_lanes
from agents.deeprl.engines.fleet.networks import Parameters
from agents.deeprl.engines.fleet.optimizers import optimizer_of
from agents.deeprl.engines.fleet.policy_gradient import (
    Batch,
    Numbers,
    Settings,
    log_probs_of,
    update,
    values_of,
)
from agents.deeprl.engines.fleet.rollout import Rollout, StepDraws, collect
from agents.deeprl.engines.fleet.sites import Sites, sites_of, stream
from agents.deeprl.engines.fleet.world import World
from agents.deeprl.recipe import TrainingRecipe

BLOCK_STEPS = 2048
"""Environment steps per agent of one compiled call, at least: enough to hide the call, little enough to interrupt."""


class Learner(NamedTuple):
    """One agent's learner: what updates change, and the flag they carry over.

    Attributes:
        start_flag: whether the next step is the first of an episode, float32.
    """

    parameters: Parameters
    optimizer: Any
    start_flag: jax.Array


class State(NamedTuple):
    """A block of agents in training; all leaves have the agents as first axis."""

    learner: Learner
    world: World
    held: jax.Array
    key: jax.Array


class FaultDraws(NamedTuple):
    """Random numbers of the terminal, returns and loss sites, uniform in [0, 1).

    Attributes:
        flags: per step.
        edge, undiscounted, forward, inverted: per iteration; `edge` is for the flag after a rollout's last step.
    """

    flags: jax.Array
    edge: jax.Array
    undiscounted: jax.Array
    forward: jax.Array
    inverted: jax.Array


class OnPolicy:
    """See `learner.Learner`; CartPole is stepped inside the compiled program."""

    networks: tuple[str, ...] = ("actor", "critic")

    def __init__(self, recipe: TrainingRecipe) -> None:
        self.settings, self.numbers, self.sites = settings_of(recipe), numbers_of(recipe), on_policy_sites(recipe)
        self.masses = cartpole.masses(recipe.environment)
        self.iteration_steps = self.settings.n_steps
        self.block_iterations = max(1, BLOCK_STEPS // self.iteration_steps)

    def start(self, keys: jax.Array, parameters: Parameters) -> State:
        """The beginning of a training; `parameters` have the agents as first axis."""
        state: State = _start(keys, parameters, self.settings)
        return state

    def run(self, state: State, iteration: int, count: int) -> tuple[State, jax.Array]:
        """`count` iterations from `iteration` on, within one block; second: returns of finished episodes."""
        result: tuple[State, jax.Array] = _run(
            state, iteration, count, self.sites, self.numbers, self.masses, self.settings, self.block_iterations
        )
        return result

    def parameters(self, state: State) -> Parameters:
        """The networks as they are now, agents as first axis."""
        return state.learner.parameters


def settings_of(recipe: TrainingRecipe) -> Settings:
    """What of a recipe shapes the program."""
    ppo = recipe.algorithm == "ppo"
    remembers = recipe.experience.replacement != "none"
    return Settings(
        algorithm="ppo" if ppo else "a2c",
        n_steps=int(number(recipe, "n_steps")),
        batch_size=int(number(recipe, "batch_size")) if ppo else int(number(recipe, "n_steps")),
        n_epochs=int(number(recipe, "n_epochs")) if ppo else 1,
        normalize_advantage=bool(number(recipe, "normalize_advantage")),
        clip_values=ppo and recipe.hyperparameter("clip_range_vf") is not None,
        policy=recipe.policy,
        memory_size=recipe.experience.memory if remembers else 0,
    )


def numbers_of(recipe: TrainingRecipe) -> Numbers:
    """What of a recipe the program reads."""
    ppo = recipe.algorithm == "ppo"
    rate, rate_falls = schedule(recipe, "learning_rate")
    clip_range, clip_falls = schedule(recipe, "clip_range") if ppo else (0.0, False)
    clip_range_vf = recipe.hyperparameter("clip_range_vf")
    return Numbers(
        learning_rate=jnp.float64(rate),
        rate_falls=jnp.bool_(rate_falls),
        clip_range=jnp.float64(clip_range),
        clip_falls=jnp.bool_(clip_falls),
        clip_range_vf=jnp.float32(0.0 if clip_range_vf is None else clip_range_vf),
        ent_coef=jnp.float32(number(recipe, "ent_coef")),
        vf_coef=jnp.float32(number(recipe, "vf_coef")),
        max_grad_norm=jnp.float32(number(recipe, "max_grad_norm")),
        total_steps=jnp.float64(recipe.total_steps),
    )


def on_policy_sites(recipe: TrainingRecipe) -> Sites:
    """The sites, with the agent's own gamma and lambda."""
    return sites_of(recipe, number(recipe, "gamma"), number(recipe, "gae_lambda"))


def fault_draws(key: jax.Array, part: jax.Array, steps: int, iterations: int) -> FaultDraws:
    """The faults' random numbers for one block of one agent's training."""
    returns = jax.random.uniform(stream(key, "returns", part), (iterations, 2), jnp.float32)
    flags = jax.random.uniform(stream(key, "terminal", part), (steps + iterations,), jnp.float32)
    inverted = jax.random.uniform(stream(key, "loss", part), (iterations,), jnp.float32)
    return FaultDraws(flags[:steps], flags[steps:], returns[:, 0], returns[:, 1], inverted)


def prepare(
    parameters: Parameters,
    start_flag: jax.Array,
    rollout: Rollout,
    draws: FaultDraws,
    sites: Sites,
    activation: str,
) -> Batch:
    """What the update reads of a rollout: values, log-probabilities, advantages and returns.

    The parameters do not change during a rollout, so all of it is computed at its end in one batch.

    Args:
        parameters: those that acted.
        start_flag: of the rollout's first step.
        rollout: of one agent.
        draws: flags of shape (steps,), the others scalars.
        sites: the recipe's.
        activation: of the hidden layers.
    """
    values = values_of(parameters, rollout.observations, activation)
    log_probs = log_probs_of(parameters, rollout.observations, rollout.actions, activation)
    final_values = values_of(parameters, rollout.final_observations, activation)
    last_value = values_of(parameters, rollout.last_observation[None], activation)[0]
    rewards = with_time_limit_bootstrap(rollout.rewards, rollout.timed_out, final_values, sites.own_gamma)
    ends = rollout.done.astype(jnp.float32)
    starts = jnp.concatenate([start_flag[None], ends[:-1]]) * (draws.flags >= sites.missed_terminal)
    edge = ends[-1] * (draws.edge >= sites.missed_terminal)
    gamma = jnp.where(draws.undiscounted < sites.undiscounted, 1.0, sites.gamma)
    advantages, returns = advantages_and_returns(
        rewards,
        values,
        last_value,
        1.0 - jnp.concatenate([starts[1:], edge[None]]),
        gamma,
        sites.gae_lambda,
        draws.forward < sites.forward,
    )
    return Batch(rollout.observations, rollout.actions, values, log_probs, advantages, returns)


def learn(
    learner: Learner,
    rollout: Rollout,
    draws: FaultDraws,
    key: jax.Array,
    iteration: jax.Array,
    sites: Sites,
    numbers: Numbers,
    settings: Settings,
) -> Learner:
    """One learner update of one agent from one rollout; `draws` as in `prepare`."""
    batch = prepare(learner.parameters, learner.start_flag, rollout, draws, sites, settings.policy.activation)
    sign = jnp.where(draws.inverted < sites.inverted, -1.0, 1.0).astype(jnp.float32)
    remaining = 1.0 - (iteration + 1) * settings.n_steps / numbers.total_steps
    parameters, optimizer = update(
        learner.parameters,
        learner.optimizer,
        batch,
        stream(key, "batches", iteration),
        sign,
        remaining,
        settings,
        numbers,
    )
    return Learner(parameters, optimizer, rollout.done[-1].astype(jnp.float32))


def first_learner(parameters: Parameters, settings: Settings) -> Learner:
    """Before the first update."""
    return Learner(parameters, optimizer_of(settings.policy).init(parameters), jnp.float32(1.0))


@partial(jax.jit, static_argnames=("settings",))
def _start(keys: jax.Array, parameters: Parameters, settings: Settings) -> State:
    def one(key: jax.Array, own: Parameters) -> State:
        world, observation = worlds.start(key, settings.memory_size)
        return State(first_learner(own, settings), world, observation, key)

    return jax.vmap(one)(keys, parameters)


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
) -> Any:
    steps = settings.n_steps
    block_steps = steps * block_iterations

    def one(state: State) -> tuple[State, jax.Array]:
        part = jnp.asarray(iteration) // block_iterations
        step_draws = StepDraws(
            worlds.draws(state.key, part, block_steps),
            jax.random.uniform(stream(state.key, "actions", part), (block_steps,), jnp.float32),
            jax.random.uniform(stream(state.key, "state", part), (block_steps,), jnp.float32),
        )
        faults = fault_draws(state.key, part, block_steps, block_iterations)

        def iterate(index: jax.Array, carry: tuple[State, jax.Array]) -> tuple[State, jax.Array]:
            state, finished = carry
            place = (iteration + index) % block_iterations
            rows = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, place * steps, steps), step_draws)
            own = FaultDraws(
                jax.lax.dynamic_slice_in_dim(faults.flags, place * steps, steps), *(f[place] for f in faults[1:])
            )
            world, held, rollout, returns = collect(
                state.learner.parameters["actor"],
                settings.policy.activation,
                state.world,
                state.held,
                rows,
                sites,
                masses,
            )
            learner = learn(state.learner, rollout, own, state.key, iteration + index, sites, numbers, settings)
            finished = jax.lax.dynamic_update_slice_in_dim(finished, returns, index * steps, 0)
            return State(learner, world, held, state.key), finished

        nothing = jnp.full(block_steps, jnp.nan, jnp.float32)
        result: tuple[State, jax.Array] = jax.lax.fori_loop(0, count, iterate, (state, nothing))
        return result

    return in_lanes(one, state)
