"""A recipe's sites as the numbers that a compiled program reads: mutants that differ in them share a compilation."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from agents.deeprl.recipe import TrainingRecipe

REPLACEMENTS = ("none", "repeat", "random", "mangled")
"""Codes of `ExperienceSite.replacement`: a name's place is its number."""

STREAMS = ("weights", "actions", "resets", "batches", "replacement", "noise", "terminal", "state", "returns", "loss")
"""Random streams of one agent. Each has a key of its own, so that a fault's draws disturb no others."""


class Sites(NamedTuple):
    """Scalars; the names follow the fields of `TrainingRecipe`'s sites.

    Attributes:
        gamma, gae_lambda: those of the learner updates, the agent's own unless the returns site replaces them.
        own_gamma: the agent's own, which the bootstrap at time limits keeps.
    """

    replacement: jax.Array
    replacement_probability: jax.Array
    mangle_pool: jax.Array
    frozen: jax.Array
    across_episodes: jax.Array
    noise_probability: jax.Array
    noise_scale: jax.Array
    log_shown_reward: jax.Array
    missed_terminal: jax.Array
    time_limit_is_terminal: jax.Array
    missed_state_update: jax.Array
    undiscounted: jax.Array
    forward: jax.Array
    gamma: jax.Array
    gae_lambda: jax.Array
    own_gamma: jax.Array
    inverted: jax.Array


def sites_of(recipe: TrainingRecipe, gamma: float, gae_lambda: float = 1.0) -> Sites:
    """The sites of a recipe.

    Args:
        recipe: what to train.
        gamma, gae_lambda: the agent's own.
    """
    seen, returns = recipe.experience, recipe.returns
    return Sites(
        replacement=jnp.int32(REPLACEMENTS.index(seen.replacement)),
        replacement_probability=jnp.float32(seen.probability),
        mangle_pool=jnp.int32(seen.mangle_pool),
        frozen=jnp.bool_(seen.frozen),
        across_episodes=jnp.bool_(seen.across_episodes),
        noise_probability=jnp.float32(seen.noise_probability),
        noise_scale=jnp.float32(seen.noise_scale),
        log_shown_reward=jnp.bool_(seen.log_mutated_reward),
        missed_terminal=jnp.float32(recipe.terminal.missed),
        time_limit_is_terminal=jnp.bool_(recipe.terminal.time_limit_is_terminal),
        missed_state_update=jnp.float32(recipe.state.missed_update),
        undiscounted=jnp.float32(returns.undiscounted),
        forward=jnp.float32(returns.forward),
        gamma=jnp.float64(gamma if returns.gamma is None else returns.gamma),
        gae_lambda=jnp.float64(gae_lambda if returns.gae_lambda is None else returns.gae_lambda),
        own_gamma=jnp.float64(gamma),
        inverted=jnp.float32(recipe.loss.inverted),
    )


def stream(agent_key: jax.Array, name: str, part: int | jax.Array) -> jax.Array:
    """The key of one part (a block of a training) of one random stream of one agent."""
    return jax.random.fold_in(jax.random.fold_in(agent_key, STREAMS.index(name)), part)
