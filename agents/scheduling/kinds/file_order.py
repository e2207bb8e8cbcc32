"""File order: the order in which the job gave its tests."""

from __future__ import annotations

import numpy as np

from agents.scheduling.agent import SchedulingAgent
from agents.scheduling.observation import Observation, Scores


class FileOrder(SchedulingAgent):
    """Leaves the given order as it is."""

    kind = "file_order"
    summary = "the order in which the job gives its tests"

    def score(self, observation: Observation, rng: np.random.Generator) -> Scores:
        count = len(observation)
        return Scores(-np.arange(count, dtype=np.float64), np.zeros(count, np.bool_), 0.0)
