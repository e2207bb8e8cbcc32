"""The updates of PPO and A2C as Stable-Baselines3 defines them, for one agent; pure functions that callers `vmap`."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from agents.deeprl.engines.fleet.networks import Parameters, forward
from agents.deeprl.engines.fleet.on_policy_recipe import OnPolicyNumbers, OnPolicySettings
from agents.deeprl.engines.fleet.optimizers import optimizer_of


class RolloutBatch(NamedTuple):
    """What a learner update reads of a rollout; `steps` as first axis."""

    observations: jax.Array
    actions: jax.Array
    old_values: jax.Array
    old_log_probs: jax.Array
    advantages: jax.Array
    returns: jax.Array


class Losses(NamedTuple):
    """The three terms of the loss, before their coefficients."""

    policy: jax.Array
    value: jax.Array
    entropy: jax.Array


def values_of(parameters: Parameters, observations: jax.Array, activation: str) -> jax.Array:
    """V of observations (..., observations), shape (...)."""
    return forward(parameters["critic"], observations, activation)[..., 0]


def log_probs_of(parameters: Parameters, observations: jax.Array, actions: jax.Array, activation: str) -> jax.Array:
    """Log-probability of the taken actions, shape (...)."""
    logits = jax.nn.log_softmax(forward(parameters["actor"], observations, activation))
    return jnp.take_along_axis(logits, actions[..., None], axis=-1)[..., 0]


def loss_of(
    parameters: Parameters,
    batch: RolloutBatch,
    sign: jax.Array,
    clip_range: jax.Array,
    settings: OnPolicySettings,
    numbers: OnPolicyNumbers,
) -> tuple[jax.Array, Losses]:
    """The loss of one minibatch; `sign` is -1 where the policy loss is inverted (the loss site)."""
    activation = settings.policy.activation
    logits = jax.nn.log_softmax(forward(parameters["actor"], batch.observations, activation))
    log_probs = jnp.take_along_axis(logits, batch.actions[:, None], axis=1)[:, 0]
    advantages = batch.advantages
    if settings.normalize_advantage and advantages.shape[0] > 1:
        advantages = (advantages - advantages.mean()) / (advantages.std(ddof=1) + 1e-8)
    elif settings.normalize_advantage and settings.algorithm == "a2c":
        advantages = advantages * jnp.nan  # as the library: the deviation of a single number
    if settings.algorithm == "ppo":
        ratio = jnp.exp(log_probs - batch.old_log_probs)
        clipped = jnp.clip(ratio, 1 - clip_range, 1 + clip_range)
        policy = -jnp.minimum(advantages * ratio, advantages * clipped).mean()
    else:
        policy = -(advantages * log_probs).mean()
    values = values_of(parameters, batch.observations, activation)
    if settings.clip_values:
        change = jnp.clip(values - batch.old_values, -numbers.clip_range_vf, numbers.clip_range_vf)
        values = batch.old_values + change
    value = jnp.square(batch.returns - values).mean()
    entropy = (jnp.exp(logits) * logits).sum(axis=1).mean()
    losses = Losses(policy, value, entropy)
    return sign * policy + numbers.ent_coef * entropy + numbers.vf_coef * value, losses


def update(
    parameters: Parameters,
    optimizer_state: Any,
    batch: RolloutBatch,
    key: jax.Array,
    sign: jax.Array,
    remaining: jax.Array,
    settings: OnPolicySettings,
    numbers: OnPolicyNumbers,
) -> tuple[Parameters, Any]:
    """One learner update: all epochs over one rollout.

    Args:
        parameters, optimizer_state: before.
        batch: the rollout, `settings.n_steps` rows.
        key: of the order of the minibatches.
        sign: -1 where the policy loss is inverted, else 1, float32.
        remaining: share of the training that is left, float64.
        settings, numbers: of the recipe.
    """
    remaining = jnp.maximum(remaining, 0.0)
    rate = numbers.learning_rate * jnp.where(numbers.rate_falls, remaining, 1.0)
    clip_range = (numbers.clip_range * jnp.where(numbers.clip_falls, remaining, 1.0)).astype(jnp.float32)
    optimizer = optimizer_of(settings.policy)

    def gradient_step(carry: tuple[Parameters, Any], rows: jax.Array | None) -> tuple[tuple[Parameters, Any], None]:
        weights, state = carry
        part = batch if rows is None else jax.tree.map(lambda column: column[rows], batch)
        gradients, _ = jax.grad(loss_of, has_aux=True)(weights, part, sign, clip_range, settings, numbers)
        return optimizer.step(gradients, state, weights, rate, numbers.max_grad_norm), None

    if settings.algorithm == "a2c":
        return gradient_step((parameters, optimizer_state), None)[0]
    size, steps = settings.batch_size, settings.n_steps
    whole = steps // size * size

    def epoch(carry: tuple[Parameters, Any], epoch_key: jax.Array) -> tuple[tuple[Parameters, Any], None]:
        order = jax.random.permutation(epoch_key, steps)
        carry, _ = jax.lax.scan(gradient_step, carry, order[:whole].reshape(-1, size))
        if whole < steps:
            carry, _ = gradient_step(carry, order[whole:])
        return carry, None

    (parameters, optimizer_state), _ = jax.lax.scan(
        epoch, (parameters, optimizer_state), jax.random.split(key, settings.n_epochs)
    )
    return parameters, optimizer_state
