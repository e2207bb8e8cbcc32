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
    smallest = np.ones((splits.steps.shape[0] + 1, healthy.shape[0]))
    for steps, own, weights in _sums(healthy, mutant, splits):
        values = np.abs(np.vstack((steps @ weights.T, np.sum(own * weights, axis=1))))
        np.minimum(smallest, _tails(values), out=smallest)
    p_values: Rewards = np.mean(smallest <= smallest[-1] * (1 + ROUNDING), axis=0)
    return p_values


def smallest_single_p(healthy: Rewards, mutant: Rewards, splits: Splits) -> Rewards:
    """The smallest p-value of the single statistics, shape (comparisons,): a lower bound of `batch_p_values`, quickly.

    Computed in single precision: only values that are clearly at least the observed one count as reaching it.
    """
    bounds = np.ones(healthy.shape[0])
    for steps, own, weights in _sums(healthy, mutant, splits):
        values = np.abs(steps.astype(np.float32) @ weights.T.astype(np.float32))
        reached = np.sum(values >= np.abs(np.sum(own * weights, axis=1)) * (1 + 1e-4), axis=0)
        np.minimum(bounds, (reached + 1) / (steps.shape[0] + 1), out=bounds)
    return bounds


def _sums(healthy: Rewards, mutant: Rewards, splits: Splits) -> list[tuple[Rewards, Rewards, Rewards]]:
    """What each statistic sums up: steps of all splits, of the observed one, and the weights of the steps."""
    observed, gaps, rank_gaps = observed_steps(healthy, mutant)
    return [
        (splits.steps, observed, gaps),
        (splits.steps, observed, rank_gaps),
        (splits.squares, observed**2, gaps),
    ]


def observed_steps(healthy: Rewards, mutant: Rewards) -> tuple[Rewards, Rewards, Rewards]:
    """Steps of the observed splits, and the gaps between neighbouring rewards and between their mean ranks.

    Of populations of shapes (comparisons, n) and (comparisons, m), each has shape (comparisons, n + m - 1).
    """
    n, m = healthy.shape[1], mutant.shape[1]
    pooled = np.concatenate((healthy, mutant), axis=1)
    order = np.argsort(pooled, axis=1, kind="stable")
    ordered = np.take_along_axis(pooled, order, axis=1)
    observed = steps_of(order < n, np.ones(n + m), n, m)
    return observed, np.diff(ordered, axis=1), np.diff(stats.rankdata(ordered, axis=1), axis=1)


def _tails(values: Rewards) -> Rewards:
    """P(statistic >= value) of every value of a column; values that differ by rounding only are equal."""
    largest = np.max(values, axis=0)
    rounded = np.round(values / np.where(largest > 0, largest, 1.0), 9)
    tails: Rewards = stats.rankdata(-rounded, method="max", axis=0) / values.shape[0]
    return tails
