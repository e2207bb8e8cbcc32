"""The boundary search on the healthy population: up to where do healthy agents behave as in training?

At each point the healthy agents are compared with themselves in the initial environment, paired by agent
(`mutations.killing.behaviour` states the estimand). Only points where the same behaviour is shown become test
environments. The search runs its own episodes. Their seeds differ from those of the initial evaluation, so that its
first question (are the agents shown to be equivalent to themselves?) can fail. They differ from those of the kill
matrix too, so that no environment is judged by the episodes that chose it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from envsearch.boundary import BoundaryResult, BoundarySearch
from envsearch.boundary_answer import Answer, Behaviour
from mutations.killing.behaviour import BehaviourComparison, compare_behaviour
from mutations.killing.kill_test import Outcome
from orchestration.campaign.context import RunContext
from orchestration.campaign.population import Population, living, mean_of_living
from orchestration.campaign.result import EQUIVALENCE, BoundaryEnvironment, BoundaryProbe, BoundaryReport, Point
from orchestration.campaign.steps.boundary_by_test import search_by_test
from orchestration.campaign.steps.boundary_edges import advice, edges_of
from orchestration.campaign.steps.evaluation import evaluate_populations
from orchestration.campaign.steps.judging import LEAST_SHARE

OUTCOMES = {
    Behaviour.ACCEPTED: Outcome.SURVIVED,
    Behaviour.UNKNOWN: Outcome.INCONCLUSIVE,
    Behaviour.REJECTED: Outcome.KILLED,
}

Comparisons = dict[Point, BehaviourComparison | None]
"""Of every point evaluated; None where too few agents could be evaluated, or the rewards of one were not finite."""


def search_boundary(context: RunContext, healthy: Population, test: str) -> BoundaryReport:
    """The search by equivalence, or by a kill test under the published rule."""
    if test == EQUIVALENCE:
        return search_by_equivalence(context, healthy)
    return search_by_test(context, healthy, test)


def search_by_equivalence(context: RunContext, healthy: Population) -> BoundaryReport:
    """Compare the healthy agents with themselves on other episodes; search if they are shown to be equivalent."""
    plan, start = healthy.campaign.boundary, healthy.campaign.initial_point
    comparisons: Comparisons = {}
    with context.as_one_phase(f"boundary by {EQUIVALENCE}"):
        _compare_at(context, healthy, [start], comparisons)
        own = comparisons[start]
        if own is None or own.behaviour is not Behaviour.ACCEPTED:
            return _not_searched(healthy, comparisons)
        search = BoundarySearch(plan.parameters, plan.batch, False, plan.scaling, plan.scan)
        while points := search.ask():
            _compare_at(context, healthy, points, comparisons)
            for point in points:
                search.tell(point, _answer(comparisons[point]))
    return _report(healthy, search.result(), comparisons)


def _compare_at(context: RunContext, healthy: Population, points: Sequence[Point], comparisons: Comparisons) -> None:
    campaign = healthy.campaign
    evaluate_populations(context, [healthy], points, f"boundary by {EQUIVALENCE}", "boundary")
    initial = living(healthy.rewards_at(campaign.initial_point))
    for point in points:
        moved = healthy.rewards_at(point, "boundary")
        seeds = [seed for seed in initial if seed in moved]
        comparisons[point] = None
        enough = len(seeds) >= max(2.0, LEAST_SHARE * len(campaign.seeds))
        if enough and all(math.isfinite(moved[seed]) for seed in seeds):
            first, second = (np.array([side[seed] for seed in seeds]) for side in (initial, moved))
            comparisons[point] = compare_behaviour(first, second, campaign.margins)


def _answer(comparison: BehaviourComparison | None) -> Answer:
    return Answer(False, Behaviour.UNKNOWN) if comparison is None else comparison.answer


def _probes(healthy: Population, comparisons: Comparisons) -> tuple[BoundaryProbe, ...]:
    return tuple(_probe(healthy, point, comparison) for point, comparison in comparisons.items())


def _probe(healthy: Population, point: Point, comparison: BehaviourComparison | None) -> BoundaryProbe:
    mean = mean_of_living(healthy.rewards_at(point, "boundary"))
    if comparison is None:
        return BoundaryProbe(point, Outcome.INCONCLUSIVE, mean)
    return BoundaryProbe(
        point=point,
        outcome=OUTCOMES[comparison.behaviour],
        healthy_mean=mean,
        difference=comparison.difference,
        low=comparison.low,
        high=comparison.high,
        newly_collapsed=comparison.newly_collapsed,
    )


def _not_searched(healthy: Population, comparisons: Comparisons) -> BoundaryReport:
    start = healthy.campaign.initial_point
    own = comparisons[start]
    warning = (
        "The healthy agents, evaluated again in the initial environment on other episodes, are not shown to be "
        f"equivalent to themselves{advice(own)}. Nothing was searched, and only the initial environment is judged."
    )
    initial = BoundaryEnvironment("initial", start)
    return BoundaryReport(
        EQUIVALENCE, (initial,), _probes(healthy, comparisons), (warning,), margin=own.margin if own else None
    )


def _report(healthy: Population, result: BoundaryResult, comparisons: Comparisons) -> BoundaryReport:
    start = healthy.campaign.initial_point
    own = comparisons[start]
    return BoundaryReport(
        test=EQUIVALENCE,
        environments=tuple(BoundaryEnvironment(place.kind, place.point) for place in result.environments),
        probes=_probes(healthy, comparisons),
        warnings=(*result.warnings, *_doubts(result, comparisons)),
        edges=edges_of(healthy, result.segments),
        margin=own.margin if own else None,
    )


def _doubts(result: BoundaryResult, comparisons: Comparisons) -> list[str]:
    """What would show equivalence where no point of a direction is accepted, and how many points stay unknown."""
    doubts = []
    for segment in result.segments:
        inside = [probe.point for _, probe in segment.answers if probe.answer.within]
        if segment.accepted_until == 0 and inside:
            doubts.append(
                f"{segment.label}: nothing beyond the initial point is added{advice(comparisons[inside[0]])}."
            )
    unknown = sum(_answer(comparison).behaviour is Behaviour.UNKNOWN for comparison in comparisons.values())
    if unknown:
        doubts.append(
            f"{unknown} of {len(comparisons)} points are unknown: neither the same behaviour nor a difference beyond "
            "the margin is shown there. None of them is a test environment."
        )
    return doubts
