"""Independent populations, one permutation law over three statistics, and a margin that every outcome is about."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from envsearch.errors import InputError
from mutations.killing.kill_test import Correction, Direction, KillVerdict, Outcome, before_correction, killed_by_crash
from mutations.killing.margin_power import agents_for_kill, corrected_power, margin_power
from mutations.killing.margins import MarginEvidence, Margins, agents_for_equivalence, collapse_limit, examine, scale_of
from mutations.killing.permutation_law import paired_p_value, permutation_p_value
from mutations.killing.resampled_kills import ResampledKills, margin_kills
from mutations.killing.resampled_law import Draws
from mutations.killing.splits import Splits
from mutations.killing.statistics import Rewards, direction_of, independent_populations, merge_rounding

LEVEL = 0.05
_ADVICE = "; as things stand, a kill needs about "


class MarginPermutation:
    """Margin test: `statistic` is the difference of the mean rewards, mutant minus healthy, in units of reward.

    * `p_value`: permutation of the smallest p-value of mean, rank and energy distance.
    * `effect_size`: the same difference as a share of the scale, with its 95 % interval; None without a scale.
    * `power`: chance that a mutant just at the margin is killed, at the level in force; None without a scale.
    * killed: a difference is shown, and the mutant may lie beyond the margin. `direction` says worse, less reliable
      (more spread or more collapsed agents about the same mean), or better, which does not count as a kill in a score.
    * survived: equivalence within both margins is shown, by two one-sided tests each.
    * inconclusive: neither.

    An agent that died of its training enters as minus infinity: a collapsed agent with the lowest reward of all. A
    mutant all of whose agents died beside living healthy ones is killed by crash.

    Args:
        level: a mutant is killed when its p-value is at most this; in (0, 1).
        margins: the largest differences that do not matter. Where they are given, those of a spec do not apply.
    """

    name: str = "margin_permutation"
    power_alternative: str = "the margin"
    summary: str = (
        "Permutation of the smallest p-value of mean, rank and energy distance; equivalence within margins; any sizes "
        "(default)"
    )
    source: str = (
        "Fisher 1935; Westfall and Young 1993 (min-p); Szekely and Rizzo 2013; Schuirmann 1987 (two one-sided)"
    )
    resampling: bool = True
    corrected: bool = True
    better_is_killed: bool = False
    independent: bool = True
    takes_dead: bool = True

    def __init__(self, level: float = LEVEL, margins: Margins | None = None) -> None:
        if not 0 < level < 1:
            raise InputError(f"{level} is not a level of significance", "level", "a number in (0, 1)")
        self.level = level
        self.margins = margins or Margins()
        self.takes_margins = margins is None

    def with_margins(self, margins: Margins) -> MarginPermutation:
        """The same test with other margins."""
        return type(self)(self.level, margins)

    def judge(self, healthy: NDArray[np.float64], mutant: NDArray[np.float64], rng: np.random.Generator) -> KillVerdict:
        """Compare mean rewards of agents, shapes (n,) and (m,); the sizes may differ unless the test is paired.

        `rng` is used only where more than 20,000 splits differ; up to there all are counted.

        Raises:
            InputError: a population has fewer than two agents or no living healthy one, a reward is not finite (minus
                infinity, a dead agent, is allowed), or sizes differ in a paired test.
        """
        return self.judge_with(healthy, mutant, rng, None)

    def judge_with(
        self,
        healthy: NDArray[np.float64],
        mutant: NDArray[np.float64],
        rng: np.random.Generator,
        drawn: Splits | None,
    ) -> KillVerdict:
        """`judge` with splits drawn before, for many comparisons of the same sizes (see `splits.drawn_splits`)."""
        living, strange = independent_populations(healthy, mutant, paired=not self.independent)
        dead = int(np.count_nonzero(np.isneginf(strange)))
        if dead == strange.size and not np.any(np.isneginf(living)):
            return killed_by_crash(self.name, living.size, strange.size)
        first, second = _with_dead_agents(living, strange, self.margins)
        first, second = merge_rounding(first, second)
        evidence = examine(first, second, self.margins, paired=not self.independent)
        p_value, equivalent = self._p_value(first, second, rng, drawn), self._equivalent(first, second, evidence)
        verdict = self._verdict(evidence, p_value, equivalent)
        if evidence.scale is not None:
            paired = not self.independent
            power = margin_power(first, second, evidence.margin, self.margins, self.level, paired)
            verdict = replace(verdict, power=power)
        if dead and verdict.outcome is not Outcome.SURVIVED:
            return replace(verdict, reason=f"{dead} of {strange.size} agents died; {verdict.reason}")
        return verdict

    def conclude(self, verdict: KillVerdict, correction: Correction) -> KillVerdict:
        """The verdict after correction; `power` and the number of agents in the reason become those at its level.

        A kill that does not stand becomes inconclusive: where the margin may be exceeded, equivalence is not shown.
        """
        sizes, level = (verdict.n_healthy, verdict.n_mutant), correction.level
        power, share = verdict.power, verdict.level_share or 1.0
        if power is not None:
            levels = self.level * share, level * share
            power = corrected_power(power, *sizes, *levels, paired=not self.independent)
        before = 1.0 if verdict.p_value is None else verdict.p_value
        changed = replace(
            verdict,
            p_adjusted=correction.p_adjusted,
            level=level,
            power=power,
            agents_for_kill=agents_for_kill(before * share, *sizes, level * share),
        )
        stands = verdict.outcome is Outcome.KILLED and correction.p_adjusted <= self.level
        if stands or verdict.outcome is Outcome.SURVIVED:
            return changed
        reason = verdict.reason.partition(_ADVICE)[0]
        if verdict.outcome is Outcome.KILLED:
            reason = f"{before_correction(before, correction)}; {reason}"
        if verdict.outcome is Outcome.KILLED or before > self.level:  # else a difference is shown, within the margin
            reason += _kill_advice(before * share, *sizes, level * share)
        return replace(changed, outcome=Outcome.INCONCLUSIVE, reason=reason)

    def resampled_kills(
        self, healthy: NDArray[np.float64], mutant: NDArray[np.float64], draws: Draws
    ) -> ResampledKills:
        """See `ResampledKillTest`."""
        first, second = _with_dead_agents(healthy, mutant, self.margins)
        return margin_kills(first, second, draws, self.margins, paired=not self.independent)

    def _p_value(self, first: Rewards, second: Rewards, rng: np.random.Generator, drawn: Splits | None) -> float:
        if self.independent:
            return permutation_p_value(first, second, rng, drawn).p_value
        return paired_p_value(first, second, rng).p_value

    def _equivalent(self, first: Rewards, second: Rewards, evidence: MarginEvidence) -> bool:
        return evidence.equivalent

    def _verdict(self, evidence: MarginEvidence, p_value: float, equivalent: bool) -> KillVerdict:
        killed = p_value <= self.level and evidence.may_exceed
        direction = _direction(evidence) if killed else direction_of(evidence.difference)
        facts = _facts(evidence)
        if killed:
            outcome, reason = Outcome.KILLED, facts
        elif equivalent:
            outcome, reason = Outcome.SURVIVED, f"equivalent within the margins: {facts}"
        else:
            outcome, reason = Outcome.INCONCLUSIVE, self._inconclusive(evidence, facts, p_value)
        share = evidence.scale
        return KillVerdict(
            test=self.name,
            outcome=outcome,
            direction=direction,
            statistic=evidence.difference,
            p_value=p_value,
            effect_size=None if share is None else evidence.difference / share,
            effect_low=None if share is None else evidence.low / share,
            effect_high=None if share is None else evidence.high / share,
            power=None,
            n_healthy=evidence.n,
            n_mutant=evidence.m,
            reason=reason,
            difference=evidence.difference,
            difference_low=evidence.low,
            difference_high=evidence.high,
            margin=None if share is None else evidence.margin,
            **_collapsed_shares(evidence),
            agents_for_kill=agents_for_kill(p_value, evidence.n, evidence.m, self.level),
            agents_for_equivalence=agents_for_equivalence(evidence, self.margins),
        )

    def _inconclusive(self, evidence: MarginEvidence, facts: str, p_value: float) -> str:
        if evidence.scale is None:
            survival = "the healthy mean is near zero: set a scale, without one no mutant survives"
        else:
            needed = agents_for_equivalence(evidence, self.margins)
            seeds = "cannot be expected" if needed is None else f"needs about {needed} agents per population"
            survival = f"survival {seeds}"
        return f"{facts}; {survival}{_kill_advice(p_value, evidence.n, evidence.m, self.level)}"


def _with_dead_agents(healthy: Rewards, mutant: Rewards, margins: Margins) -> tuple[Rewards, Rewards]:
    """Dead agents get the lowest reward of all, and one low enough to be collapsed."""
    if not (np.any(np.isneginf(healthy)) or np.any(np.isneginf(mutant))):
        return healthy, mutant
    living = healthy[np.isfinite(healthy)]
    lowest = float(np.min(np.concatenate((living, mutant[np.isfinite(mutant)]))))
    scale = scale_of(living, margins) if living.size > 1 else margins.scale
    if scale is not None:
        lowest = min(lowest, collapse_limit(living, scale) - 0.5 * scale)
    else:
        lowest -= max(1.0, float(np.ptp(living)))
    first, second = (np.where(np.isneginf(side), lowest, side) for side in (healthy, mutant))
    return first, second


def _collapsed_shares(evidence: MarginEvidence) -> dict[str, float]:
    """The verdict's fields about collapsed agents; none without a scale, which says what collapsed means."""
    if evidence.scale is None:
        return {}
    return {
        "collapsed_healthy": evidence.collapsed_healthy / evidence.n,
        "collapsed_mutant": evidence.collapsed_mutant / evidence.m,
        "collapsed_low": evidence.collapsed_low,
        "collapsed_high": evidence.collapsed_high,
    }


