"""RETECS's time-ranked reward: a passed test loses for every failure ranked after it."""

from __future__ import annotations

import numpy as np

from agents.scheduling.observation import FloatArray
from agents.scheduling.reward import EpisodeOutcome, Reward
from agents.scheduling.rewards.verdict_masks import failed, known, only


class TimeRanked(Reward):
    """With F the failed tests of the schedule: a failed test gets |F|; a passed one |F| - |{f in F ranked after it}|.

    So a passed test gets the number of failures ranked before it. A test that was not scheduled gets 0.
    Source: Spieker et al. 2017 (ISSTA), section 3.2, "time-ranked reward". A test without a passed or failed
    result gets NaN.
    """

    name = "time_ranked"
    summary = "a failed test: all failures; a passed one: the failures ranked before it (RETECS)"

    def rewards(self, outcome: EpisodeOutcome) -> FloatArray:
        """From 0 to the number of failed scheduled tests, shape (n,)."""
        ran = known(outcome)
        scheduled = outcome.selected & ran
        failures = failed(outcome) & outcome.selected
        before = np.empty(len(outcome))
        before[outcome.order] = np.cumsum(failures[outcome.order])
        value = np.where(failures, float(np.count_nonzero(failures)), before)
        return only(np.where(scheduled, value, 0.0), ran)
