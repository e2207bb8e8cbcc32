"""The permutation law of many replicates of one comparison at once, for bootstraps: fast, and slightly approximate.

A bootstrap judges each comparison hundreds of times. All replicates of one size share their splits, so the three
statistics of `permutation_law` are matrix products, and the smallest of their p-values is a count. How it becomes the
p-value of the law depends on how the statistics go together. That is read off the observed populations, which the
replicates are drawn from. docs/kill-tests.md has the error, measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mutations.killing.permutation_batch import observed_steps
from mutations.killing.splits import DRAWS, drawn_splits
from mutations.killing.statistics import Rewards, merge_rounding

_TIE = 1e-5
"""Single precision: values of a statistic that differ by this share of its range are equal."""


@dataclass(frozen=True, slots=True)
class Draws:
    """The agents that replicates of one comparison consist of.

    Attributes:
        healthy: positions of the healthy agents, shape (replicates, n).
        mutant: positions of the mutant agents, shape (replicates, m).
        shrunk: which mutant agents are replaced by a healthy one, at the position in `substitutes`; likewise.
        exchanged: pairs whose agents change places instead; shape (replicates, n).
    """

    healthy: NDArray[np.intp]
    mutant: NDArray[np.intp]
    shrunk: NDArray[np.bool_]
    substitutes: NDArray[np.intp]
    exchanged: NDArray[np.bool_]

    def populations(self, healthy: Rewards, mutant: Rewards) -> tuple[Rewards, Rewards]:
        """Of independent agents: shapes (replicates, n) and (replicates, m)."""
        return healthy[self.healthy], np.where(self.shrunk, healthy[self.substitutes], mutant[self.mutant])

    def pairs(self, healthy: Rewards, mutant: Rewards) -> tuple[Rewards, Rewards]:
        """Of pairs, which keep together: both of shape (replicates, n)."""
        first, second = healthy[self.healthy], mutant[self.healthy]
        return np.where(self.exchanged, second, first), np.where(self.exchanged, first, second)


_Single = NDArray[np.float32]


class ResampledLaw:
    """P-values of replicates of one comparison.

    Args:
        healthy, mutant: the observed populations, shapes (n,) and (m,), finite.
    """

    def __init__(self, healthy: Rewards, mutant: Rewards) -> None:
        self._healthy, self._mutant = merge_rounding(healthy, mutant)
        drawn = np.stack([column[:, 0] for _, column in _statistics(self._healthy[None], self._mutant[None])])
        # the replicate itself is one more: it lies above the splits that it is compared with
        counts = [1 + np.searchsorted(np.sort(-row), -row + _TIE, side="right") for row in drawn]
        self._smallest = np.sort(np.min(counts, axis=0)) / (DRAWS + 1)

    def p_values(self, draws: Draws) -> Rewards:
        """Of replicates; shape (replicates,)."""
        single = np.min(single_p_values(*draws.populations(self._healthy, self._mutant)), axis=0)
        smaller = np.searchsorted(self._smallest, single * (1 + _TIE), side="right")
        overall: Rewards = np.maximum(single, (1 + smaller) / (DRAWS + 1))  # never below the smallest of the three
        return overall


def single_p_values(healthy: Rewards, mutant: Rewards) -> Rewards:
    """The p-values of mean, rank and energy distance, each alone; shape (3, comparisons).

    Args:
        healthy, mutant: free of rounding noise, shapes (comparisons, n) and (comparisons, m).
    """
    reached = [np.count_nonzero(drawn >= own - _TIE, axis=0) for own, drawn in _statistics(healthy, mutant)]
    p_values: Rewards = (1 + np.stack(reached)) / (DRAWS + 1)
    return p_values


def _statistics(healthy: Rewards, mutant: Rewards) -> Iterator[tuple[_Single, _Single]]:
    """Observed value, shape (comparisons,), and that of every split, shape (splits, comparisons), per statistic.

    Each is on a scale of its own, on which the range of the pooled agents is 1.
    """
    steps, squares = _shared_steps(healthy.shape[1], mutant.shape[1])
    observed, gaps, rank_gaps = observed_steps(healthy, mutant)
    gaps, ranks = _shares(gaps), _shares(rank_gaps)
    for own, drawn, widths in ((observed, steps, gaps), (observed, steps, ranks), (observed**2, squares, gaps)):
        yield np.abs(np.sum(own * widths, axis=1)).astype(np.float32), np.abs(drawn @ widths.T.astype(np.float32))


def sign_flip_p_values(differences: Rewards) -> Rewards:
    """P-values of the mean of paired differences, shape (replicates, pairs), by 9,999 shared sign flips."""
    sizes = np.abs(differences)
    scaled = sizes / np.maximum(np.max(sizes, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    own = np.abs(np.sum(np.sign(differences) * scaled, axis=1)).astype(np.float32)
    drawn = np.abs(_shared_signs(differences.shape[1]) @ scaled.T.astype(np.float32))
    p_values: Rewards = (1 + np.count_nonzero(drawn >= own - _TIE, axis=0)) / (DRAWS + 1)
    return p_values


@lru_cache(maxsize=8)
def _shared_signs(pairs: int) -> _Single:
    signs = np.random.default_rng([pairs]).integers(0, 2, size=(DRAWS, pairs), dtype=np.int8)
    return (2 * signs - 1).astype(np.float32)


@lru_cache(maxsize=8)
def _shared_steps(n: int, m: int) -> tuple[_Single, _Single]:
    """The steps of the splits that all replicates of a size share, and their squares."""
    splits = drawn_splits(n, m, np.random.default_rng([n, m]))
    return splits.steps.astype(np.float32), splits.squares.astype(np.float32)


def _shares(gaps: Rewards) -> Rewards:
    """Gaps between neighbours as shares of the whole range, shape (replicates, agents - 1); 0 in a constant row."""
    whole = np.sum(gaps, axis=1, keepdims=True)
    shares: Rewards = gaps / np.where(whole > 0, whole, 1.0)
    return shares
