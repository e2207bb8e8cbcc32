"""Multi-layer perceptrons as plain arrays, exchanged with Stable-Baselines3's policies by their state dict.

A network is a tuple of layers, a layer a pair (weights, biases) of shapes (inputs, outputs) and (outputs,).
Parameters are a mapping from the network's name to its layers: ``actor`` and ``critic`` on-policy, ``q`` off-policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

Layers = tuple[tuple[jax.Array, jax.Array], ...]
Parameters = dict[str, Layers]

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "Tanh": jnp.tanh,
    "ReLU": jax.nn.relu,
    "Sigmoid": jax.nn.sigmoid,
    "ELU": jax.nn.elu,
    "LeakyReLU": lambda x: jnp.where(x > 0, x, 0.01 * x),
    "SiLU": jax.nn.silu,
}
"""torch.nn class name -> the same function, with torch's default arguments and its derivative at 0."""


def forward(layers: Layers, inputs: jax.Array, activation: str) -> jax.Array:
    """Outputs, shape (..., outputs), of inputs of shape (..., inputs); the last layer is linear."""
    function = ACTIVATIONS[activation]
    values = inputs
    for weights, biases in layers[:-1]:
        values = function(values @ weights + biases)
    weights, biases = layers[-1]
    return values @ weights + biases


def layer_names(network: str, hidden: int) -> tuple[str, ...]:
    """The names, in a Stable-Baselines3 state dict, of a network's layers, first to last."""
    if network == "actor":
        return (*(f"mlp_extractor.policy_net.{2 * index}" for index in range(hidden)), "action_net")
    if network == "critic":
        return (*(f"mlp_extractor.value_net.{2 * index}" for index in range(hidden)), "value_net")
    prefix = "q_net.q_net" if network == "q" else "q_net_target.q_net"
    return tuple(f"{prefix}.{2 * index}" for index in range(hidden + 1))


def from_state_dict(state: Mapping[str, torch.Tensor], networks: tuple[str, ...], hidden: int) -> dict[str, Any]:
    """The named networks of a state dict as nested tuples of float32 NumPy arrays; see `layer_names`."""
    return {
        network: tuple(
            (_array(state[f"{name}.weight"]).T.copy(), _array(state[f"{name}.bias"]))
            for name in layer_names(network, hidden)
        )
        for network in networks
    }


def to_state_dict(parameters: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The inverse of `from_state_dict`, for one agent."""
    state: dict[str, torch.Tensor] = {}
    for network, layers in parameters.items():
        for name, (weights, biases) in zip(layer_names(network, len(layers) - 1), layers, strict=True):
            state[f"{name}.weight"] = torch.from_numpy(np.array(weights, np.float32).T.copy())
            state[f"{name}.bias"] = torch.from_numpy(np.array(biases, np.float32))
    return state


def stack(agents: list[Any]) -> Any:
    """Equal trees of arrays, one per agent, as one tree whose leaves have the agents as first axis."""
    return jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]), *agents)


def _array(tensor: torch.Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.array(tensor.detach().cpu().numpy(), np.float32)
