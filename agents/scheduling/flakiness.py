"""How unsteady a test's verdicts are, from its last executions."""

from __future__ import annotations

import numpy as np

from agents.scheduling.observation import FloatArray


def flip_rate(past_failures: FloatArray) -> FloatArray:
    """How often each test's verdict changed from one execution to the next, in [0, 1], shape (n,).

    Args:
        past_failures: last executions, newest first, shape (n, N): 1 failed, 0 passed, NaN none; no NaN between two
            executions.

    Changes divided by the pairs of neighbouring executions; 0 for a test with fewer than two executions.
    """
    changes, pairs = _changes(past_failures)
    rate: FloatArray = changes / np.maximum(pairs, 1)
    return rate


def flakiness(past_failures: FloatArray) -> FloatArray:
    """Flip rate without the first change, in [0, 1], shape (n,).

    One change is a new fault or its repair, not a sign of a flaky test: max(changes - 1, 0) / (pairs - 1), with the
    arguments of `flip_rate`; 0 for a test with fewer than three executions.
    """
    changes, pairs = _changes(past_failures)
    rate: FloatArray = np.maximum(changes - 1, 0) / np.maximum(pairs - 1, 1)
    return rate


def _changes(past_failures: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Changes of verdict and pairs of neighbouring executions, shape (n,) each."""
    if past_failures.shape[1] < 2:
        none = np.zeros(len(past_failures))
        return none, none
    changed = np.abs(np.diff(past_failures, axis=1))
    return np.nansum(changed, axis=1), np.isfinite(changed).sum(axis=1).astype(np.float64)
