"""Random order: what every other agent must beat."""

from __future__ import annotations

import numpy as np

from agents.scheduling.agent import SchedulingAgent
from agents.scheduling.observation import Observation, Scores


class RandomOrder(SchedulingAgent):
    """Every order is equally likely."""

    kind = "random"
    summary = "random order"

    def score(self, observation: Observation, rng: np.random.Generator) -> Scores:
        count = len(observation)
        return Scores(rng.random(count), np.ones(count, np.bool_), 1.0)
