"""Which tests of an outcome failed, which are known, which were scheduled: what every reward asks first."""

from __future__ import annotations

import numpy as np

from agents.scheduling.observation import BoolArray, FloatArray
from agents.scheduling.reward import EpisodeOutcome
from agents.scheduling.testcase import Verdict


def having(outcome: EpisodeOutcome, *verdicts: Verdict) -> BoolArray:
    """Tests with one of these verdicts, shape (n,)."""
    return np.fromiter((verdict in verdicts for verdict in outcome.verdicts), dtype=np.bool_, count=len(outcome))


def failed(outcome: EpisodeOutcome) -> BoolArray:
    """Tests that ran and failed, shape (n,)."""
    return having(outcome, Verdict.FAILED)


def known(outcome: EpisodeOutcome) -> BoolArray:
    """Tests whose result says something about them: passed or failed, shape (n,)."""
    return having(outcome, Verdict.FAILED, Verdict.PASSED)


def only(values: FloatArray, where: BoolArray) -> FloatArray:
    """The values there, NaN elsewhere, shape (n,)."""
    return np.where(where, values, np.nan)
