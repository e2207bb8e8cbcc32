"""How good and how reliable agents are: interquartile mean, probability of improvement, performance profile.

Each comes with a 95 % interval from the stratified percentile bootstrap: agents are drawn with replacement within their
population, and the interval ends at the 2.5 and 97.5 % quantiles of the replicates. A statement of size, not a test:
these numbers kill no mutant.

Source: Agarwal, Schwarzer, Castro, Courville and Bellemare, "Deep reinforcement learning at the edge of the statistical
precipice", NeurIPS 2021, section 4.1 (intervals), 4.2 (profiles), 4.3 (interquartile mean, probability of improvement).
With one environment, as here, the definitions are those of the authors' library rliable 1.2.0; agents are its runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from envsearch.errors import InputError

Numbers = NDArray[np.float64]

CONFIDENCE = 0.95
REPLICATES = 10_000

TRIMMED = 0.25
"""Share of the agents that the interquartile mean leaves out at either end, rounded down."""


@dataclass(frozen=True, slots=True)
class BootstrapEstimate:
    """A number with the ends of its 95 % percentile interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PerformanceProfile:
    """Share of agents with a reward above a threshold, with its interval at each; all of the same length."""

    thresholds: tuple[float, ...]
    shares: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def interquartile_mean(rewards: ArrayLike, seed: int = 0, replicates: int = REPLICATES) -> BootstrapEstimate:
    """Mean of the middle half of the agents, in units of reward: the mean trimmed by 25 % at either end.

    Args:
        rewards: mean reward per agent, shape (n,); minus infinity is an agent that died.
        seed: of the bootstrap; equal seeds and sizes use the same draws.

    Raises:
        InputError: the population is empty, not one-dimensional, or holds NaN or plus infinity.
    """
    ordered = np.sort(_population(rewards, "rewards"))
    observed = _trimmed_means(ordered, np.ones((1, ordered.size)))
    drawn = _trimmed_means(ordered, _counts(ordered.size, seed, 0, replicates))
    return _estimate(float(observed[0]), drawn)


def probability_of_improvement(
    healthy: ArrayLike, mutant: ArrayLike, seed: int = 0, replicates: int = REPLICATES
) -> BootstrapEstimate:
    """Chance that a mutant agent earns more than a healthy one, ties counted half; the Vargha-Delaney A.

    Both populations are resampled, independently of each other. Sizes may differ. Where every mutant agent is worse (or
    every one better) than every healthy one, so is each replicate, and the interval is a point: it is too narrow there.

    Raises:
        InputError: as `interquartile_mean`, with the population's name.
    """
    first, second = _population(healthy, "healthy"), _population(mutant, "mutant")
    wins = (second[:, None] > first[None, :]) + 0.5 * (second[:, None] == first[None, :])
    pairs = first.size * second.size
    drawn_first, drawn_second = _counts(first.size, seed, 0, replicates), _counts(second.size, seed, 1, replicates)
    drawn = np.sum((drawn_second @ wins) * drawn_first, axis=1) / pairs
    return _estimate(float(np.sum(wins)) / pairs, drawn)


def performance_profile(
    rewards: ArrayLike, thresholds: Sequence[float], seed: int = 0, replicates: int = REPLICATES
) -> PerformanceProfile:
    """Share of the agents whose reward is above each threshold (the run-score distribution of section 4.2).

    The intervals hold for each threshold alone, not for the whole curve.

    Raises:
        InputError: as `interquartile_mean`.
    """
    population = _population(rewards, "rewards")
    above = (population[:, None] > np.asarray(thresholds, dtype=np.float64)[None, :]).astype(np.float64)
    drawn = _counts(population.size, seed, 0, replicates) @ above / population.size
    low, high = _ends(drawn)
    columns = (np.asarray(thresholds, dtype=np.float64), np.mean(above, axis=0), low, high)
    return PerformanceProfile(*(tuple(float(value) for value in column) for column in columns))


def flat(name: str, estimate: BootstrapEstimate | None) -> dict[str, float | None]:
    """An estimate as three entries of a row: ``name``, ``name_low``, ``name_high``; None where there is none."""
    ends = (None, None, None) if estimate is None else (estimate.value, estimate.low, estimate.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))


@lru_cache(maxsize=8)
def _counts(agents: int, seed: int, stratum: int, replicates: int) -> Numbers:
    """How often each agent of a population is drawn, shape (replicates, agents); rows sum to `agents`."""
    rng = np.random.default_rng([seed, stratum, agents])
    counts: Numbers = rng.multinomial(agents, np.full(agents, 1 / agents), size=replicates).astype(np.float64)
    counts.flags.writeable = False
    return counts


def _trimmed_means(ordered: Numbers, counts: Numbers) -> Numbers:
    """The trimmed mean of each replicate, shape (replicates,); `ordered` rises, `counts` belong to its agents."""
    cut = int(TRIMMED * ordered.size)
    upper = np.clip(np.cumsum(counts, axis=1), cut, ordered.size - cut)
    kept = np.diff(upper, axis=1, prepend=cut)  # how many of an agent's copies lie in the middle
    dead = np.isneginf(ordered)
    means: Numbers = kept @ np.where(dead, 0.0, ordered) / (ordered.size - 2 * cut)
    means[np.any(kept[:, dead] > 0, axis=1)] = -np.inf
    return means


def _estimate(value: float, drawn: Numbers) -> BootstrapEstimate:
    low, high = _ends(drawn)
    return BootstrapEstimate(value, float(low), float(high))


def _ends(drawn: Numbers) -> Numbers:
    """Both ends of the percentile interval of each column, shape (2, ...); replicates themselves, not between two."""
    tail = (1 - CONFIDENCE) / 2
    ends: Numbers = np.quantile(drawn, [tail, 1 - tail], axis=0, method="inverted_cdf")
    return ends


def _population(values: ArrayLike, field: str) -> Numbers:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size:
        raise InputError(f"rewards have shape {array.shape}", field, "shape (n,), one number per agent, n at least 1")
    if np.any(np.isnan(array) | np.isposinf(array)):
        raise InputError("a reward is NaN or infinite", field, "finite numbers, or minus infinity for a dead agent")
    return array
