"""A reward that is the verdict itself."""

from __future__ import annotations

import numpy as np

from agents.scheduling.observation import FloatArray
from agents.scheduling.reward import EpisodeOutcome, Reward
from agents.scheduling.rewards.verdict_masks import failed, known, only


class OwnVerdict(Reward):
    """A failed test gets 1, a passed one 0, selected or not; error, skipped and not run get NaN.

    The expected reward of a test is its probability to fail, which is what an order with failures first needs. Unlike
    RETECS's test case failure it does not score a failure as 0 because the test was not selected.
    """

    name = "verdict"
    summary = "a failed test: 1, a passed one: 0, selected or not; errors teach nothing"
    marks_failures = True

    def rewards(self, outcome: EpisodeOutcome) -> FloatArray:
        """0 or 1 for every known test, shape (n,)."""
        return only(failed(outcome).astype(np.float64), known(outcome))
