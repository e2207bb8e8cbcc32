"""The boundary search by a kill test, as published: the compatibility mode.

The published rule compares the healthy agents at a point with themselves in the initial environment by the kill test
that judges mutants. What is inconclusive counts as accepted, and the search shares its episodes with the kill matrix.
So its edge says where a difference can be detected with these agents, and not where behaviour changes: it moves inwards
as agents are added. It is kept to reproduce published boundaries.
"""

from __future__ import annotations

from envsearch.boundary import BoundaryResult, BoundarySearch
from mutations.killing.kill_test import KillVerdict, Outcome
from mutations.killing.registry import kill_test
from orchestration.campaign.context import RunContext
from orchestration.campaign.population import Population, Rewards, mean_of_living
from orchestration.campaign.result import BoundaryEnvironment, BoundaryProbe, BoundaryReport, Point
from orchestration.campaign.steps.evaluation import evaluate_populations
from orchestration.campaign.steps.judging import compare, comparison_seed


def search_by_test(context: RunContext, healthy: Population, test: str) -> BoundaryReport:
    """Search with one kill test; inconclusive answers are counted in the warnings.

    At each point the healthy agents' rewards are compared with their own in the initial environment, paired by seed.
    All points of one round are evaluated at once.
    """
    plan = healthy.campaign.boundary
    search = BoundarySearch(plan.parameters, plan.batch, scaling=plan.scaling, scan=1)
    with context.as_one_phase(f"boundary by {test}"):
        probes = _search(context, healthy, test, search)
    doubts = _doubts(probes)
    if search.initial_rejected:
        doubts.append(
            f"{test} finds a difference between the healthy agents and themselves in the initial environment: "
            "nothing was searched."
        )
        initial = BoundaryEnvironment("initial", healthy.campaign.initial_point)
        return BoundaryReport(test, (initial,), tuple(probes), tuple(doubts))
    return _report(test, search.result(), probes, doubts)


def _search(context: RunContext, healthy: Population, test: str, search: BoundarySearch) -> list[BoundaryProbe]:
    """Evaluate and judge the points that the search asks for until it is done; its probes in order."""
    initial = healthy.rewards_at(healthy.campaign.initial_point)
    probes: list[BoundaryProbe] = []
    while points := search.ask():
        evaluate_populations(context, [healthy], points, f"boundary by {test}")
        for point in points:
            rewards = healthy.rewards_at(point)
            verdict = _compare(healthy, test, initial, rewards, point)
            search.tell(point, verdict.outcome is not Outcome.KILLED)
            probes.append(_probe(point, verdict, rewards))
    return probes


def _compare(healthy: Population, test: str, initial: Rewards, moved: Rewards, point: Point) -> KillVerdict:
    campaign = healthy.campaign
    seed = comparison_seed(campaign.seed, healthy.id, point, test)
    chosen = kill_test(test, margins=campaign.margins)
    return compare(chosen, initial, moved, campaign.seeds, seed, campaign.repeats)


def _probe(point: Point, verdict: KillVerdict, rewards: Rewards) -> BoundaryProbe:
    return BoundaryProbe(point, verdict.outcome or Outcome.INCONCLUSIVE, mean_of_living(rewards))


def _doubts(probes: list[BoundaryProbe]) -> list[str]:
    unsure = [probe for probe in probes if probe.outcome is Outcome.INCONCLUSIVE]
    if not unsure:
        return []
    return [f"{len(unsure)} of {len(probes)} answers were inconclusive and counted as accepted, by the published rule."]


def _report(test: str, result: BoundaryResult, probes: list[BoundaryProbe], doubts: list[str]) -> BoundaryReport:
    environments = tuple(BoundaryEnvironment(place.kind, place.point) for place in result.environments)
    return BoundaryReport(test, environments, tuple(probes), (*result.warnings, *doubts))
