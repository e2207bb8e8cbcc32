"""Ranges of hyper-parameters, checked when an agent is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envsearch.errors import InputError


def check_range(hyperparameters: Mapping[str, Any], **limits: tuple[float, float]) -> None:
    """Whether each named value lies between its two limits, both included.

    Raises:
        InputError: one of them does not.
    """
    for name, (low, high) in limits.items():
        value = hyperparameters[name]
        if not low <= value <= high:  # NaN is in no range
            raise InputError(f"{value!r} is out of range", f"hyperparameters.{name}", f"{low:g} to {high:g}")
