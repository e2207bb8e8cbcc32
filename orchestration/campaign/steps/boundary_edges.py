"""The edges that a boundary search by equivalence found, with their intervals, and what would settle the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from envsearch.boundary import SearchedSegment
from envsearch.boundary_answer import Probe
from mutations.killing.behaviour import BehaviourComparison
from mutations.killing.behaviour_edge import EdgeEstimate, edge_of_behaviour
from orchestration.campaign.population import Population, living
from orchestration.campaign.result import BoundaryEdge, Point


def edges_of(healthy: Population, segments: Sequence[SearchedSegment]) -> tuple[BoundaryEdge, ...]:
    """One edge per direction that the search followed."""
    return tuple(_edge(healthy, segment) for segment in segments)


def _edge(healthy: Population, segment: SearchedSegment) -> BoundaryEdge:
    estimate = _estimate(healthy, before_island(segment.answers))
    return BoundaryEdge(
        label=segment.label,
        kind=segment.kind,
        estimate=_place(segment, estimate.estimate),
        low=_place(segment, estimate.low),
        high=_place(segment, estimate.high),
        accepted_until=_on(segment, segment.accepted_until),
        rejected_from=_place(segment, segment.rejected_from),
    )


def before_island(answers: Sequence[tuple[float, Probe]]) -> list[tuple[float, Probe]]:
    """The answers up to the first accepted point beyond a rejected one; there the edge is no longer the nearest."""
    kept: list[tuple[float, Probe]] = []
    rejected = False
    for share, probe in answers:
        if rejected and probe.accepted:
            break
        rejected = rejected or probe.rejected
        kept.append((share, probe))
    return kept


def _estimate(healthy: Population, answers: Sequence[tuple[float, Probe]]) -> EdgeEstimate:
    """From the agents that could be evaluated at every point of the segment."""
    initial = living(healthy.rewards_at(healthy.campaign.initial_point))
    rows = [living(healthy.rewards_at(probe.point, "boundary")) for _, probe in answers]
    seeds = [seed for seed in initial if all(seed in row for row in rows)]
    if len(seeds) < 2 or not rows:
        return EdgeEstimate(None, None, None)
    return edge_of_behaviour(
        [share for share, _ in answers],
        np.array([initial[seed] for seed in seeds], dtype=np.float64),
        np.array([[row[seed] for seed in seeds] for row in rows], dtype=np.float64),
        healthy.campaign.margins,
    )


def _place(segment: SearchedSegment, share: float | None) -> Point | None:
    return None if share is None else _on(segment, share)


def _on(segment: SearchedSegment, share: float) -> Point:
    ends = zip(segment.initial, segment.limit, strict=True)
    return tuple((name, start + share * (end - start)) for (name, start), (_, end) in ends)


def advice(comparison: BehaviourComparison | None) -> str:
    """Continues a sentence: how many agents or which margin would show the same behaviour."""
    if comparison is None:
        return " (too many agents could not be evaluated there)"
    if comparison.reason:
        return f" ({comparison.reason})"
    ways = []
    if comparison.agents_needed is not None:
        ways.append(f"about {comparison.agents_needed} agents")
    if comparison.margin_needed is not None:
        ways.append(f"a margin above {comparison.margin_needed:.1%} of the reward")
    ways.append("more episodes")
    return f" ({', '.join(ways[:-1])} or {ways[-1]} would show it)" if len(ways) > 1 else ""
