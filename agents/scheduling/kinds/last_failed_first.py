"""Tests that failed in their last run first."""

from __future__ import annotations

import numpy as np

from agents.scheduling.agent import SchedulingAgent
from agents.scheduling.observation import Observation, Scores


class LastFailedFirst(SchedulingAgent):
    """Two groups, failed in the last run or not (new tests are in the second); random order within each."""

    kind = "last_failed_first"
    summary = "what failed in its last run first"

    def score(self, observation: Observation, rng: np.random.Generator) -> Scores:
        failed = observation.past_failures[:, 0] == 1.0
        return Scores(failed.astype(np.float64), np.zeros(len(observation), np.bool_), 0.0)
