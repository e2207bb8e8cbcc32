"""Reward distribution test: the published ladder on the agents' mean rewards."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mutations.killing.kill_test import KillVerdict, Outcome
from mutations.killing.published_ladder import IDENTICAL, LadderResult, climb
from mutations.killing.statistics import mean_direction, paired_populations


class RewardDistribution:
    """Published compatibility test: `statistic` is z (mutant minus healthy), `effect_size` the absolute Cohen's d.

    Identical lists are survived. The pairing by seed is not used. A mutant that is better is killed like one that is
    worse; `direction` distinguishes them. `power` is the published number, which overstates the power of the test.
    """

    name: str = "reward_distribution"
    power_alternative: str = "the observed effect, as published"
    summary: str = "z test, Cohen's d and published power of the mean rewards (published, compatibility)"
    source: str = "RLMutation, ICST 2023: reward distribution test (r), after DeepCrime, ISSTA 2021"
    resampling: bool = False
    corrected: bool = False

    def judge(self, healthy: NDArray[np.float64], mutant: NDArray[np.float64], rng: np.random.Generator) -> KillVerdict:
        """Compare mean rewards of agents, both of shape (n,); `rng` is not used.

        Raises:
            InputError: populations have fewer than two agents, differ in size, or are not finite.
        """
        first, second = paired_populations(healthy, mutant)
        identical = bool(np.array_equal(first, second))
        result = IDENTICAL if identical else climb(first, second)
        return KillVerdict(
            test=self.name,
            outcome=result.outcome,
            direction=mean_direction(first, second),
            statistic=result.z,
            p_value=result.p_value,
            effect_size=result.cohens_d,
            effect_low=None,
            effect_high=None,
            power=result.power,
            n_healthy=first.size,
            n_mutant=second.size,
            reason="the populations are identical" if identical else ladder_reason(result),
        )


def ladder_reason(result: LadderResult) -> str:
    """Why the ladder stopped where it did, in one clause."""
    if result.cohens_d is None:
        return "both samples are constant and differ"
    if result.outcome is Outcome.INCONCLUSIVE:
        return f"published power {result.power:.2f} is below 0.8"
    if result.outcome is Outcome.KILLED:
        return ""
    return f"p = {result.p_value:.3f} and d = {result.cohens_d:.2f} do not reach p < 0.05 and d >= 0.5"
