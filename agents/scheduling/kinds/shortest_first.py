"""Shortest test first, by expected duration."""

from __future__ import annotations

import numpy as np

from agents.scheduling.agent import SchedulingAgent
from agents.scheduling.observation import Observation, Scores


class ShortestFirst(SchedulingAgent):
    """By the mean of past durations; a test of unknown duration counts as the mean test of the cycle."""

    kind = "shortest_first"
    summary = "shortest expected duration first"

    def score(self, observation: Observation, rng: np.random.Generator) -> Scores:
        return Scores(-observation.durations, np.zeros(len(observation), np.bool_), 0.0)
