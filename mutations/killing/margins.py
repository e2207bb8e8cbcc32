"""The margin: which differences between a mutant and the healthy agents matter, and what the rewards say about them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from envsearch.errors import InputError
from mutations.killing.collapse import (
    agents_to_exclude,
    fewest_without_collapse,
    not_inferior_p,
    share_interval,
)
from mutations.killing.mean_interval import MeanReplicates, independent_replicates, paired_replicates
from mutations.killing.statistics import Rewards, mean_difference

EQUIVALENCE_LEVEL = 0.05
"""Each of the two one-sided tests; so a mutant at the margin survives in at most 5 % of the comparisons."""

LEAST_AGENTS = 4
"""Smaller populations never survive, whatever the margin."""

COLLAPSED_BELOW = 0.5
"""An agent more than this share of the scale below the median healthy agent is collapsed."""

_MOST_SEEDS = 1000


@dataclass(frozen=True, slots=True)
class Margins:
    """The largest differences that do not matter.

    Attributes:
        mean: of the mean rewards, as a share of the scale.
        collapsed: of the shares of collapsed agents; .1 is ten points.
        scale: what a good reward is, in units of reward; by default the healthy mean, without its sign.
        scale_near_zero: the scale where none is set and the healthy mean is within two standard errors of zero.
    """

    mean: float = 0.05
    collapsed: float = 0.10
    scale: float | None = None
    scale_near_zero: float | None = None

    def __post_init__(self) -> None:
        for name in ("mean", "collapsed"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"{getattr(self, name)} is not a margin", name, "a share in (0, 1)")
        for name in ("scale", "scale_near_zero"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise InputError(f"{value} is not a scale of rewards", name, "a positive number")

    @property
    def survivable(self) -> float:
        """The largest difference of collapsed shares with which a mutant may survive.

        A collapse can cost an agent its whole reward, so a mean within the margin allows no more collapsed agents than
        that margin, even where none was seen.
        """
        return min(self.mean, self.collapsed)

    @property
    def fewest_agents(self) -> int:
        """The fewest agents per population with which a mutant can survive, which takes that none collapses."""
        return max(LEAST_AGENTS, fewest_without_collapse(self.survivable, EQUIVALENCE_LEVEL))


@dataclass(frozen=True, slots=True)
class MarginEvidence:
    """What two populations say about the margins; agents n (healthy) and m (mutant).

    Attributes:
        difference, low, high: of the means, mutant - healthy, with its 95 % interval, in units of reward.
        scale: in units of reward; None where the healthy mean is near zero and no scale is set.
        margin: of the mean, in units of reward; 0 without a scale.
        mean_within: equivalence of the means is shown.
        mean_slack: half the width of the 90 % interval, over the distance of the estimate from the margin; below 1
            where equivalence is shown, infinite where the estimate is beyond.
        collapsed_healthy, collapsed_mutant: numbers of agents.
        collapsed_low, collapsed_high: 95 % interval of the difference of their shares.
        collapse_within: no difference of the shares was seen, or it lies within the margin.
        collapse_excluded: more collapsed agents than a survivor may have are excluded, on either side.
        spread_ratio: standard deviation of the mutant over the healthy one; None where the healthy one is 0.
    """

    n: int
    m: int
    difference: float
    low: float
    high: float
    scale: float | None
    margin: float
    mean_within: bool
    mean_slack: float
    collapsed_healthy: int
    collapsed_mutant: int
    collapsed_low: float
    collapsed_high: float
    collapse_within: bool
    collapse_excluded: bool
    spread_ratio: float | None

    @property
    def equivalent(self) -> bool:
        """Equivalence within both margins is shown."""
        large = min(self.n, self.m) >= LEAST_AGENTS
        return large and self.scale is not None and self.mean_within and self.collapse_excluded

    @property
    def may_exceed(self) -> bool:
        """The mutant may lie beyond a margin by what was seen (agents that were not seen to collapse do not count)."""
        return not (self.mean_within and self.collapse_within)


def scale_of(healthy: Rewards, margins: Margins) -> float | None:
    """The scale set by the user, else the healthy mean, else (that is near zero) the scale for this case, if any."""
    if margins.scale is not None:
        return margins.scale
    return margins.scale_near_zero if _near_zero(healthy) else abs(float(np.mean(healthy)))


def is_share_of_mean(healthy: Rewards, margins: Margins) -> bool:
    """Whether the margin is a share of the healthy mean, and so as uncertain as that mean."""
    return margins.scale is None and not _near_zero(healthy)


def _near_zero(healthy: Rewards) -> bool:
    """Whether the mean is within two standard errors of zero."""
    error = float(np.std(healthy, ddof=1)) / math.sqrt(healthy.size)
    return abs(float(np.mean(healthy))) <= 2 * error


def collapse_limit(healthy: Rewards, scale: float | None) -> float:
    """Agents below are collapsed; minus infinity without a scale."""
    return -math.inf if scale is None else float(np.median(healthy)) - COLLAPSED_BELOW * scale


def examine(
    healthy: Rewards, mutant: Rewards, margins: Margins, paired: bool, level: float = EQUIVALENCE_LEVEL
) -> MarginEvidence:
    """Hold two populations of shapes (n,) and (m,), free of rounding noise, against the margins.

    `level` is that of each of the two one-sided tests.
    """
    n, m = healthy.size, mutant.size
    replicates = (paired_replicates if paired else independent_replicates)(healthy, mutant)
    low, high = replicates.interval(0.95)
    scale = scale_of(healthy, margins)
    limit = collapse_limit(healthy, scale)
    collapsed = int(np.count_nonzero(healthy < limit)), int(np.count_nonzero(mutant < limit))
    shares = share_interval(collapsed[0], n, collapsed[1], m, 0.95)
    alike = math.isclose(collapsed[0] / n, collapsed[1] / m)
    share_of_mean = is_share_of_mean(healthy, margins)
    margin = margins.mean * (scale or 0.0)
    slack = _mean_slack(replicates, margins.mean, None if share_of_mean else margin, level)
    deviation = float(np.std(healthy))
    return MarginEvidence(
        n=n,
        m=m,
        difference=mean_difference(healthy, mutant),
        low=low,
        high=high,
        scale=scale,
        margin=margin,
        mean_within=slack < 1,
        mean_slack=slack,
        collapsed_healthy=collapsed[0],
        collapsed_mutant=collapsed[1],
        collapsed_low=shares[0],
        collapsed_high=shares[1],
        collapse_within=alike or max(-shares[0], shares[1]) < margins.collapsed,
        collapse_excluded=_collapse_excluded(collapsed, n, m, margins.survivable, level),
        spread_ratio=float(np.std(mutant)) / deviation if deviation > 0 else None,
    )


def _mean_slack(replicates: MeanReplicates, share: float, margin: float | None, level: float) -> float:
    """The larger slack of the two one-sided tests; `margin` in units of reward, None for a share of the healthy mean.

    A margin that is a share of the healthy mean is as uncertain as that mean. So the tests are about
    mutant - (1 -+ share) x healthy, whose intervals know that.
    """
    confidence = 1 - 2 * level
    mean = replicates.healthy_mean
    slacks = []
    for side in (-1.0, 1.0):  # the lower and the upper end of the margin
        shift = side * share * math.copysign(1.0, mean) if margin is None else 0.0
        offset = 0.0 if margin is None else side * margin
        estimate = replicates.mutant_mean - (1 + shift) * mean - offset
        low, high = (end - offset for end in replicates.interval(confidence, 1 + shift))
        room, half = (estimate, estimate - low) if side < 0 else (-estimate, high - estimate)
        slacks.append(half / room if room > 0 else math.inf)
    return max(slacks)


def _collapse_excluded(collapsed: tuple[int, int], n: int, m: int, margin: float, level: float) -> bool:
    more = not_inferior_p(collapsed[0], n, collapsed[1], m, margin)
    fewer = not_inferior_p(collapsed[1], m, collapsed[0], n, margin)
    return max(more, fewer) <= level


def agents_for_equivalence(evidence: MarginEvidence, margins: Margins) -> int | None:
    """Agents per population with which equivalence would be shown if the estimates held; None beyond 1,000."""
    if evidence.scale is None or math.isinf(evidence.mean_slack):
        return None
    smaller = min(evidence.n, evidence.m)
    fewer, more = sorted((evidence.collapsed_healthy / evidence.n, evidence.collapsed_mutant / evidence.m))
    for_mean = smaller * evidence.mean_slack**2
    for_shares = agents_to_exclude(fewer, more, margins.survivable, EQUIVALENCE_LEVEL)
    least = margins.fewest_agents if evidence.equivalent else max(margins.fewest_agents, smaller + 1)
    needed = max(for_mean, for_shares, least)
    return math.ceil(needed) if needed <= _MOST_SEEDS else None
