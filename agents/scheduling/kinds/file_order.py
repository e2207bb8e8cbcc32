"""File order: the job's own order."""

from __future__ import annotations

import numpy as np

from agents.scheduling.agent import SchedulingAgent
from agents.scheduling.observation import Observation, Scores


class FileOrder(SchedulingAgent):
    """Keeps the job's order."""

    kind = "file_order"
    summary = "the job's own order"

    def score(self, observation: Observation, rng: np.random.Generator) -> Scores:
        count = len(observation)
        return Scores(-np.arange(count, dtype=np.float64), np.zeros(count, np.bool_), 0.0)
