"""Gaussian noise on every priority."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from agents.scheduling.exploration.annealing import check_annealing, joined, level
from agents.scheduling.explorer import Exploration
from agents.scheduling.observation import FloatArray, Observation, Scores

MOVED_SHARE = 0.1
"""A test that noise moved up by at least this share of the list counts as explored."""


class Gaussian(Exploration):
    """Adds normal noise whose standard deviation is sigma times that of the priorities (sigma where they are equal).

    Settings: ``initial`` and ``final`` sigma in [0, 100], and the rewarded ``episodes`` between the two.
    Spieker et al. 2017 (ISSTA), section 3.3, explore this way with agents whose action is continuous.

    Raises:
        InputError: a setting is unknown, of the wrong type or out of range.
    """

    name = "gaussian"
    summary = "normal noise on every priority, in units of the priorities' own spread"
    defaults = {"initial": 1.0, "final": 0.05, "episodes": 50}  # noqa: RUF012 - a ClassVar in the base class

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        check_annealing(self.settings, 100.0)

    def apply(self, scores: Scores, observation: Observation, version: int, rng: np.random.Generator) -> Scores:
        """The noisy scores; `exploration` is the noise's share of their variance, sigma^2 / (1 + sigma^2)."""
        sigma = level(self.settings, version)
        number = len(scores.priority)
        if number == 0 or sigma == 0.0:
            return scores
        spread = float(np.std(scores.priority)) or 1.0
        priority = scores.priority + sigma * spread * rng.standard_normal(number)
        risen = _places(scores.priority) - _places(priority)
        explored = risen >= max(1.0, MOVED_SHARE * number)
        share = sigma**2 / (1.0 + sigma**2)
        exploration = joined(scores.exploration, share)
        return replace(scores, priority=priority, explored=scores.explored | explored, exploration=exploration)


def _places(priority: FloatArray) -> FloatArray:
    """Place of each test in the order of priority, from 0 for the first, shape (n,)."""
    places = np.empty(len(priority))
    places[np.argsort(-priority, kind="stable")] = np.arange(len(priority))
    return places
