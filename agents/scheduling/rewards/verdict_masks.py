"""Which tests of an outcome failed and which have a known verdict: the first step of every reward."""

from __future__ import annotations

import numpy as np

from agents.scheduling.observation import BoolArray, FloatArray
from agents.scheduling.reward import EpisodeOutcome
from agents.scheduling.testcase import Verdict


def having(outcome: EpisodeOutcome, *verdicts: Verdict) -> BoolArray:
    """Tests with one of these verdicts, shape (n,)."""
    matching = set(verdicts)
    return np.array([verdict in matching for verdict in outcome.verdicts], np.bool_)


def failed(outcome: EpisodeOutcome) -> BoolArray:
    """Tests that ran and failed, shape (n,)."""
    return outcome.once(_failed)


def known(outcome: EpisodeOutcome) -> BoolArray:
    """Tests that passed or failed, shape (n,)."""
    return outcome.once(_known)


def only(values: FloatArray, where: BoolArray) -> FloatArray:
    """The values there, NaN elsewhere, shape (n,)."""
    return np.where(where, values, np.nan)


# Rewards and metrics share them: each is computed once per outcome and must not be written to.


def _failed(outcome: EpisodeOutcome) -> BoolArray:
    return np.array([verdict is Verdict.FAILED for verdict in outcome.verdicts], np.bool_)


def _known(outcome: EpisodeOutcome) -> BoolArray:
    verdicts = outcome.verdicts
    if verdicts.count(Verdict.PASSED) + verdicts.count(Verdict.FAILED) == len(verdicts):
        return np.ones(len(verdicts), np.bool_)
    return np.array([verdict is Verdict.PASSED or verdict is Verdict.FAILED for verdict in verdicts], np.bool_)
