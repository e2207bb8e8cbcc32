"""A fully connected network: the inputs of one test case in, one value out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from agents.scheduling.state import State
from envsearch.errors import CorruptArtifactError

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "tanh": torch.tanh,
    "elu": functional.elu,
}


class Mlp(nn.Module):
    """`depth` hidden layers of `width` units, and a direct linear path from the inputs beside them.

    The linear path learns simple relations fast, the layers learn the rest (wide and deep, Cheng et al. 2016,
    section 3). Weights are drawn by He's rule from the seed alone. The output weights start at 0: a network without
    training ranks all tests alike.
    """

    def __init__(self, inputs: int, width: int, depth: int, activation: str, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        sizes = [inputs, *([width] * depth), 1]
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
            scale = 0.0 if layer == depth else math.sqrt(2.0 / fan_in)
            self.weights.append(nn.Parameter(scale * torch.randn(fan_out, fan_in, generator=generator)))
            self.biases.append(nn.Parameter(torch.zeros(fan_out)))
        self.direct = nn.Parameter(torch.zeros(inputs))
        self._activation = ACTIVATIONS[activation]

    def forward(self, values: Tensor) -> Tensor:
        """Shape (n, inputs) -> (n,)."""
        last, direct = len(self.weights) - 1, values @ self.direct
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = functional.linear(values, weight, bias)
            if layer < last:
                values = self._activation(values)
        return values.squeeze(-1) + direct


def module_state(module: nn.Module) -> State:
    """Parameters and buffers as arrays."""
    return {name: value.detach().numpy().copy() for name, value in module.state_dict().items()}


def restore_module(module: nn.Module, state: State, name: str) -> None:
    """The inverse of `module_state`.

    Raises:
        CorruptArtifactError: the arrays are not those of this module.
    """
    try:
        module.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in state.items()})
    except RuntimeError as error:
        raise CorruptArtifactError("holds other layers", name, "the state of a network of the same shape") from error


def optimizer_state(optimizer: torch.optim.Optimizer) -> State:
    """What an optimizer keeps of each parameter (moments, steps), named ``<parameter>.<what>``."""
    kept = optimizer.state_dict()["state"]
    state: State = {}
    for index, entry in kept.items():
        for what, value in entry.items():
            state[f"{index}.{what}"] = value.detach().numpy().copy() if value.ndim else float(value)
    return state


def restore_optimizer(optimizer: torch.optim.Optimizer, state: State) -> None:
    """The inverse of `optimizer_state`; all that torch's optimizers keep of a float32 parameter is float32."""
    kept: dict[int, dict[str, Tensor]] = {}
    for name, value in state.items():
        index, what = name.split(".", 1)
        kept.setdefault(int(index), {})[what] = torch.tensor(np.asarray(value, dtype=np.float32))
    optimizer.load_state_dict({"state": kept, "param_groups": optimizer.state_dict()["param_groups"]})
