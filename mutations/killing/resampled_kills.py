"""Kills in replicates of a comparison: what the margin test would have claimed with other agents, many at once.

The p-values are those of `resampled_law`; for pairs those of the mean alone. Whether the margin may be exceeded, and
the direction, follow from Welch's intervals of the means instead of the weighted bootstrap. The interval of the shares
is Newcombe's as in the test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mutations.killing.collapse import share_intervals
from mutations.killing.kill_test import CorrectedKillTest, KillTest, is_corrected
from mutations.killing.margins import EQUIVALENCE_LEVEL, Margins, collapse_limit, is_share_of_mean, scale_of
from mutations.killing.resampled_law import Draws, ResampledLaw, sign_flip_p_values
from mutations.killing.statistics import Rewards

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ResampledKills:
    """What a kill test would have claimed of each replicate.

    Attributes:
        p_values: of the claim that the mutant is killed, before correction; 1 where there is nothing to claim.
        counted: whether such a kill would count in a score. Both have shape (replicates,).
    """

    p_values: Rewards
    counted: Flags


class ResampledKillTest(CorrectedKillTest, Protocol):
    """A corrected kill test that can judge many replicates of a comparison at once."""

    def resampled_kills(self, healthy: Rewards, mutant: Rewards, draws: Draws) -> ResampledKills:
        """What the test would have claimed of replicates.

        Args:
            healthy, mutant: the populations that `judge` got, shapes (n,) and (m,).
            draws: the agents of each replicate.
        """
        ...


def is_resampled(test: KillTest) -> TypeGuard[ResampledKillTest]:
    """Whether a test can judge replicates; others give no interval of the mutation score."""
    return is_corrected(test) and callable(getattr(test, "resampled_kills", None))


def margin_kills(healthy: Rewards, mutant: Rewards, draws: Draws, margins: Margins, paired: bool) -> ResampledKills:
    """Replicates of a comparison by the margin permutation test.

    Args:
        healthy, mutant: the observed populations, finite, shapes (n,) and (m,).
        draws: the agents of each replicate.
        margins: the largest differences that do not matter.
        paired: position i of both populations was trained with the same seed.
    """
    if paired:
        sides = draws.pairs(healthy, mutant)
        p_values = sign_flip_p_values(sides[1] - sides[0])
    else:
        sides = draws.populations(healthy, mutant)
        p_values = ResampledLaw(healthy, mutant).p_values(draws)
    scale = scale_of(healthy, margins)
    margin = None if is_share_of_mean(healthy, margins) else margins.mean * (scale or 0.0)
    first, second = (_Side(side, collapse_limit(healthy, scale)) for side in sides)
    may_exceed = ~(_means_within(first, second, margins.mean, margin) & _collapse_within(first, second, margins))
    return ResampledKills(np.where(may_exceed, p_values, 1.0), ~_better(first, second))


class _Side:
    """One population in all replicates: size, means, variances, and shares of collapsed agents."""

    def __init__(self, rewards: Rewards, limit: float) -> None:
        self.size = rewards.shape[1]
        self.mean = np.mean(rewards, axis=1)
        self.variance = np.var(rewards, axis=1, ddof=1)
        self.collapsed = np.mean(rewards < limit, axis=1)


def _means_within(healthy: _Side, mutant: _Side, share: float, margin: float | None) -> Flags:
    """Two one-sided Welch tests; `margin` in units of reward, None for a share of the healthy mean."""
    quantile = float(stats.t.isf(EQUIVALENCE_LEVEL, healthy.size + mutant.size - 2))
    within = np.ones(healthy.mean.shape, dtype=np.bool_)
    for side in (-1.0, 1.0):
        shift = side * share * np.sign(healthy.mean) if margin is None else 0.0
        offset = 0.0 if margin is None else side * margin
        estimate = mutant.mean - (1 + shift) * healthy.mean - offset
        error = np.sqrt(mutant.variance / mutant.size + (1 + shift) ** 2 * healthy.variance / healthy.size)
        within &= -side * estimate > quantile * error
    return within


def _collapse_within(healthy: _Side, mutant: _Side, margins: Margins) -> Flags:
    """Newcombe's 95 % interval of the difference of the shares lies inside the margin, or no difference was seen."""
    low, high = share_intervals(healthy.collapsed, healthy.size, mutant.collapsed, mutant.size, 0.95)
    alike = np.isclose(mutant.collapsed - healthy.collapsed, 0.0)
    within: Flags = alike | (np.maximum(-low, high) < margins.collapsed)
    return within


def _better(healthy: _Side, mutant: _Side) -> Flags:
    """The side of the mean where its interval excludes zero; else fewer collapsed agents or less spread."""
    quantile = float(stats.t.isf(0.025, healthy.size + mutant.size - 2))
    difference = mutant.mean - healthy.mean
    clear = np.abs(difference) > quantile * np.sqrt(mutant.variance / mutant.size + healthy.variance / healthy.size)
    more = mutant.collapsed - healthy.collapsed
    less_reliable = (more > 0) | ((more == 0) & (mutant.variance > healthy.variance))
    better: Flags = np.where(clear, difference > 0, (difference >= 0) & ~less_reliable)
    return better
