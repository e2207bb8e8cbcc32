"""Numbers that several kill tests share. Populations are mean rewards of agents, shape (n,), paired by seed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from envsearch.errors import InputError
from mutations.killing.kill_test import Direction

Rewards = NDArray[np.float64]

MINIMUM_AGENTS = 2
LARGEST_REWARD = 1e100
ROUNDING = 1e-12
"""Rewards, or means of rewards, that differ by less than this share of the largest one are equal for every test."""

NEGLIGIBLE = 1e-9
"""The same for the margin tests, which compare sums of many rewards."""


def paired_populations(healthy: ArrayLike, mutant: ArrayLike) -> tuple[Rewards, Rewards]:
    """Both populations as float arrays of shape (n,), n >= 2; rewards that differ by rounding noise are made equal.

    Raises:
        InputError: a population is empty, not one-dimensional, not finite, beyond ±1e100, or the two differ in size.
    """
    first, second = _population(healthy, "healthy"), _population(mutant, "mutant")
    if first.size != second.size:
        raise _different_sizes(first, second)
    return merge_rounding(first, second, ROUNDING)


def merge_rounding(healthy: Rewards, mutant: Rewards, noise: float = NEGLIGIBLE) -> tuple[Rewards, Rewards]:
    """Both populations with rewards that differ by rounding noise made equal, so that noise is a tie everywhere.

    Args:
        healthy, mutant: finite, shapes (n,) and (m,).
        noise: rewards closer than this share of the largest one are equal.
    """
    pooled = np.concatenate((healthy, mutant))
    order = np.argsort(pooled, kind="stable")
    ordered = pooled[order]
    starts = np.concatenate(([True], np.diff(ordered) > noise * np.max(np.abs(ordered))))
    merged = np.empty_like(pooled)
    merged[order] = ordered[starts][np.cumsum(starts) - 1]
    return merged[: healthy.size], merged[healthy.size :]


def independent_populations(healthy: ArrayLike, mutant: ArrayLike, paired: bool = False) -> tuple[Rewards, Rewards]:
    """Both populations as float arrays of shapes (n,) and (m,), n and m >= 2; minus infinity is a dead agent.

    Raises:
        InputError: a population is empty, not one-dimensional, NaN, plus infinity, or beyond ±1e100; all healthy agents
            are dead; or `paired` populations differ in size.
    """
    first, second = (_population(side, field, True) for side, field in ((healthy, "healthy"), (mutant, "mutant")))
    if paired and first.size != second.size:
        raise _different_sizes(first, second)
    if np.all(np.isneginf(first)):
        raise InputError("all healthy agents died", "healthy", "at least one agent that lives")
    return first, second


def _different_sizes(healthy: Rewards, mutant: Rewards) -> InputError:
    problem = f"{healthy.size} healthy agents but {mutant.size} mutant agents"
    return InputError(problem, "mutant", "populations of the same size, paired by seed")


def _population(values: ArrayLike, field: str, dead_allowed: bool = False) -> Rewards:
    try:
        array: Any = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("rewards are not numbers", field, "one finite number per agent") from error
    if array.ndim != 1:
        raise InputError(f"rewards have shape {array.shape}", field, "shape (n,), one number per agent")
    if array.size < MINIMUM_AGENTS:
        raise InputError(f"population has {array.size} agents", field, f"at least {MINIMUM_AGENTS} agents")
    living = array[~np.isneginf(array)] if dead_allowed else array
    bad = np.flatnonzero(~np.isfinite(array) & ~(dead_allowed & np.isneginf(array)))
    if bad.size:
        raise InputError(f"reward {array[bad[0]]} at position {bad[0]} is not finite", field, "finite numbers")
    if living.size and np.max(np.abs(living)) > LARGEST_REWARD:
        raise InputError("a reward is too large to be squared", field, f"rewards within ±{LARGEST_REWARD:g}")
    return array  # type: ignore[no-any-return]


def direction_of(difference: float) -> Direction:
    """Side of the mutant, from its mean minus the healthy mean (free of rounding noise, see `mean_difference`)."""
    if difference < 0:
        return Direction.WORSE
    return Direction.BETTER if difference > 0 else Direction.EQUAL


def mean_difference(healthy: Rewards, mutant: Rewards) -> float:
    """Mean of the mutant minus mean of the healthy population; exactly 0 where it is rounding noise of the rewards."""
    difference = float(np.mean(mutant) - np.mean(healthy))
    largest = max(float(np.max(np.abs(healthy))), float(np.max(np.abs(mutant))))
    return difference if abs(difference) > ROUNDING * largest else 0.0


def mean_direction(healthy: Rewards, mutant: Rewards) -> Direction:
    """Side of the mutant's mean."""
    return direction_of(mean_difference(healthy, mutant))


