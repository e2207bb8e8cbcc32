"""A campaign from spec to result: train - sanity - evaluate - boundary - kill matrix - higher order - score.

Every step asks the store first, so a campaign that was interrupted anywhere goes on where it was, and one that is
complete is told again without computing anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.deeprl.algorithms import algorithm_facts
from mutations.mutant import Mutant
from orchestration.campaign.boundary import search_boundary
from orchestration.campaign.comparison import compare_with_published
from orchestration.campaign.context import RunContext
from orchestration.campaign.evaluate import evaluate_populations, rewards_at
from orchestration.campaign.higher_order import chosen_mutants, properties
from orchestration.campaign.kill_matrix import judge_everywhere, scores
from orchestration.campaign.populations import population_result
from orchestration.campaign.provenance import provenance
from orchestration.campaign.result import (
    BoundaryReport,
    CampaignResult,
    HigherOrderResult,
    MutantVerdict,
    Point,
    PopulationResult,
    ScoreResult,
)
from orchestration.campaign.sanity import is_live, objection
from orchestration.campaign.spec.campaign import ResolvedCampaign
from orchestration.campaign.train import HEALTHY_MUTANT, interleaved, records_of, train


@dataclass
class Findings:
    """What a campaign has found so far.

    Attributes:
        trained: populations to report, in order.
        live: first-order mutants that differ from healthy agents.
        tests: kill tests that give outcomes, in the spec's order.
    """

    notes: list[str]
    trained: list[Mutant] = field(default_factory=list)
    live: list[Mutant] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)
    verdicts: list[MutantVerdict] = field(default_factory=list)
    boundaries: list[BoundaryReport] = field(default_factory=list)
    first_order: list[MutantVerdict] = field(default_factory=list)
    above: list[MutantVerdict] = field(default_factory=list)
    higher_order: list[HigherOrderResult] = field(default_factory=list)
    scores: tuple[ScoreResult, ...] = ()
    stop_reason: str = ""


def run_campaign(context: RunContext, campaign: ResolvedCampaign) -> CampaignResult:
    """Run a campaign to its end, or to the point where its verdicts would mean nothing (status ``stopped``)."""
    findings = Findings(list(campaign.notes))
    if train_healthy(context, campaign, findings):
        train_mutants(context, campaign, findings)
        judge_initially(context, campaign, findings)
        search_boundaries(context, campaign, findings)
        judge_first_order(context, campaign, findings)
        judge_higher_order(context, campaign, findings)
        findings.scores = scores(findings.first_order, findings.tests)
    return _result(context, campaign, findings)


def train_healthy(context: RunContext, campaign: ResolvedCampaign, findings: Findings) -> bool:
    """Train and evaluate the healthy population; whether the campaign may go on.

    The healthy agents come first, because a campaign whose healthy population is too weak should not pay for mutants;
    only where more cores are free than there are healthy agents do the mutants start at once.
    """
    everybody = [HEALTHY_MUTANT, *campaign.mutants]
    first = everybody if context.executor.slots > len(campaign.seeds) else [HEALTHY_MUTANT]
    train(context, interleaved(campaign, first), "train" if len(first) > 1 else "train healthy")
    evaluate_populations(context, campaign, [HEALTHY_MUTANT], [campaign.initial_point], "evaluate healthy")
    findings.trained = [HEALTHY_MUTANT]
    healthy = rewards_at(context, campaign, HEALTHY_MUTANT, campaign.initial_point)
    reason = objection(campaign, healthy)
    if reason is None:
        return True
    if healthy and campaign.sanity.on_failure == "warn":
        findings.notes.append(reason)
        return True
    findings.stop_reason = reason
    return False


def train_mutants(context: RunContext, campaign: ResolvedCampaign, findings: Findings) -> None:
    """Train and evaluate the first-order mutants and keep those that are live."""
    train(context, interleaved(campaign, campaign.mutants), "train mutants")
    evaluate_populations(context, campaign, campaign.mutants, [campaign.initial_point], "evaluate mutants")
    findings.trained += campaign.mutants
    findings.live = live_mutants(context, campaign, campaign.mutants, findings)


def live_mutants(
    context: RunContext, campaign: ResolvedCampaign, mutants: Sequence[Mutant], findings: Findings
) -> list[Mutant]:
    """Those that differ from the same-seed healthy agents; the others get no verdict, and a note."""
    healthy = records_of(context, campaign, HEALTHY_MUTANT)
    live = []
    for mutant in mutants:
        if is_live(healthy, records_of(context, campaign, mutant)):
            live.append(mutant)
        else:
            findings.notes.append(
                f"{mutant.id} is not live: all its agents equal the healthy agents of the same seeds bit for bit; "
                "it gets no verdict and does not count in the score."
            )
    return live


def judge_initially(context: RunContext, campaign: ResolvedCampaign, findings: Findings) -> None:
    """Verdicts of every test in the initial environment."""
    places: dict[str, Sequence[Point]] = {test: [campaign.initial_point] for test in campaign.kill_tests}
    findings.verdicts = judge_everywhere(context, campaign, findings.live, places, "judge mutants")
    silent = {entry.verdict.test for entry in findings.verdicts if entry.verdict.outcome is None}
    findings.tests = [test for test in campaign.kill_tests if test not in silent]


def search_boundaries(context: RunContext, campaign: ResolvedCampaign, findings: Findings) -> None:
    """The boundary search by every test that searches."""
    for test in campaign.boundary.tests:
        findings.boundaries.append(search_boundary(context, campaign, test))


def places_of(campaign: ResolvedCampaign, findings: Findings) -> dict[str, Sequence[Point]]:
    """The environments in which each test judges: those it found, else those of the first test that searched."""
    found = {report.test: [environment.point for environment in report.environments] for report in findings.boundaries}
    others = next(iter(found.values()), [campaign.initial_point])
    return {test: found.get(test, others) for test in findings.tests}


def judge_first_order(context: RunContext, campaign: ResolvedCampaign, findings: Findings) -> None:
    """The kill matrix of the live first-order mutants."""
    places = places_of(campaign, findings)
    findings.first_order = judge_everywhere(context, campaign, findings.live, places, "kill matrix")


def judge_higher_order(context: RunContext, campaign: ResolvedCampaign, findings: Findings) -> None:
    """Choose, train and judge the higher-order mutants through the same path; they are a family of their own."""
    mutants, notes = chosen_mutants(campaign, findings.first_order, findings.tests)
    findings.notes += notes
    if not mutants:
        if campaign.higher_order.enabled:
            findings.notes.append("No higher-order mutants: no two are killed by some but not all environments.")
        return
    train(context, interleaved(campaign, mutants), "train higher order")
    evaluate_populations(context, campaign, mutants, [campaign.initial_point], "evaluate higher order")
    findings.trained += mutants
    live = live_mutants(context, campaign, mutants, findings)
    places = places_of(campaign, findings)
    findings.above = judge_everywhere(context, campaign, live, places, "kill matrix, higher order")
    initial: dict[str, Sequence[Point]] = {test: [campaign.initial_point] for test in campaign.kill_tests}
    findings.verdicts += judge_everywhere(context, campaign, live, initial, "judge higher order")
    findings.higher_order = properties(live, findings.first_order, findings.above, findings.tests)


def _result(context: RunContext, campaign: ResolvedCampaign, findings: Findings) -> CampaignResult:
    healthy = records_of(context, campaign, HEALTHY_MUTANT)
    populations = [population_result(context, campaign, mutant, healthy) for mutant in findings.trained]
    environment, algorithm = campaign.healthy.environment.name, algorithm_facts(campaign.healthy.algorithm).name
    return CampaignResult(
        run_id=campaign.run_id,
        name=campaign.name,
        spec=campaign.canonical(),
        status="stopped" if findings.stop_reason else "complete",
        stop_reason=findings.stop_reason,
        notes=(*findings.notes, *_failure_notes(campaign, populations)),
        environment=environment,
        algorithm=algorithm,
        parameters=tuple(parameter.name for parameter in campaign.boundary.parameters),
        threshold=campaign.sanity.threshold,
        populations=tuple(populations),
        verdicts=tuple(findings.verdicts),
        boundaries=tuple(findings.boundaries),
        kill_matrix=(*findings.first_order, *findings.above),
        higher_order=tuple(findings.higher_order),
        scores=findings.scores,
        published=_published(environment, algorithm, findings.verdicts, populations),
        provenance=provenance(context, campaign, populations),
    )


def _failure_notes(campaign: ResolvedCampaign, populations: Sequence[PopulationResult]) -> list[str]:
    return [
        f"{found.mutant}: {len(found.failed)} of {len(campaign.seeds)} agents failed (seed {found.failed[0][0]}: "
        f"{found.failed[0][1]}); their seeds are left out on both sides."
        for found in populations
        if found.failed
    ]


def _published(
    environment: str, algorithm: str, verdicts: Sequence[MutantVerdict], populations: Sequence[PopulationResult]
) -> tuple[dict[str, Any], ...]:
    return tuple(compare_with_published(environment, algorithm, verdicts, populations))
