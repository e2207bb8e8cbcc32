"""The inputs of a learning agent for each test case: the observation's features, slow recencies, the last verdicts."""

from __future__ import annotations

import numpy as np

from agents.scheduling.features import FEATURE_NAMES
from agents.scheduling.kinds.replay_memory import Array32
from agents.scheduling.observation import FloatArray, IntArray, Observation
from envsearch.errors import InputError

SLOW = ("ever_failed", "slow_recency_of_failure", "slow_recency_of_run")
"""1 / (1 + ln(cycles since)), 0 for never: a failure 50 cycles ago still differs from none."""


def input_width(history_length: int) -> int:
    """Inputs per test case."""
    return len(FEATURE_NAMES) + len(SLOW) + history_length


def inputs(observation: Observation, history_length: int) -> Array32:
    """The features, those of `SLOW`, the last `history_length` verdicts, newest first: 1 failed, -1 passed, 0 none.

    Shape (n, `input_width`).

    Raises:
        InputError: the observation has other features than `agents.scheduling.features` makes.
    """
    number, width = observation.features.shape
    if width != len(FEATURE_NAMES):
        raise InputError(f"{width} features per test", "observation.features", f"{len(FEATURE_NAMES)} features")
    verdicts = np.zeros((number, history_length))
    kept = observation.past_failures[:, :history_length]
    verdicts[:, : kept.shape[1]] = np.nan_to_num(2.0 * kept - 1.0, nan=0.0)
    ever = (observation.since_failure > 0).astype(np.float64)
    slow = np.stack([ever, _slow(observation.since_failure), _slow(observation.since_run)], axis=1)
    return np.concatenate([observation.features, slow, verdicts], axis=1).astype(np.float32)


def _slow(since: IntArray) -> FloatArray:
    return np.where(since > 0, 1.0 / (1.0 + np.log(np.maximum(since, 1))), 0.0)
