"""A reward for fragile infrastructure: its errors teach nothing."""

from __future__ import annotations

import numpy as np

from agents.scheduling.flakiness import flakiness
from agents.scheduling.observation import FloatArray
from agents.scheduling.reward import EpisodeOutcome, Reward
from agents.scheduling.rewards.verdict_masks import failed, having, known, only
from agents.scheduling.testcase import Verdict


class InfrastructureAware(Reward):
    """A failed test gets (1 - flakiness) * trust, a passed one 0; error, skipped and not run get NaN.

    Trust is the share of the tests that could run properly: (passed + failed) / (passed + failed + errors), so that the
    failures of a cycle in which the infrastructure broke count less. Flakiness is the rate at which the test's verdict
    changed over its history, without the first change (`agents.scheduling.flakiness`). Every known verdict counts, even
    of a test that was not selected. Designed for this project.
    """

    name = "infrastructure_aware"
    summary = "a failed test: 1, less if it is flaky or the infrastructure broke; errors teach nothing"

    def rewards(self, outcome: EpisodeOutcome) -> FloatArray:
        """In [0, 1] for every known test, shape (n,)."""
        ran = known(outcome)
        proper = int(np.count_nonzero(ran))
        errors = int(np.count_nonzero(having(outcome, Verdict.ERROR)))
        trust = proper / max(proper + errors, 1)
        steady = 1.0 - flakiness(outcome.episode.observation.past_failures)
        return only(failed(outcome) * steady * trust, ran)
