"""Ranges of hyper-parameters, checked when an agent is made."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from envsearch.errors import InputError

MOST_WEIGHTS = 5_000_000
"""Of one network: 20 MB, and several times as much while it learns."""

MOST_REMEMBERED = 25_000_000
"""Numbers in the memory of one agent: 100 MB."""

MOST_WORK = 1e12
"""Weights times rows that one reward may train on: minutes, in which the same owner answers no other call."""


def check_range(hyperparameters: Mapping[str, Any], **limits: tuple[float, float]) -> None:
    """Whether each named value lies between its two limits, both included.

    Raises:
        InputError: a value is out of its range.
    """
    for name, (low, high) in limits.items():
        value = hyperparameters[name]
        if not low <= value <= high:  # NaN is in no range
            raise InputError(f"{value!r} is out of range", f"hyperparameters.{name}", f"{low:g} to {high:g}")


def check_network(inputs: int, width: int, depth: int, rows: float, remembered: int = 0) -> None:
    """Whether the sizes of a network, its memory and its training per reward suit a shared process.

    Args:
        inputs: of one test case; `width`, `depth`: of the hidden layers.
        rows: shown per reward, each as often as it is shown.
        remembered: test cases in the memory.

    Raises:
        InputError: one of them is too large.
    """
    sizes = [inputs, *([width] * depth), 1]
    weights = sum(fan_in * fan_out for fan_in, fan_out in itertools.pairwise(sizes))
    for name, value, most in (
        ("width", weights, MOST_WEIGHTS),
        ("memory", remembered * inputs, MOST_REMEMBERED),
        ("updates", weights * rows, MOST_WORK),
    ):
        if value > most:
            raise InputError(f"{value:g} {_COUNTED[name]} are too many", f"hyperparameters.{name}", f"at most {most:g}")


_COUNTED = {
    "width": "weights of width x width for each layer",
    "memory": "numbers, the inputs of each test case in memory,",
    "updates": "steps, weights x rows trained on per reward,",
}
