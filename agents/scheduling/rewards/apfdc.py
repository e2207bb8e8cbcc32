"""A cost-aware reward: failures per second, early."""

from __future__ import annotations

import numpy as np

from agents.scheduling.observation import FloatArray
from agents.scheduling.reward import EpisodeOutcome, Reward
from agents.scheduling.rewards.verdict_masks import failed, known, only


class Apfdc(Reward):
    """A failed test gets its own share of APFDc times how cheap it was; a passed one 0.

    With d_i the seconds of a test, s_i the seconds of the known tests ranked before it, D and T the mean and the sum of
    the seconds of all known tests: (1 - (s_i + d_i / 2) / T) * D / (D + d_i).
    The first factor, averaged over the failures, is the APFDc of Elbaum et al. 2001 (ICSE) with equal severities. The
    second makes the expected reward fall with the duration as the best order does (chance of a failure per second),
    and stays in (0, 1] for tests of no duration. Every known verdict counts, even of a test that was not selected.
    The product was designed for this project.
    """

    name = "apfdc"
    summary = "a failed test: its share of APFDc times how cheap it was; a passed one: 0"

    def rewards(self, outcome: EpisodeOutcome) -> FloatArray:
        """In [0, 1] for every known test, shape (n,)."""
        ran = known(outcome)
        seconds = np.where(ran, outcome.durations, 0.0)
        total = float(seconds.sum())
        if total <= 0.0:  # nothing took time: every failure was detected at once and at no cost
            return only(failed(outcome).astype(np.float64), ran)
        ended = np.empty(len(outcome))
        ended[outcome.order] = np.cumsum(seconds[outcome.order])
        early = 1.0 - (ended - seconds / 2.0) / total
        mean = total / np.count_nonzero(ran)
        return only(failed(outcome) * early * mean / (mean + seconds), ran)
