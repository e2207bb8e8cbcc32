"""The boundary search on the healthy population: where do healthy agents stop to behave as in training?"""

from __future__ import annotations

from envsearch.boundary import BoundaryResult, BoundarySearch
from mutations.killing.kill_test import KillVerdict, Outcome
from mutations.killing.registry import kill_test
from mutations.mutant import HEALTHY
from orchestration.campaign.context import RunContext
from orchestration.campaign.evaluate import Rewards, evaluate_populations, rewards_at
from orchestration.campaign.judging import compare, comparison_seed
from orchestration.campaign.result import BoundaryEnvironment, BoundaryProbe, BoundaryReport, Point
from orchestration.campaign.spec.campaign import ResolvedCampaign
from orchestration.campaign.train import HEALTHY_MUTANT


def search_boundary(context: RunContext, campaign: ResolvedCampaign, test: str) -> BoundaryReport:
    """Search with one kill test.

    At each point the healthy agents' rewards are compared with their own in the initial environment, paired by seed.
    Killed = the behaviour differs; survived and inconclusive count as accepted, as in the published search, and an
    inconclusive answer is told in the warnings. Every point asked in one round is evaluated at once.
    """
    plan = campaign.boundary
    search = BoundarySearch(plan.parameters, plan.batch, scaling=plan.scaling)
    with context.together(f"boundary by {test}"):
        probes = _search(context, campaign, test, search)
    doubts = _doubts(probes)
    if search.initial_rejected:
        doubts.append(f"{test} tells the healthy agents from themselves in the initial environment: nothing searched.")
        return BoundaryReport(test, (_initial(campaign),), tuple(probes), tuple(doubts))
    return _report(test, search.result(), probes, doubts)


def _search(context: RunContext, campaign: ResolvedCampaign, test: str, search: BoundarySearch) -> list[BoundaryProbe]:
    """Ask and tell until the search is done; its answers in order."""
    initial = rewards_at(context, campaign, HEALTHY_MUTANT, campaign.initial_point)
    probes: list[BoundaryProbe] = []
    while points := search.ask():
        evaluate_populations(context, campaign, [HEALTHY_MUTANT], points, f"boundary by {test}")
        for point in points:
            rewards = rewards_at(context, campaign, HEALTHY_MUTANT, point)
            verdict = _compare(campaign, test, initial, rewards, point)
            search.tell(point, verdict.outcome is not Outcome.KILLED)
            probes.append(_probe(point, verdict, rewards))
    return probes


def _compare(campaign: ResolvedCampaign, test: str, initial: Rewards, there: Rewards, point: Point) -> KillVerdict:
    seed = comparison_seed(campaign.seed, HEALTHY, point, test)
    return compare(kill_test(test), initial, there, campaign.seeds, seed, campaign.repeats)


def _probe(point: Point, verdict: KillVerdict, rewards: Rewards) -> BoundaryProbe:
    mean = sum(rewards.values()) / len(rewards) if rewards else 0.0
    return BoundaryProbe(point, verdict.outcome or Outcome.INCONCLUSIVE, mean)


def _doubts(probes: list[BoundaryProbe]) -> list[str]:
    unsure = [probe for probe in probes if probe.outcome is Outcome.INCONCLUSIVE]
    if not unsure:
        return []
    return [f"{len(unsure)} of {len(probes)} answers were inconclusive and counted as accepted."]


def _initial(campaign: ResolvedCampaign) -> BoundaryEnvironment:
    return BoundaryEnvironment("initial", campaign.initial_point)


def _report(test: str, found: BoundaryResult, probes: list[BoundaryProbe], doubts: list[str]) -> BoundaryReport:
    environments = tuple(BoundaryEnvironment(place.kind, place.point) for place in found.environments)
    return BoundaryReport(test, environments, tuple(probes), (*found.warnings, *doubts))
