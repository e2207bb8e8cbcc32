"""Healthy agents in two environments: is their behaviour the same, within a margin?

The question is about the agents at hand, each compared with itself. So the agents are paired, and

* the mean reward is the same if the mean difference over the agents lies within the margin. Two one-sided tests on the
  paired differences show it; the noise of the episodes is part of those differences;
* the share of collapsed agents is the same if, as observed in these agents, it changes by no more than its margin.

That share is *not* taken as a sample: to show that fewer than ten points of a larger population collapse takes 29 to 59
agents, and a statement about these agents is all that a test environment needs.

Source: Schuirmann, "A comparison of the two one-sided tests procedure and the power approach for assessing the
equivalence of average bioavailability", Journal of Pharmacokinetics and Biopharmaceutics 15(6), 1987.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from envsearch.boundary_answer import Answer, Behaviour
from mutations.killing.margins import (
    EQUIVALENCE_LEVEL,
    LEAST_AGENTS,
    MarginEvidence,
    Margins,
    examine,
    is_share_of_mean,
)
from mutations.killing.mean_interval import paired_replicates
from mutations.killing.statistics import Rewards, merge_rounding, paired_populations

_MOST_AGENTS = 1000


@dataclass(frozen=True, slots=True)
class BehaviourComparison:
    """Healthy agents in a moved environment beside themselves in the initial one.

    Attributes:
        behaviour: accepted: the same behaviour is shown. rejected: a difference beyond the margin is shown. unknown:
            neither.
        within: whether both differences, as estimated, are within their margins.
        difference, low, high: of the mean rewards, moved - initial, with the 90 % interval that decides; in units of
            reward.
        margin: of the mean, in units of reward; 0 without a scale.
        newly_collapsed: share of the agents that are collapsed in the moved environment minus that in the initial one.
        reason: what a reader must know, in one clause.
        agents_needed: about as many agents would show the same behaviour if the estimates held; None if no number
            would, or more than 1,000.
        margin_needed: the margin of the mean that these agents would show, as a share of the scale; None without a
            scale.
    """

    behaviour: Behaviour
    within: bool
    difference: float
    low: float
    high: float
    margin: float
    newly_collapsed: float
    reason: str
    agents_needed: int | None
    margin_needed: float | None

    @property
    def answer(self) -> Answer:
        """For the boundary search."""
        return Answer(self.within, self.behaviour)


def compare_behaviour(initial: Rewards, moved: Rewards, margins: Margins) -> BehaviourComparison:
    """Compare mean rewards of the same agents in two environments, both of shape (n,), position i the same agent.

    Raises:
        InputError: fewer than two agents, sizes that differ, or a reward that is not finite.
    """
    first, second = merge_rounding(*paired_populations(initial, moved))
    evidence = examine(first, second, margins, paired=True)
    newly = (evidence.collapsed_mutant - evidence.collapsed_healthy) / evidence.n
    low, high = _interval(first, second)
    sides = _sides_of_margin(first, second, margins, evidence.margin)
    return BehaviourComparison(
        behaviour=_behaviour(sides, evidence, newly, margins),
        within=_within(evidence, newly, margins),
        difference=evidence.difference,
        low=low,
        high=high,
        margin=evidence.margin,
        newly_collapsed=newly,
        reason=_reason(evidence),
        agents_needed=_agents_needed(sides, evidence, newly, margins),
        margin_needed=None if evidence.scale is None else max(-low, high) / evidence.scale,
    )


def _interval(initial: Rewards, moved: Rewards, factor: float = 1.0) -> tuple[float, float]:
    """90 % interval of the mean of moved - `factor` x initial, whose ends are the two one-sided tests.

    The wider of the weighted bootstrap, which follows skewed and saturated rewards, and of Student's interval, which
    keeps its level with few agents.
    """
    low, high = paired_replicates(initial, moved).interval(1 - 2 * EQUIVALENCE_LEVEL, factor)
    differences = moved - factor * initial
    error = float(np.std(differences, ddof=1)) / math.sqrt(differences.size)
    half = float(stats.t.isf(EQUIVALENCE_LEVEL, differences.size - 1)) * error
    mean = float(np.mean(differences))
    return min(low, mean - half), max(high, mean + half)


@dataclass(frozen=True, slots=True)
class _MarginSides:
    """Intervals of the mean difference, measured from the lower and from the upper end of the margin."""

    above_lower: tuple[float, float]
    above_upper: tuple[float, float]

    @property
    def inside(self) -> bool:
        """The mean difference is shown to lie between the ends."""
        return self.above_lower[0] > 0 and self.above_upper[1] < 0

    @property
    def outside(self) -> bool:
        """It is shown to lie beyond either."""
        return self.above_lower[1] < 0 or self.above_upper[0] > 0


def _sides_of_margin(initial: Rewards, moved: Rewards, margins: Margins, margin: float) -> _MarginSides:
    """A margin that is a share of the initial mean is as uncertain as it: its ends are (1 -+ share) x initial."""
    if is_share_of_mean(initial, margins):
        share = math.copysign(margins.mean, float(np.mean(initial)))
        return _MarginSides(_interval(initial, moved, 1 - share), _interval(initial, moved, 1 + share))
    low, high = _interval(initial, moved)
    return _MarginSides((low + margin, high + margin), (low - margin, high - margin))


def _within(evidence: MarginEvidence, newly: float, margins: Margins) -> bool:
    return evidence.scale is not None and abs(evidence.difference) <= evidence.margin and _alike(newly, margins)


def _alike(newly: float, margins: Margins) -> bool:
    """The observed shares of collapsed agents differ by no more than the margin."""
    return abs(newly) <= margins.collapsed + 1e-12


def _behaviour(sides: _MarginSides, evidence: MarginEvidence, newly: float, margins: Margins) -> Behaviour:
    if evidence.n < LEAST_AGENTS or evidence.scale is None:
        return Behaviour.UNKNOWN
    if sides.inside and _alike(newly, margins):
        return Behaviour.ACCEPTED
    collapses = max(evidence.collapsed_low, -evidence.collapsed_high) > margins.collapsed
    return Behaviour.REJECTED if collapses or sides.outside else Behaviour.UNKNOWN


def _reason(evidence: MarginEvidence) -> str:
    if evidence.scale is None:
        return "the mean reward is too near zero for a margin that is a share of it; set margins.scale"
    if evidence.n < LEAST_AGENTS:
        return f"{evidence.n} agents; at least {LEAST_AGENTS} are needed"
    return ""


def _agents_needed(sides: _MarginSides, evidence: MarginEvidence, newly: float, margins: Margins) -> int | None:
    """The half widths of the intervals shrink with the root of the number of agents; the estimates are kept."""
    if evidence.scale is None or not _within(evidence, newly, margins):
        return None
    slacks = []
    for estimate, end in (
        (evidence.difference + evidence.margin, sides.above_lower[0]),
        (evidence.margin - evidence.difference, -sides.above_upper[1]),
    ):
        slacks.append((estimate - end) / estimate if estimate > 0 else math.inf)
    if math.isinf(max(slacks)):
        return None
    needed = max(LEAST_AGENTS, math.ceil(evidence.n * max(slacks) ** 2))
    return needed if needed <= _MOST_AGENTS else None