def is_constant(values: Rewards) -> bool:
    """Whether all agents have exactly the same reward."""
    return bool(np.all(values == values[0]))


def pooled_deviation(first: Rewards, second: Rewards) -> float:
    """Pooled standard deviation of two samples (one degree of freedom lost in each); 0 for two constants."""
    if is_constant(first) and is_constant(second):
        return 0.0
    squares = float(np.sum((first - np.mean(first)) ** 2) + np.sum((second - np.mean(second)) ** 2))
    return math.sqrt(squares / (first.size + second.size - 2))


def vargha_delaney(healthy: Rewards, mutant: Rewards) -> float:
    """Probability that a mutant agent is better than a healthy one, ties counted half; in [0, 1].

    Source: Vargha and Delaney, "A critique and improvement of the CL common language effect size statistics of
    McGraw and Wong", Journal of Educational and Behavioral Statistics 25(2), 2000.
    """
    ranks = stats.rankdata(np.concatenate((mutant, healthy)))
    n_mutant, n_healthy = mutant.size, healthy.size
    wins = float(np.sum(ranks[:n_mutant])) - n_mutant * (n_mutant + 1) / 2
    return wins / (n_mutant * n_healthy)


def newcombe_interval(a: float, n_healthy: int, n_mutant: int, confidence: float) -> tuple[float, float]:
    """Score interval for Vargha-Delaney A; depends on the estimate and the sizes only, never degenerate.

    The ends are the values of A that lie `z` of their own standard errors from the estimate, with the variance of
    Hanley and McNeil in the symmetric form. Mirrored data give the mirrored interval; at A = 0 the lower end is 0
    and the upper end is above it.

    Source: Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic. Part 2",
    Statistics in Medicine 25(4), 2006, method 5.
    """
    z = float(stats.norm.isf((1 - confidence) / 2))
    return 1 - _upper_end(1 - a, n_healthy, n_mutant, z), _upper_end(a, n_healthy, n_mutant, z)


def _upper_end(a: float, n: int, m: int, z: float) -> float:
    if a >= 1:
        return 1.0
    average = (n + m) / 2 - 1

    def excess(theta: float) -> float:
        spread = 1 + average * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return theta - a - z * math.sqrt(theta * (1 - theta) * spread / (n * m))

    low, high = a, 1.0  # `excess` is negative just above the estimate and positive at 1
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return high


def paired_power(ratio: float, n: int, level: float) -> float:
    """Power of the two-sided paired t test at n pairs for a mean difference of `ratio` standard deviations.

    The permutation test has this power up to terms that vanish with n (Hoeffding 1952).
    """
    if n < MINIMUM_AGENTS:
        return 0.0
    if math.isinf(ratio):
        return 1.0
    return f_test_power(ratio**2 * n, n - 1, level)  # the square of a noncentral t is a noncentral F


def f_test_power(noncentrality: float, denominator: int, level: float) -> float:
    """Power of an F test with one degree of freedom in the numerator and `denominator` in the denominator."""
    if noncentrality < 1e-10:  # scipy's noncentral F is wrong at 0; the power there is the level itself
        return level
    critical = float(stats.f.isf(level, 1, denominator))
    return float(stats.ncf.sf(critical, 1, denominator, min(noncentrality, 1e12)))  # and it is NaN far beyond that
