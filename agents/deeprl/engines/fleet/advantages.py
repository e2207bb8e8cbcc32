"""Generalised advantage estimation as Stable-Baselines3's rollout buffer computes it, to the last bit.

That buffer computes in float32 and rounds after every operation, which a compiler is free not to do (it may fuse a
multiplication and an addition). Here every operation is done in float64 and its result rounded to float32: for sums
and products of float32 numbers that is the same as computing in float32 (Figueroa 1995, double rounding is innocuous).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def single(value: jax.Array) -> jax.Array:
    """A float64 array rounded to float32's precision, still float64."""
    return jax.lax.reduce_precision(value, exponent_bits=8, mantissa_bits=23)


def with_time_limit_bootstrap(
    rewards: jax.Array, timed_out: jax.Array, final_values: jax.Array, gamma: jax.Array
) -> jax.Array:
    """Rewards plus gamma V(final observation) where an episode ended by its time limit; all of shape (steps,)."""
    bonus = single(single(gamma) * final_values.astype(jnp.float64))
    added = single(rewards.astype(jnp.float64) + bonus)
    return jnp.where(timed_out, added, rewards.astype(jnp.float64)).astype(jnp.float32)


def advantages_and_returns(
    rewards: jax.Array,
    values: jax.Array,
    last_value: jax.Array,
    non_terminal: jax.Array,
    gamma: jax.Array,
    gae_lambda: jax.Array,
    forward: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Advantages and returns of one rollout of one agent, float32, shape (steps,) each.

    Args:
        rewards, values: of each step, float32, shape (steps,).
        last_value: of the observation after the last step, float32.
        non_terminal: 1 where the step after this one belongs to the same episode, else 0, float32, shape (steps,).
        gamma, gae_lambda: float64.
        forward: whether the recursion runs in the wrong direction, from the first step to the last (the returns
            site); see `ReturnsSite` for the formulas.
    """
    rewards, values = rewards.astype(jnp.float64), values.astype(jnp.float64)
    non_terminal = non_terminal.astype(jnp.float64)
    following = jnp.concatenate([values[1:], last_value.astype(jnp.float64)[None]])
    bootstrapped = single(single(single(gamma) * following) * non_terminal)
    deltas = single(single(rewards + bootstrapped) - values)
    decays = single(single(gamma * gae_lambda) * non_terminal)

    steps = rewards.shape[0]
    order = jnp.where(forward, jnp.arange(steps), jnp.arange(steps)[::-1])

    def accumulate(before: jax.Array, step: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        delta, decay = step
        after = single(delta + single(decay * before))
        return after, after

    _, accumulated = jax.lax.scan(accumulate, jnp.float64(0), (deltas[order], decays[order]), unroll=min(steps, 8))
    advantages = accumulated[order]
    return advantages.astype(jnp.float32), (advantages + values).astype(jnp.float32)
