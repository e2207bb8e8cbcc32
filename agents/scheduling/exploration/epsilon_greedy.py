"""Epsilon-greedy: a share of the tests moves to random places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from agents.scheduling.exploration.annealing import check_annealing, joined, level
from agents.scheduling.explorer import Exploration
from agents.scheduling.observation import Observation, Scores


class EpsilonGreedy(Exploration):
    """Each test is drawn with probability epsilon; a drawn test gets a uniformly random place in the ranking.

    Settings: ``initial`` and ``final`` epsilon in [0, 1], and the rewarded ``episodes`` between the two.
    Spieker et al. 2017 (ISSTA), section 3.3, use epsilon-greedy for agents with discrete actions.

    Raises:
        InputError: a setting is unknown, of the wrong type or out of range.
    """

    name = "epsilon_greedy"
    summary = "each test moves, with probability epsilon, to a random place"
    defaults = {"initial": 0.3, "final": 0.02, "episodes": 50}  # noqa: RUF012 - a ClassVar in the base class

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        check_annealing(self.settings, 1.0)

    def apply(self, scores: Scores, observation: Observation, version: int, rng: np.random.Generator) -> Scores:
        """The scores with the drawn tests moved; `exploration` is epsilon."""
        epsilon = level(self.settings, version)
        number = len(scores.priority)
        drawn = rng.random(number) < epsilon
        places = rng.random(number)
        exploration = joined(scores.exploration, epsilon)
        if number == 0:
            return replace(scores, exploration=exploration)
        # A uniform quantile of the priorities is a uniform place in their order.
        moved = np.quantile(scores.priority, places)
        priority = np.where(drawn, moved, scores.priority)
        return replace(scores, priority=priority, explored=scores.explored | drawn, exploration=exploration)
