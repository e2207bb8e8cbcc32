"""Average ratio: the share of agents that earn less than nine tenths of their healthy twin. A number, no verdict."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mutations.killing.kill_test import KillVerdict
from mutations.killing.statistics import ROUNDING, mean_direction, paired_populations

THRESHOLD = 0.9


class AverageRatio:
    """Published compatibility test: `statistic` is the share of pairs with mutant / healthy < 0.9.

    The quotient is taken as published, without regard to sign. So with a healthy reward below zero a *lower* mutant
    reward gives a larger quotient and is not counted, and a positive one is counted. With a healthy reward of zero
    the published code stops; here the quotient is that of IEEE arithmetic (a negative mutant reward is counted,
    others are not). `reason` says how many pairs are concerned.
    """

    name: str = "average_ratio"
    summary: str = "Share of pairs with mutant / healthy < 0.9; a number, not a verdict (published, compatibility)"
    source: str = "RLMutation, ICST 2023: average mutated/healthy ratio"
    resampling: bool = False
    corrected: bool = False

    def judge(self, healthy: NDArray[np.float64], mutant: NDArray[np.float64], rng: np.random.Generator) -> KillVerdict:
        """Compare mean rewards of agents, both of shape (n,); `rng` is not used.

        Raises:
            InputError: populations have fewer than two agents, differ in size, or are not finite.
        """
        first, second = paired_populations(healthy, mutant)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            below = second / first < THRESHOLD * (1 - ROUNDING)
        unsound = int(np.count_nonzero(first <= 0))
        return KillVerdict(
            test=self.name,
            outcome=None,
            direction=mean_direction(first, second),
            statistic=float(np.mean(below)),
            p_value=None,
            effect_size=None,
            effect_low=None,
            effect_high=None,
            power=None,
            n_healthy=first.size,
            n_mutant=second.size,
            reason=f"the ratio is undefined for {unsound} of {first.size} healthy rewards <= 0" if unsound else "",
        )
