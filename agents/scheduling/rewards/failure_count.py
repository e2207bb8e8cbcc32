"""RETECS's failure count: the schedule is rewarded as a whole."""

from __future__ import annotations

import numpy as np

from agents.scheduling.observation import FloatArray
from agents.scheduling.reward import EpisodeOutcome, Reward
from agents.scheduling.rewards.verdict_masks import failed, known, only


class FailureCount(Reward):
    """Every test gets the number of failed tests in the schedule, whether it was scheduled itself or not.

    Source: Spieker et al. 2017 (ISSTA), section 3.2, "failure count reward". A test without a passed or failed
    result gets NaN.
    """

    name = "failure_count"
    summary = "every test: the number of failed tests in the schedule (RETECS)"

    def rewards(self, outcome: EpisodeOutcome) -> FloatArray:
        """The same number for every known test, shape (n,)."""
        count = float(np.count_nonzero(failed(outcome) & outcome.selected))
        return only(np.full(len(outcome), count), known(outcome))
