"""The chance that a test still fits a time budget when tests take about as long as expected."""

from __future__ import annotations

import numpy as np

from agents.scheduling.observation import FloatArray

_LEAST = 1e-3
"""Smallest error of a sum of durations, in seconds."""
_NORMAL = 1.7
"""A logistic distribution of this many times the argument is near the normal one, and its logarithm cheap."""


def log_fits(worth: FloatArray, seconds: FloatArray, budget: float, spread: float) -> FloatArray:
    """ln of the chance that each test ends within the budget if tests run by falling `worth`, shape (n,).

    Each test's seconds have an independent error with a standard deviation of `spread` times the expected seconds.
    """
    order = np.argsort(-worth, kind="stable")
    taken = seconds[order]
    left = budget - np.cumsum(taken)
    deviation = spread * np.sqrt(np.cumsum(taken * taken)) + _LEAST
    chance = np.empty(len(order))
    chance[order] = -np.logaddexp(0.0, -_NORMAL * left / deviation)
    return chance
