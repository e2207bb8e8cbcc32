"""The law of `permutation_law` for many comparisons of the same sizes at once, with shared drawn splits.

Simulations use it. Where the splits of a comparison can be counted (few distinct rewards), a verdict counts them and
this draws them; the p-values then differ by the error of the draws.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from mutations.killing.permutation_law import ROUNDING
from mutations.killing.splits import Splits, steps_of
from mutations.killing.statistics import Rewards


def batch_p_values(healthy: Rewards, mutant: Rewards, splits: Splits) -> Rewards:
    """The p-value of the smallest p-value, shape (comparisons,).

    Args:
        healthy: shape (comparisons, n), free of rounding noise.
        mutant: shape (comparisons, m), likewise.
        splits: drawn ones of these sizes.
    """
    n, m = healthy.shape[1], mutant.shape[1]
    pooled = np.concatenate((healthy, mutant), axis=1)
    order = np.argsort(pooled, axis=1, kind="stable")
    observed = steps_of(order < n, np.ones(n + m), n, m)
    gaps = np.diff(np.take_along_axis(pooled, order, axis=1), axis=1)
    rank_gaps = np.diff(np.sort(stats.rankdata(pooled, axis=1), axis=1), axis=1)
    smallest = np.ones((splits.steps.shape[0] + 1, healthy.shape[0]))
    for steps, own, weights in (
        (splits.steps, observed, gaps),
        (splits.steps, observed, rank_gaps),
        (splits.squares, observed**2, gaps),
    ):
        values = np.abs(np.vstack((steps @ weights.T, np.sum(own * weights, axis=1))))
        np.minimum(smallest, _tails(values), out=smallest)
    p_values: Rewards = np.mean(smallest <= smallest[-1] * (1 + ROUNDING), axis=0)
    return p_values


def _tails(values: Rewards) -> Rewards:
    """P(statistic >= value) of every value of a column; values that differ by rounding only are equal."""
    largest = np.max(values, axis=0)
    rounded = np.round(values / np.where(largest > 0, largest, 1.0), 9)
    tails: Rewards = stats.rankdata(-rounded, method="max", axis=0) / values.shape[0]
    return tails
