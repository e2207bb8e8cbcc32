"""The ways in which chance could have divided the agents of a comparison into a healthy and a mutant population.

A split is kept as the step function F - G over the sorted pooled rewards: F is the distribution function of the agents
it calls healthy, G that of the others. Every statistic of `permutation_law` is a sum over these steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from mutations.killing.statistics import Rewards

MOST_EXACT = 20_000
DRAWS = 9_999


@dataclass(frozen=True, slots=True)
class Splits:
    """Splits of one comparison, without the observed one.

    Attributes:
        steps: F - G between neighbouring pooled values, shape (splits, values - 1).
        squares: their squares.
        weights: probability of each split, shape (splits,).
        own_weight: that of the observed split on top: 0 where the splits are all there are, 1 / (draws + 1) where
            they are drawn.
    """

    steps: Rewards
    squares: Rewards
    weights: Rewards
    own_weight: float

    @property
    def exact(self) -> bool:
        """Whether every split is counted."""
        return self.own_weight == 0.0


def steps_of(healthy_counts: NDArray[np.generic], all_counts: NDArray[np.generic], n: int, m: int) -> Rewards:
    """F - G between neighbouring values; counts of agents per value, shape (..., values)."""
    healthy = np.cumsum(healthy_counts[..., :-1], axis=-1, dtype=np.float64)
    everyone = np.cumsum(all_counts[:-1], dtype=np.float64)
    steps: Rewards = healthy * (1 / n + 1 / m) - everyone / m
    return steps


def number_of_splits(multiplicities: tuple[int, ...], n: int) -> int:
    """How many different healthy populations of `n` agents the pooled rewards allow; equal rewards are not told apart.

    Args:
        multiplicities: how many agents have each distinct reward.
    """
    ways = [1] + [0] * n
    for count in multiplicities:
        ways = [sum(ways[max(0, total - count) : total + 1]) for total in range(n + 1)]
    return ways[n]


@lru_cache(maxsize=64)
def exact_splits(multiplicities: tuple[int, ...], n: int) -> Splits:
    """Every different split, each with its probability (a product of binomial coefficients)."""
    counts = np.zeros((1, 0), dtype=np.int64)
    totals, left = np.zeros(1, dtype=np.int64), sum(multiplicities)
    for multiplicity in multiplicities:
        left -= multiplicity
        choices = np.arange(multiplicity + 1)
        counts = np.column_stack((np.repeat(counts, choices.size, axis=0), np.tile(choices, totals.size)))
        totals = np.repeat(totals, choices.size) + counts[:, -1]
        possible = (totals <= n) & (totals + left >= n)
        counts, totals = counts[possible], totals[possible]
    sizes = np.array(multiplicities)
    log_weights = np.sum(gammaln(sizes + 1) - gammaln(counts + 1) - gammaln(sizes - counts + 1), axis=1)
    weights = np.exp(log_weights - np.max(log_weights))
    steps = steps_of(counts, sizes, n, int(sizes.sum()) - n)
    return Splits(steps, steps**2, weights / np.sum(weights), 0.0)


def drawn_splits(n: int, m: int, rng: np.random.Generator, draws: int = DRAWS) -> Splits:
    """Random splits of n + m agents; they serve every comparison of these sizes."""
    chosen = rng.random((draws, n + m)).argsort(axis=1) < n
    return _drawn(chosen, n, m)


def swaps(healthy: Rewards, mutant: Rewards, rng: np.random.Generator, draws: int = DRAWS) -> Splits:
    """Splits that exchange agents within pairs only, over the n + m pooled rewards in rising order.

    All of them are counted where at most 14 pairs differ.
    """
    n = healthy.size
    differing = np.flatnonzero(healthy != mutant)
    exact = 2**differing.size <= MOST_EXACT
    if exact:
        bits = (np.arange(2**differing.size)[:, None] >> np.arange(differing.size)) & 1
    else:
        bits = rng.integers(0, 2, size=(draws, differing.size), dtype=np.int8)
    kept = np.ones((bits.shape[0], n), dtype=np.bool_)
    kept[:, differing] = bits == 0
    order = np.argsort(np.concatenate((healthy, mutant)), kind="stable")
    chosen = np.concatenate((kept, ~kept), axis=1)[:, order]
    if not exact:
        return _drawn(chosen, n, n)
    steps = steps_of(chosen, np.ones(2 * n), n, n)
    return Splits(steps, steps**2, np.full(len(bits), 1 / len(bits)), 0.0)


def _drawn(chosen: NDArray[np.bool_], n: int, m: int) -> Splits:
    steps, share = steps_of(chosen, np.ones(n + m), n, m), 1 / (len(chosen) + 1)
    return Splits(steps, steps**2, np.full(len(chosen), share), share)


def smallest_split_p(n: int, m: int) -> float:
    """The smallest two-sided p-value that two independent populations can have; 0 is returned below 1e-12."""
    log_p = gammaln(n + 1) + gammaln(m + 1) - gammaln(n + m + 1)
    smallest = (2.0 if n == m else 1.0) * float(np.exp(log_p))
    return min(1.0, smallest) if smallest > 1e-12 else 0.0
