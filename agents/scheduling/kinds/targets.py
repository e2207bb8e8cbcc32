"""Rewards of one episode as targets: what is known of them, in units that compare between episodes."""

from __future__ import annotations

import numpy as np

from agents.scheduling.observation import BoolArray, FloatArray


def learnable(rewards: FloatArray) -> tuple[BoolArray, FloatArray]:
    """Which tests there is something to learn of, shape (n,), and their targets in [-1, 1], shape (m,).

    An order only depends on how the tests of one cycle compare, and the size of a reward often on how many failures
    the cycle had: each episode's rewards are divided by its largest magnitude (left alone if all are 0).
    """
    known = np.isfinite(rewards)
    values = rewards[known]
    largest = float(np.abs(values).max(initial=0.0))
    return known, values / largest if largest > 0.0 else values