def _direction(evidence: MarginEvidence) -> Direction:
    """Side of the mean where its interval excludes zero; else what became of the reliability."""
    if evidence.low > 0 or evidence.high < 0:
        return direction_of(evidence.difference)
    more_collapsed = evidence.collapsed_mutant / evidence.m - evidence.collapsed_healthy / evidence.n
    wider = evidence.spread_ratio is None or evidence.spread_ratio > 1
    if more_collapsed > 0 or (more_collapsed == 0 and wider):
        return Direction.LESS_RELIABLE
    return direction_of(evidence.difference) if evidence.difference else Direction.BETTER


def _facts(evidence: MarginEvidence) -> str:
    """The difference with its interval beside the margin, then the collapsed agents if there are any."""
    if evidence.scale is None:
        text = f"mean {evidence.difference:+.3g} [{evidence.low:.3g}, {evidence.high:.3g}]"
    else:
        numbers = (100 * number / evidence.scale for number in (evidence.difference, evidence.low, evidence.high))
        text = "mean {:+.3g} % [{:.3g}, {:.3g}]".format(*numbers)
        text += f" at a margin of {100 * evidence.margin / evidence.scale:.3g} %"
    if evidence.collapsed_healthy or evidence.collapsed_mutant:
        text += f", collapsed {evidence.collapsed_mutant} of {evidence.m}"
        text += f" against {evidence.collapsed_healthy} of {evidence.n}"
    return text


def _kill_advice(p_value: float, n: int, m: int, level: float) -> str:
    needed = agents_for_kill(p_value, n, m, level)
    return "" if needed is None else f"{_ADVICE}{needed}"
