"""One permutation law over several statistics: the p-value of the smallest of their p-values.

Each statistic is ranked among its own values over all splits, which puts them on one scale without a law of rewards.
The smallest of the p-values is then compared with the smallest p-values of the other splits. The result is valid
whatever the rewards are, because only the labels are taken to be exchangeable.

Sources: Fisher, "The Design of Experiments", 1935; Westfall and Young, "Resampling-Based Multiple Testing", 1993
(min-p); Szekely and Rizzo, "Energy statistics", Journal of Statistical Planning and Inference 143(8), 2013;
Phipson and Smyth, "Permutation p-values should never be zero", 2010.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mutations.killing.splits import (
    MOST_EXACT,
    Splits,
    drawn_splits,
    exact_splits,
    number_of_splits,
    steps_of,
    swaps,
)
from mutations.killing.statistics import NEGLIGIBLE, Rewards

STATISTICS = ("mean", "rank", "energy distance")
ROUNDING = NEGLIGIBLE
"""Values of a statistic closer than this share of the largest one are equal."""


@dataclass(frozen=True, slots=True)
class PermutationResult:
    """What the permutation law says.

    Attributes:
        p_value: of the smallest p-value.
        single: the p-value of each of `STATISTICS` alone.
        exact: whether every split was counted.
    """

    p_value: float
    single: tuple[float, ...]
    exact: bool


def permutation_p_value(
    healthy: Rewards, mutant: Rewards, rng: np.random.Generator, drawn: Splits | None = None
) -> PermutationResult:
    """Test of two independent populations of shapes (n,) and (m,), already free of rounding noise.

    All splits are counted where at most 20,000 differ; equal rewards are not told apart, so this holds for large
    populations too where most agents have the same reward. Beyond, 9,999 are drawn and p = (1 + b) / 10,000.

    Args:
        rng: used only where splits are drawn and `drawn` is None.
        drawn: splits to use where not all can be counted, for many comparisons of these sizes.
    """
    values, inverse, counts = np.unique(np.concatenate((healthy, mutant)), return_inverse=True, return_counts=True)
    if values.size == 1:
        return PermutationResult(1.0, (1.0,) * len(STATISTICS), exact=True)
    n, m = healthy.size, mutant.size
    multiplicities = tuple(int(count) for count in counts)
    if number_of_splits(multiplicities, n) <= MOST_EXACT:
        observed = steps_of(np.bincount(inverse[:n], minlength=values.size), counts, n, m)
        return _law(values, _midranks(counts), observed, exact_splits(multiplicities, n))
    order = np.argsort(inverse, kind="stable")
    splits = drawn if drawn is not None else drawn_splits(n, m, rng)
    return _law_of_positions(values[inverse[order]], _midranks(counts)[inverse[order]], order < n, splits)


def paired_p_value(healthy: Rewards, mutant: Rewards, rng: np.random.Generator) -> PermutationResult:
    """The same test for pairs of shape (n,): agents are exchanged within their pair only.

    All exchanges are counted where at most 14 pairs differ; beyond, 9,999 are drawn with `rng`.
    """
    pooled = np.concatenate((healthy, mutant))
    values, inverse, counts = np.unique(pooled, return_inverse=True, return_counts=True)
    if values.size == 1:
        return PermutationResult(1.0, (1.0,) * len(STATISTICS), exact=True)
    order = np.argsort(pooled, kind="stable")
    splits = swaps(healthy, mutant, rng)
    ranks = _midranks(counts)[inverse[order]]
    return _law_of_positions(pooled[order], ranks, order < healthy.size, splits)


def _law_of_positions(ordered: Rewards, ranks: Rewards, labels: NDArray[np.bool_], splits: Splits) -> PermutationResult:
    n = int(np.count_nonzero(labels))
    observed = steps_of(labels, np.ones(labels.size), n, labels.size - n)
    return _law(ordered, ranks, observed, splits)


def _law(values: Rewards, ranks: Rewards, observed: Rewards, splits: Splits) -> PermutationResult:
    weights = np.append(splits.weights, splits.own_weight)
    single, tails = [], []
    for column, own in _statistics(values, ranks, observed, splits):
        tail = _Tail(np.append(column, own), weights)
        tails.append(tail)
        single.append(tail.p_of(own))
    smallest = min(single)
    reached = np.zeros(weights.size, dtype=np.bool_)
    for tail in tails:
        reached |= tail.at_most(smallest)
    p_value = min(1.0, float(np.sum(weights[reached])))
    return PermutationResult(p_value, tuple(single), splits.exact)


def _statistics(values: Rewards, ranks: Rewards, observed: Rewards, splits: Splits) -> list[tuple[Rewards, float]]:
    """Each statistic over all splits, shape (splits,), and its observed value; in the order of `STATISTICS`.

    The difference of means is the integral of F - G, the energy distance that of its square (times two).
    """
    gaps, rank_gaps = np.diff(values), np.diff(ranks)
    return [
        (np.abs(splits.steps @ gaps), abs(float(observed @ gaps))),
        (np.abs(splits.steps @ rank_gaps), abs(float(observed @ rank_gaps))),
        (splits.squares @ gaps, float(observed**2 @ gaps)),
    ]


class _Tail:
    """P(statistic >= value) over the splits; values that differ by rounding only are equal."""

    def __init__(self, statistic: Rewards, weights: Rewards) -> None:
        order = np.argsort(statistic)
        ordered = statistic[order]
        starts = np.concatenate(([True], np.diff(ordered) > ROUNDING * ordered[-1]))
        upper = np.cumsum(weights[order][::-1])[::-1]
        self._statistic = statistic
        self._levels, self._tails = ordered[starts], np.minimum(upper[starts], 1.0)

    def p_of(self, value: float) -> float:
        return float(self._tails[np.searchsorted(self._levels, value, side="right") - 1])

    def at_most(self, p_value: float) -> NDArray[np.bool_]:
        """Which splits have a p-value of at most `p_value`, shape (splits,)."""
        first = int(np.argmax(self._tails <= p_value * (1 + ROUNDING)))
        if self._tails[first] > p_value * (1 + ROUNDING):
            return np.zeros(self._statistic.size, dtype=np.bool_)
        above: NDArray[np.bool_] = self._statistic >= self._levels[first]
        return above


def _midranks(counts: NDArray[np.int64]) -> Rewards:
    """Mean rank of the agents with each distinct value."""
    ranks: Rewards = np.cumsum(counts) - (counts - 1) / 2
    return ranks
