"""RETECS's test case failure: each scheduled test is rewarded by its own verdict."""

from __future__ import annotations

import numpy as np

from agents.scheduling.observation import FloatArray
from agents.scheduling.reward import EpisodeOutcome, Reward
from agents.scheduling.rewards.verdict_masks import failed, known, only


class TestCaseFailure(Reward):
    """A scheduled test gets 1 if it failed and 0 if it passed; a test that was not scheduled gets 0.

    Source: Spieker et al. 2017 (ISSTA), section 3.2, "test case failure reward". A test without a passed or failed
    result gets NaN.
    """

    __test__ = False  # pytest: not a class of tests

    name = "test_case_failure"
    summary = "a scheduled test: 1 if it failed, else 0 (RETECS)"

    def rewards(self, outcome: EpisodeOutcome) -> FloatArray:
        """0 or 1 for every known test, shape (n,)."""
        return only((failed(outcome) & outcome.selected).astype(np.float64), known(outcome))
