"""Exponentially weighted failure rate, new tests first."""

from __future__ import annotations

import numpy as np

from agents.scheduling.agent import SchedulingAgent
from agents.scheduling.observation import Observation, Scores


class FailureRate(SchedulingAgent):
    """sum(.8^k f_k) / sum(.8^k) over all past executions, k = 0 the latest; tests without any come before all others.

    The sums are kept with the history, so its length does not cut them.
    """

    kind = "failure_rate"
    summary = "highest recent failure rate first, new tests before all"

    def score(self, observation: Observation, rng: np.random.Generator) -> Scores:
        # A rate is at most 1.
        priority = np.where(observation.new, 2.0, observation.failure_rate)
        return Scores(priority, np.zeros(len(observation), np.bool_), 0.0, chances=observation.failure_rate)
