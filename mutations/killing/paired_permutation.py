"""A sign-flip permutation test of the paired (same seed) mean difference: the default test of 0.1."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from envsearch.errors import InputError
from mutations.killing.decision import Evidence, decide, smallest_useful
from mutations.killing.kill_test import Correction, KillVerdict, Outcome, before_correction
from mutations.killing.margin_power import corrected_power
from mutations.killing.resampled_kills import ResampledKills
from mutations.killing.resampled_law import Draws, sign_flip_p_values
from mutations.killing.sign_flip import paired_differences, sign_flip_p_value
from mutations.killing.statistics import (
    Rewards,
    direction_of,
    mean_difference,
    newcombe_interval,
    paired_populations,
    paired_power,
    pooled_deviation,
    vargha_delaney,
)

LEVEL = 0.032
"""Chosen by measurement (docs/kill-tests.md): a test that is exactly level .032 measures above 5 % in 2,000 simulated
pairs once in 100,000 simulations, where one of level .05 does so every other time; it costs eight points of power
(.59 instead of .67) at d = 0.8 and n = 20. It lies just above 2 / 2^6, so that six seeds can be enough."""

RELEVANT_D = 0.8
"""Cohen's "large"; between normal populations it is an A of .71, Vargha and Delaney's "large"."""


class PairedPermutation:
    """Calibrated test of pairs: `statistic` is the mean of mutant minus healthy over seeds, in units of reward.

    * `p_value`: two-sided sign-flip test.
    * `effect_size`: Vargha-Delaney A, the probability that a mutant agent is better than a healthy one (ties count
      half; .5 no difference, 0 always worse, 1 always better), `effect_low` and `effect_high` its 95 % interval.
    * `power`: that at this n and at the level in force for a shift of 0.8 pooled standard deviations, given how closely
      the pairs of this sample go together. For two constant populations, that of independent pairs.
    * killed: p below the level; survived: not, and the 90 % interval of A lies inside (.29, .71), so that a large
      effect is excluded (or no pair differs at all); inconclusive: neither.

    Args:
        level: a mutant is killed when its p-value is below this; in (0, 1).
    """

    name: str = "paired_permutation"
    power_alternative: str = "a shift of 0.8 sd"
    summary: str = "Sign-flip permutation test of same-seed differences, with Vargha-Delaney A"
    source: str = "Fisher 1935 (sign flips); Vargha and Delaney 2000; Newcombe 2006 (interval of A)"
    resampling: bool = True
    corrected: bool = True

    def __init__(self, level: float = LEVEL) -> None:
        if not 0 < level < 1:
            raise InputError(f"{level} is not a level of significance", "level", "a number in (0, 1)")
        self.level = level

    def judge(self, healthy: NDArray[np.float64], mutant: NDArray[np.float64], rng: np.random.Generator) -> KillVerdict:
        """Compare mean rewards of agents, both of shape (n,), paired by position.

        `rng` is used only where more than 30 pairs differ; up to there all sign patterns are counted.

        Raises:
            InputError: populations have fewer than two agents, differ in size, or are not finite.
        """
        first, second = paired_populations(healthy, mutant)
        differences = paired_differences(first, second)
        a = vargha_delaney(first, second)
        low, high = newcombe_interval(a, first.size, second.size, 0.95)
        difference = float(np.mean(differences)) if mean_difference(first, second) else 0.0
        p_value = sign_flip_p_value(differences, rng)
        differing = int(np.count_nonzero(differences))
        direction = direction_of(difference)
        outcome, reason = decide(
            Evidence(first.size, differing, direction, a, p_value, p_value, self.level), self.level
        )
        return KillVerdict(
            test=self.name,
            outcome=outcome,
            direction=direction,
            statistic=difference,
            p_value=p_value,
            effect_size=a,
            effect_low=low,
            effect_high=high,
            power=_power(first, second, differences, self.level),
            n_healthy=first.size,
            n_mutant=second.size,
            reason=reason,
        )

    def conclude(self, verdict: KillVerdict, correction: Correction) -> KillVerdict:
        """The verdict after correction; `power` and the number of seeds in the reason become those at its level.

        A corrected verdict can only move away from killed: to survived where a large effect is excluded all the same,
        else to inconclusive.
        """
        power = verdict.power
        if power is not None:
            seeds = verdict.n_healthy
            power = corrected_power(power, seeds, seeds, self.level, correction.level, paired=True)
        changed = replace(verdict, p_adjusted=correction.p_adjusted, level=correction.level, power=power)
        killed = verdict.outcome is Outcome.KILLED
        if verdict.outcome is Outcome.SURVIVED or (killed and correction.p_adjusted < self.level):
            return changed
        outcome, reason = decide(_evidence(verdict, correction), self.level)
        if killed:
            reason = f"{before_correction(verdict.p_value or 0.0, correction)}; {reason}"
        return replace(changed, outcome=outcome, reason=reason)

    def resampled_kills(
        self, healthy: NDArray[np.float64], mutant: NDArray[np.float64], draws: Draws
    ) -> ResampledKills:
        """See `ResampledKillTest`."""
        p_values = sign_flip_p_values(paired_differences(*draws.pairs(healthy, mutant)))
        return ResampledKills(p_values, np.ones(p_values.size, dtype=np.bool_))


def _evidence(verdict: KillVerdict, correction: Correction) -> Evidence:
    return Evidence(
        seeds=verdict.n_healthy,
        differing=verdict.n_healthy,
        direction=verdict.direction,
        a=0.5 if verdict.effect_size is None else verdict.effect_size,
        raw=1.0 if verdict.p_value is None else verdict.p_value,
        corrected=correction.p_adjusted,
        strictness=correction.level,
    )


def _power(healthy: Rewards, mutant: Rewards, differences: Rewards, level: float) -> float:
    if healthy.size < smallest_useful(level):
        return 0.0
    pooled, paired = pooled_deviation(healthy, mutant), float(np.std(differences, ddof=1))
    if pooled == 0:
        ratio = RELEVANT_D / math.sqrt(2)
    elif paired <= 1e-12 * pooled:
        ratio = math.inf
    else:
        ratio = RELEVANT_D * pooled / paired
    return paired_power(ratio, healthy.size, level)
