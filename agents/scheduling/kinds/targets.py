"""Rewards of one episode as targets: the known ones, in units that are comparable between episodes."""

from __future__ import annotations

import numpy as np

from agents.scheduling.observation import BoolArray, FloatArray


def learnable(rewards: FloatArray) -> tuple[BoolArray, FloatArray]:
    """Which tests have something to learn from, shape (n,), and their targets in [-1, 1], shape (m,).

    An order depends only on how the tests of one cycle compare, but the size of a reward often depends on the number of
    failures. Each episode's rewards are therefore divided by the largest magnitude (unchanged if all are 0).
    """
    known = np.isfinite(rewards)
    values = rewards[known]
    largest = float(np.abs(values).max(initial=0.0))
    return known, values / largest if largest > 0.0 else values
