"""DQN's schedules and gradient steps for one agent, compiled: Stable-Baselines3's formulas; callers map it."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from agents.deeprl.engines.fleet.dqn_recipe import DQNNumbers, DQNSettings
from agents.deeprl.engines.fleet.networks import Layers, Parameters, forward
from agents.deeprl.engines.fleet.optimizers import optimizer_of
from agents.deeprl.engines.fleet.replay_buffer import TransitionBatch


class DQNLearner(NamedTuple):
    """One agent's learner: networks ``q`` and ``q_target``, and the optimizer's state."""

    parameters: Parameters
    optimizer: Any


def first_learner(parameters: Parameters, settings: DQNSettings) -> DQNLearner:
    """Before the first gradient step."""
    return DQNLearner(parameters, optimizer_of(settings.policy).init(parameters["q"]))


def exploration_rate(steps: jax.Array, numbers: DQNNumbers) -> jax.Array:
    """The share of random actions after `steps` steps, float64.

    Before the first step it is 0: the library computes the rate at the end of each step.
    """
    elapsed = _elapsed(steps, numbers)
    slope = (numbers.exploration_final - numbers.exploration_initial) / numbers.exploration_fraction
    falling = numbers.exploration_initial + elapsed * slope
    rate = jnp.where(elapsed > numbers.exploration_fraction, numbers.exploration_final, falling)
    return jnp.where(steps == 0, 0.0, rate)


def learning_rate(steps: jax.Array, numbers: DQNNumbers) -> jax.Array:
    """The optimizer's learning rate in the call of the update after `steps` steps, float64."""
    falling = jnp.where(_elapsed(steps, numbers) > 1.0, 0.0, 1.0 - _elapsed(steps, numbers))
    return numbers.learning_rate * jnp.where(numbers.rate_falls, falling, 1.0)


def follow_target(parameters: Parameters, before: jax.Array, after: jax.Array, numbers: DQNNumbers) -> Parameters:
    """The target network after the steps `before` + 1 ... `after`, during which ``q`` did not change.

    It moves by `tau` towards ``q`` at every multiple of the interval.
    """
    updates = after // numbers.target_update_interval - before // numbers.target_update_interval
    moves = jnp.where(numbers.tau == 1.0, jnp.minimum(updates, 1), updates)  # a copy copied again is the same

    def move(_: jax.Array, target: Layers) -> Layers:
        moved: Layers = jax.tree.map(
            lambda own, online: own * (1 - numbers.tau) + numbers.tau * online, target, parameters["q"]
        )
        return moved

    return {"q": parameters["q"], "q_target": jax.lax.fori_loop(0, moves, move, parameters["q_target"])}


def targets(target: Layers, batch: TransitionBatch, discounts: jax.Array, activation: str) -> jax.Array:
    """r + (1 - d) c max Q of each transition, float32; the batch's and the discounts' axes broadcast."""
    following = jnp.max(forward(target, batch.next_observations, activation), axis=-1)
    return batch.rewards + (1.0 - batch.dones) * discounts * following


def loss_of(q: Layers, observations: jax.Array, actions: jax.Array, goals: jax.Array, activation: str) -> jax.Array:
    """Mean smooth L1 distance (threshold 1) of the taken actions' values from their targets."""
    values = forward(q, observations, activation)
    taken = jnp.where(actions[:, None] == jnp.arange(values.shape[-1]), values, 0.0).sum(-1)
    distance = jnp.abs(taken - goals)
    return jnp.mean(jnp.where(distance < 1.0, 0.5 * jnp.square(distance), distance - 0.5))


def update(
    learner: DQNLearner,
    batches: TransitionBatch,
    discounts: jax.Array,
    count: jax.Array,
    rate: jax.Array,
    numbers: DQNNumbers,
    settings: DQNSettings,
) -> DQNLearner:
    """One call of the update: `count` gradient steps, one per batch.

    Args:
        learner: before the call; its target network does not change in it.
        batches: leaves of shape (gradient steps, batch size, ...).
        discounts: of each batch's targets, shape (gradient steps,).
        count: gradient steps to make, the first ones.
        rate: learning rate.
    """
    optimizer, activation = optimizer_of(settings.policy), settings.policy.activation
    target = learner.parameters["q_target"]

    def gradient_step(index: jax.Array, carry: tuple[Layers, Any]) -> tuple[Layers, Any]:
        q, state = carry
        batch: TransitionBatch = jax.tree.map(lambda leaf: leaf[index], batches)
        goals = targets(target, batch, discounts[index], activation)
        gradients = jax.grad(loss_of)(q, batch.observations, batch.actions, goals, activation)
        q, state = optimizer.step(gradients, state, q, rate, numbers.max_grad_norm)
        return q, state

    q, state = jax.lax.fori_loop(0, count, gradient_step, (learner.parameters["q"], learner.optimizer))
    return DQNLearner({"q": q, "q_target": target}, state)


def _elapsed(steps: jax.Array, numbers: DQNNumbers) -> jax.Array:
    """The share of the training that is over, computed as the library does."""
    return 1.0 - (1.0 - steps / numbers.total_steps)
