"""Policies of saved agents as plain arrays, and their deterministic actions for many agents at once."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from agents.deeprl.engines.fleet.networks import ACTIVATIONS, from_state_dict, layer_names
from agents.deeprl.recipe import PolicySite
from agents.deeprl.threads import one_thread

WEIGHTS = "policy.pth"
"""The member of a Stable-Baselines3 zip file that holds the policy's state dict."""

NETWORKS = {"ppo": ("actor", "critic"), "a2c": ("actor", "critic"), "dqn": ("q", "target")}
"""Algorithm -> the networks of its policy; the first one acts."""

LONGEST_SUM = 64
"""Products that one matrix product adds up per output.

XLA's matrix product chooses the order of longer sums by the number of rows. Pieces of this length are added in one
order whatever else is in the batch, so an agent's actions do not depend on its neighbours, bit for bit.
"""

FEW_UNITS = 16
"""Layers of more units are filled up to a multiple of `LONGEST_SUM`, for the same reason."""

FEWEST_ROWS = 8
"""A product with a single row is another routine with another order."""

Layers = tuple[tuple[Any, Any], ...]


@dataclass(frozen=True, eq=False)
class Policy:
    """What one agent does.

    Attributes:
        layers: of its acting network, NumPy arrays of shapes (inputs, outputs) and (outputs,).
    """

    activation: str
    layers: Layers

    @cached_property
    def shape(self) -> tuple[str, tuple[int, ...]]:
        """Agents of equal shape can act in one batch: activation, and units of input, hidden and output layers."""
        return self.activation, (self.layers[0][0].shape[0], *(len(biases) for _, biases in self.layers))


def read_policy(checkpoint: bytes, algorithm: str, site: PolicySite) -> Policy | str:
    """The policy in a Stable-Baselines3 zip file, or why it must be loaded by the library.

    Only the weights are read; the architecture is checked against their names and shapes.

    Raises:
        Exception: of zipfile or torch, on damaged bytes.
    """
    networks = NETWORKS.get(algorithm.lower())
    if networks is None:
        return f"algorithm {algorithm} is not one of {', '.join(NETWORKS)}"
    if site.activation not in ACTIVATIONS:
        return f"activation {site.activation} is not one of {', '.join(ACTIVATIONS)}"
    state = _state_dict(checkpoint)
    hidden = len(site.net_arch)
    names = [name for network in networks for name in layer_names(network, hidden)]
    if set(state) != {f"{name}.{part}" for name in names for part in ("weight", "bias")}:
        return "its policy is not a plain multi-layer perceptron"
    layers = from_state_dict(state, networks[:1], hidden)[networks[0]]
    if tuple(len(biases) for _, biases in layers[:-1]) != site.net_arch:
        return "its layers are not those of the recipe"
    return Policy(site.activation, layers)


def _state_dict(checkpoint: bytes) -> dict[str, torch.Tensor]:
    with zipfile.ZipFile(io.BytesIO(checkpoint)) as archive, one_thread():
        state: dict[str, torch.Tensor] = torch.load(
            io.BytesIO(archive.read(WEIGHTS)), map_location="cpu", weights_only=True
        )
    return state


def stacked(policies: Sequence[Policy], count: int) -> Layers:
    """The layers of agents of one shape with the agents as first axis, filled up with zeros to `count` agents.

    Units are filled up as well (see `FEW_UNITS`): hidden ones lead nowhere, outputs are never the largest.
    """
    layers, inputs = [], policies[0].shape[1][0]
    for index, parts in enumerate(zip(*(policy.layers for policy in policies), strict=True)):
        shape = parts[0][0].shape
        outputs = _units(shape[1])
        weights = np.zeros((count, inputs, outputs), np.float32)
        biases = np.full((count, outputs), -np.inf if index == len(policies[0].layers) - 1 else 0.0, np.float32)
        for agent, (some_weights, some_biases) in enumerate(parts):
            weights[agent, : shape[0], : shape[1]] = some_weights
            biases[agent, : shape[1]] = some_biases
        layers.append((jnp.asarray(weights), jnp.asarray(biases)))
        inputs = outputs
    return tuple(layers)


def _units(count: int) -> int:
    return count if count <= FEW_UNITS else -(-count // LONGEST_SUM) * LONGEST_SUM


def actions(layers: Layers, observations: jax.Array, activation: str) -> jax.Array:
    """Deterministic actions, int32, shape (agents, rows), of observations, float32, (agents, rows, inputs).

    The first of the largest outputs, as in torch. Traced: call it from a compiled function.
    """
    return jnp.argmax(outputs(layers, observations, activation), axis=-1).astype(jnp.int32)


def outputs(layers: Layers, observations: jax.Array, activation: str) -> jax.Array:
    """Logits or Q values, float32, shape (agents, rows, actions)."""
    function, values = ACTIVATIONS[activation], observations
    for index, (weights, biases) in enumerate(layers):
        values = _product(values, weights) + biases[:, None, :]
        if index < len(layers) - 1:
            values = function(values)
    return values


def _product(values: jax.Array, weights: jax.Array) -> jax.Array:
    total = values[..., :LONGEST_SUM] @ weights[:, :LONGEST_SUM]
    for start in range(LONGEST_SUM, weights.shape[1], LONGEST_SUM):
        piece = slice(start, start + LONGEST_SUM)
        total = total + values[..., piece] @ weights[:, piece]
    return total


def padded(count: int, fewest: int = 1) -> int:
    """The next larger of 1, 2, 4, 5, 8, 10, 16, 20, ...: few shapes are compiled, 10 and 20 are among them."""
    size = 1
    while size < max(count, fewest):
        size *= 2
    shorter = size * 5 // 8
    return shorter if shorter >= max(count, fewest) and size >= 8 else size
