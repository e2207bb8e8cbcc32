"""What a learning agent is shown of each test case: the observation's features and the last verdicts."""

from __future__ import annotations

import numpy as np

from agents.scheduling.features import FEATURE_NAMES
from agents.scheduling.kinds.replay_memory import Array32
from agents.scheduling.observation import Observation
from envsearch.errors import InputError


def input_width(history_length: int) -> int:
    """Inputs per test case."""
    return len(FEATURE_NAMES) + history_length


def inputs(observation: Observation, history_length: int) -> Array32:
    """The features and the last `history_length` verdicts, newest first: 1 failed, -1 passed, 0 none.

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
    return np.concatenate([observation.features, verdicts], axis=1).astype(np.float32)
