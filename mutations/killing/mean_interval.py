"""An interval for a difference of two mean rewards that holds for saturated, skewed and tied populations.

A weighted bootstrap: every agent gets a random weight (Rubin's Bayesian bootstrap), and two further agents, each of
half a weight, sit at the ends of what either population was seen to do about its median. They stand for agents that
were not drawn: with two-valued rewards the result is Jeffreys' interval of a share, which Welch's interval misses by
far where one population is constant. Deviations are widened by the ratio of Student's and the normal quantile.

The weights are fixed once for every size, so the interval depends on the rewards only, on neither order nor generator.

Sources: Rubin, "The Bayesian bootstrap", Annals of Statistics 9(1), 1981; Brown, Cai and DasGupta, "Interval estimation
for a binomial proportion", Statistical Science 16(2), 2001 (Jeffreys).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats

from mutations.killing.statistics import Rewards

REPLICATES = 2_000
UNSEEN_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class MeanReplicates:
    """Plausible means of both populations.

    Attributes:
        healthy, mutant: shape (replicates,); position i belongs together.
        healthy_mean, mutant_mean: as observed.
        freedom: degrees of freedom of Student's quantile.
    """

    healthy: Rewards
    mutant: Rewards
    healthy_mean: float
    mutant_mean: float
    freedom: int

    def interval(self, confidence: float, factor: float = 1.0) -> tuple[float, float]:
        """Two-sided interval of: mean of the mutant - `factor` x mean of the healthy population."""
        estimate = self.mutant_mean - factor * self.healthy_mean
        tail = (1 - confidence) / 2
        ends = np.quantile(self.mutant - factor * self.healthy, [tail, 1 - tail])
        widening = float(stats.t.isf(tail, self.freedom) / stats.norm.isf(tail))
        low, high = (estimate + widening * (float(end) - estimate) for end in ends)
        return min(low, estimate), max(high, estimate)


def independent_replicates(healthy: Rewards, mutant: Rewards) -> MeanReplicates:
    """For independent populations of shapes (n,) and (m,)."""
    n, m = healthy.size, mutant.size
    pooled = np.concatenate((healthy, mutant))
    residuals = np.concatenate((healthy - np.median(healthy), mutant - np.median(mutant)))
    first, second = (_with_unseen(side, pooled, residuals) for side in (healthy, mutant))
    # each side is weighted by either table once, so that exchanging the populations mirrors the interval
    return MeanReplicates(
        healthy=np.concatenate((_weighted(_weights(n, 0), first), _weighted(_weights(n, 1), first))),
        mutant=np.concatenate((_weighted(_weights(m, 1), second), _weighted(_weights(m, 0), second))),
        healthy_mean=float(np.mean(healthy)),
        mutant_mean=float(np.mean(mutant)),
        freedom=n + m - 2,
    )


def paired_replicates(healthy: Rewards, mutant: Rewards) -> MeanReplicates:
    """For pairs of shape (n,): a pair keeps together, and the unseen pairs are those of the extreme differences."""
    differences = mutant - healthy
    order = np.lexsort((healthy, differences))
    order = np.concatenate((order[:1], order, order[-1:]))
    weights = _weights(healthy.size, 0)
    first, second = (
        np.concatenate((_weighted(weights, side[order]), _weighted(weights[:, ::-1], side[order])))
        for side in (healthy, mutant)
    )
    means = float(np.mean(healthy)), float(np.mean(mutant))
    return MeanReplicates(first, second, *means, freedom=healthy.size - 1)


def _weighted(weights: Rewards, rewards: Rewards) -> Rewards:
    """Weighted means, shape (replicates,); exactly the reward where all are the same."""
    means: Rewards = rewards[0] + weights @ (rewards - rewards[0])
    return means


def _with_unseen(rewards: Rewards, pooled: Rewards, residuals: Rewards) -> Rewards:
    """The rewards in rising order between two unseen ones, shape (n + 2,)."""
    middle, ordered = float(np.median(rewards)), np.sort(rewards)
    low = min(float(ordered[0]), max(float(np.min(pooled)), middle + float(np.min(residuals))))
    high = max(float(ordered[-1]), min(float(np.max(pooled)), middle + float(np.max(residuals))))
    return np.concatenate(([low], ordered, [high]))


@lru_cache(maxsize=128)
def _weights(agents: int, table: int) -> Rewards:
    """Rows of weights that sum to 1, shape (replicates, agents + 2); the unseen agents are first and last."""
    rng = np.random.default_rng([agents, table])
    weights = rng.gamma(
        np.concatenate(([UNSEEN_WEIGHT], np.ones(agents), [UNSEEN_WEIGHT])), size=(REPLICATES, agents + 2)
    )
    rows: Rewards = weights / np.sum(weights, axis=1, keepdims=True)
    return rows
