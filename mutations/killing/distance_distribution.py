"""Distance distribution test: the published ladder on Hellinger distances between random halves of the populations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mutations.killing.histogram import occupied_bins
from mutations.killing.kill_test import KillVerdict
from mutations.killing.published_ladder import IDENTICAL, LadderResult, climb
from mutations.killing.reward_distribution import ladder_reason
from mutations.killing.statistics import Rewards, mean_direction, paired_populations

DRAWS = 2000
_CONSTANT = 1e-8  # distances in [0, 1] closer than this are one value: they differ by the rounding of sums only


class DistanceDistribution:
    """Published compatibility test: `statistic` is the mean distance to mutants minus that among the healthy.

    2,000 times a random half of the healthy agents is compared with the other half, and 2,000 times with a random
    half of the mutants (halves of n // 2, drawn without replacement); the ladder is applied to the two samples of
    distances. `effect_size` is the absolute Cohen's d between them, `direction` comes from the mean rewards.
    Distances are those of histograms that sum to 1; the published ones are larger by a factor that cancels.

    Identical populations are survived, as the study reports them. (Its code looks at the distances only, and would call
    identical populations that vary killed: halves that share agents are closer than halves that do not.)

    Weakness, measured: it calls about half of the healthy-against-healthy pairs killed.
    """

    name: str = "distance_distribution"
    power_alternative: str = "the observed effect, as published"
    summary: str = "Same ladder on Hellinger distances of 2,000 random halves (published, compatibility)"
    source: str = "RLMutation, ICST 2023: distance distribution test (dtr), after DeepCrime, ISSTA 2021"
    resampling: bool = True
    corrected: bool = False

    def judge(self, healthy: NDArray[np.float64], mutant: NDArray[np.float64], rng: np.random.Generator) -> KillVerdict:
        """Compare mean rewards of agents, both of shape (n,); `rng` draws the halves.

        Raises:
            InputError: populations have fewer than two agents, differ in size, or are not finite.
        """
        first, second = paired_populations(healthy, mutant)
        identical = bool(np.array_equal(first, second))
        among, between = half_distances(first, second, rng)
        result = IDENTICAL if identical else _ladder(among, between)
        return KillVerdict(
            test=self.name,
            outcome=result.outcome,
            direction=mean_direction(first, second),
            statistic=float(np.mean(between) - np.mean(among)),
            p_value=result.p_value,
            effect_size=result.cohens_d,
            effect_low=None,
            effect_high=None,
            power=result.power,
            n_healthy=first.size,
            n_mutant=second.size,
            reason="the populations are identical" if identical else ladder_reason(result),
        )


def half_distances(healthy: Rewards, mutant: Rewards, rng: np.random.Generator) -> tuple[Rewards, Rewards]:
    """Hellinger distances, each of shape (2000,): healthy half against the rest, and against a half of the mutants."""
    size, half = healthy.size, healthy.size // 2
    ranks, bins = occupied_bins(np.concatenate((healthy, mutant)))
    cells = np.zeros((2 * size, bins))
    cells[np.arange(2 * size), ranks] = 1.0
    in_healthy, in_mutant = cells[:size], cells[size:]
    unknown, sound, strange = (_random_halves(size, half, rng) @ part for part in (in_healthy, in_healthy, in_mutant))
    among = _hellinger(unknown / half, (in_healthy.sum(axis=0) - unknown) / (size - half))
    return among, _hellinger(sound / half, strange / half)


def _random_halves(size: int, half: int, rng: np.random.Generator) -> Rewards:
    """Indicator of `half` of `size` agents in each of 2,000 rows."""
    chosen = np.zeros((DRAWS, size))
    chosen[:, :half] = 1.0
    return rng.permuted(chosen, axis=1)


def _hellinger(first: Rewards, second: Rewards) -> Rewards:
    """Distance in [0, 1] between the rows of two arrays of shares, shape (draws, bins)."""
    squares: Rewards = np.sum((np.sqrt(first) - np.sqrt(second)) ** 2, axis=1) / 2
    return np.sqrt(squares)


def _ladder(among: Rewards, between: Rewards) -> LadderResult:
    """Both constant up to rounding: perfect separation, or no difference at all; the published code says so too."""
    if np.ptp(among) <= _CONSTANT and np.ptp(between) <= _CONSTANT:
        among, between = np.full(DRAWS, np.median(among)), np.full(DRAWS, np.median(between))
        if abs(among[0] - between[0]) <= _CONSTANT:
            return IDENTICAL
    return climb(among, between)
