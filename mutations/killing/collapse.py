"""Collapsed agents: the interval of their share, and an exact test that it is not much larger than the healthy one."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mutations.killing.statistics import Rewards

_GRID = 201


def share_interval(
    collapsed_healthy: int, n: int, collapsed_mutant: int, m: int, confidence: float
) -> tuple[float, float]:
    """Score interval of: collapsed share of the mutant - that of the healthy population; in [-1, 1].

    Source: Newcombe, "Interval estimation for the difference between independent proportions", Statistics in Medicine
    17(8), 1998, method 10.
    """
    shares = np.array([collapsed_healthy / n]), np.array([collapsed_mutant / m])
    low, high = share_intervals(shares[0], n, shares[1], m, confidence)
    return float(low[0]), float(high[0])


def share_intervals(healthy: Rewards, n: int, mutant: Rewards, m: int, confidence: float) -> tuple[Rewards, Rewards]:
    """`share_interval` of many comparisons of the same sizes, from their shares; all of shape (comparisons,)."""
    z = float(stats.norm.isf((1 - confidence) / 2))
    (healthy_low, healthy_high), (mutant_low, mutant_high) = _wilson(healthy, n, z), _wilson(mutant, m, z)
    difference = mutant - healthy
    low = difference - np.hypot(mutant - mutant_low, healthy_high - healthy)
    high = difference + np.hypot(mutant_high - mutant, healthy - healthy_low)
    return np.maximum(low, -1.0), np.minimum(high, 1.0)


def _wilson(share: Rewards, size: int, z: float) -> tuple[Rewards, Rewards]:
    middle = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * np.sqrt(share * (1 - share) / size + z * z / (4 * size * size))
    return np.maximum(0.0, middle - half), np.minimum(1.0, middle + half)


@lru_cache(maxsize=4096)
def not_inferior_p(collapsed_healthy: int, n: int, collapsed_mutant: int, m: int, margin: float) -> float:
    """Exact p-value of "the mutant's share of collapsed agents exceeds the healthy one by `margin` or more".

    The largest probability, over all healthy shares, of a table at least as good as the observed one, when the mutant's
    share lies exactly `margin` above. Tables are ordered by the score statistic. So a p-value of at most .05 is reached
    in at most 5 % of the comparisons of mutants at the margin, whatever the shares are.

    Source: Chan, "Exact tests of equivalence and efficacy with a non-zero lower bound for comparative studies",
    Statistics in Medicine 17(12), 1998; Farrington and Manning, same journal 9(12), 1990.
    """
    if margin >= 1:
        return 0.0
    scores = _scores(n, m, margin)
    as_good = scores <= scores[collapsed_healthy, collapsed_mutant] + 1e-9
    shares = np.linspace(0.0, 1.0 - margin, _GRID)
    healthy, mutant = _laws(n, tuple(shares)), _laws(m, tuple(np.minimum(shares + margin, 1.0)))
    return float(np.max(np.sum((healthy @ as_good) * mutant, axis=1)))


@lru_cache(maxsize=64)
def _laws(size: int, shares: tuple[float, ...]) -> Rewards:
    """Chance of every number of collapsed agents, shape (shares, size + 1)."""
    return np.asarray(stats.binom.pmf(np.arange(size + 1), size, np.array(shares)[:, None]), dtype=np.float64)


@lru_cache(maxsize=64)
def _scores(n: int, m: int, margin: float) -> Rewards:
    """Score statistic of every table, shape (n + 1, m + 1); low where the mutant collapses less than the margin."""
    healthy, mutant = np.arange(n + 1)[:, None] / n, np.arange(m + 1)[None, :] / m
    fitted = _fitted_share(healthy, mutant, n, m, margin)
    variance = fitted * (1 - fitted) / n + (fitted + margin) * (1 - fitted - margin) / m
    scores: Rewards = (mutant - healthy - margin) / np.sqrt(np.maximum(variance, 1e-12))
    return scores


def _fitted_share(healthy: NDArray[np.float64], mutant: NDArray[np.float64], n: int, m: int, margin: float) -> Rewards:
    """Most likely healthy share if the mutant's lies exactly `margin` above: the root of a cubic, by bisection."""
    low = np.zeros(np.broadcast(healthy, mutant).shape)
    high = np.full_like(low, 1.0 - margin)
    for _ in range(50):  # the log-likelihood is concave: its slope falls
        share = (low + high) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = n * (_per(healthy, share) - _per(1 - healthy, 1 - share))
            slope += m * (_per(mutant, share + margin) - _per(1 - mutant, 1 - share - margin))
        low, high = np.where(slope > 0, share, low), np.where(slope > 0, high, share)
    return (low + high) / 2


def _per(share: NDArray[np.float64], chance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(share == 0, 0.0, share / np.maximum(chance, 1e-300))


def agents_to_exclude(healthy: float, mutant: float, margin: float, level: float) -> float:
    """About how many agents per population exclude a mutant's share `margin` above the healthy one.

    It holds if both shares do. The variance is that of the score test, at the most likely shares with exactly this
    margin. Infinite where the shares differ by the margin or more.
    """
    room = margin - (mutant - healthy)
    if room <= 0:
        return math.inf
    fitted = float(_fitted_share(np.array([healthy]), np.array([mutant]), 1, 1, margin)[0])
    variance = fitted * (1 - fitted) + (fitted + margin) * (1 - fitted - margin)
    return (float(stats.norm.isf(level)) / room) ** 2 * variance


def fewest_without_collapse(margin: float, level: float) -> int:
    """The smallest size at which no collapsed agent among two equal populations shows equivalence within `margin`."""
    if margin >= 1:
        return 1
    return math.ceil(math.log(level) / math.log1p(-margin) - 1e-9)
