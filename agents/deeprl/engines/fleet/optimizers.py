"""torch's optimizers as optax transformations: the same update for the same gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from agents.deeprl.recipe import PolicySite


def _adam(arguments: dict[str, float]) -> optax.GradientTransformation:
    return optax.scale_by_adam(b1=0.9, b2=0.999, eps=arguments.get("eps", 1e-8))


def _rmsprop(arguments: dict[str, float]) -> optax.GradientTransformation:
    return optax.scale_by_rms(
        decay=arguments.get("alpha", 0.99), eps=arguments.get("eps", 1e-8), initial_scale=0.0, eps_in_sqrt=False
    )


def _sgd(arguments: dict[str, float]) -> optax.GradientTransformation:
    return optax.identity()


OPTIMIZERS: dict[str, tuple[Callable[[dict[str, float]], optax.GradientTransformation], frozenset[str]]] = {
    "Adam": (_adam, frozenset({"eps"})),
    "RMSprop": (_rmsprop, frozenset({"alpha", "eps"})),
    "SGD": (_sgd, frozenset()),
}
"""torch.optim class name -> (its equivalent, the keyword arguments that it understands)."""


class Optimizer(NamedTuple):
    """How gradients become new parameters."""

    init: Callable[[Any], Any]
    step: Callable[[Any, Any, Any, jax.Array, jax.Array], tuple[Any, Any]]


def optimizer_of(policy: PolicySite) -> Optimizer:
    """The optimizer of a recipe; ``step(gradients, state, parameters, learning_rate, max_norm)``.

    Gradients are first clipped to `max_norm` as torch.nn.utils.clip_grad_norm_ does.
    """
    build, _ = OPTIMIZERS[policy.optimizer]
    transformation = build(dict(policy.optimizer_kwargs))

    def step(gradients: Any, state: Any, parameters: Any, rate: jax.Array, max_norm: jax.Array) -> tuple[Any, Any]:
        norm = optax.tree.norm(gradients)
        factor = jnp.minimum(max_norm / (norm + 1e-6), 1.0).astype(jnp.float32)
        clipped = jax.tree.map(lambda gradient: gradient * factor, gradients)
        updates, state = transformation.update(clipped, state)
        return jax.tree.map(lambda p, u: p - rate.astype(jnp.float32) * u, parameters, updates), state

    return Optimizer(transformation.init, step)
