"""Exponentially weighted failure rate per second of expected duration, new tests first."""

from __future__ import annotations

import numpy as np

from agents.scheduling.agent import SchedulingAgent
from agents.scheduling.observation import Observation, Scores

_SHORTEST = 1e-3
"""Seconds: keeps the worth of a test without a measurable duration finite."""

_LEAST_RATE = 1e-3
"""Added to every rate: of the tests without a recent failure the shorter one comes first."""


class FailureRatePerSecond(SchedulingAgent):
    """The failure rate divided by the mean of past durations: failures found per second spent."""

    kind = "failure_rate_per_second"
    summary = "highest recent failure rate per second first, new tests before all"

    def score(self, observation: Observation, rng: np.random.Generator) -> Scores:
        worth = (observation.failure_rate + _LEAST_RATE) / np.maximum(observation.durations, _SHORTEST)
        # A rate is at most 1.
        priority = np.where(observation.new, 2.0 / _SHORTEST, worth)
        return Scores(priority, np.zeros(len(observation), np.bool_), 0.0, chances=observation.failure_rate)
