"""No exploration: for heuristics, and for agents that explore themselves."""

from __future__ import annotations

import numpy as np

from agents.scheduling.explorer import Exploration
from agents.scheduling.observation import Observation, Scores


class NoExploration(Exploration):
    """The scores as they are."""

    name = "none"
    summary = "leaves the scores as they are"

    def apply(self, scores: Scores, observation: Observation, version: int, rng: np.random.Generator) -> Scores:
        return scores
