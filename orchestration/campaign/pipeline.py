"""A campaign from spec to result: train - sanity - evaluate - boundary - kill matrix - higher order - correct -
magnitudes - score.

Every step asks the store first. A campaign that was interrupted anywhere goes on where it was, and a complete one is
read back without computing anything.
"""

from __future__ import annotations

from collections.abc import Sequence

from agents.deeprl.algorithms import algorithm_facts
from orchestration.campaign.context import RunContext
from orchestration.campaign.findings import Findings
from orchestration.campaign.population import Population, Populations
from orchestration.campaign.result import CampaignResult, Point, PopulationResult
from orchestration.campaign.spec.campaign import ResolvedCampaign
from orchestration.campaign.steps import sanity
from orchestration.campaign.steps.boundary import search_boundary
from orchestration.campaign.steps.comparison import compare_with_published
from orchestration.campaign.steps.correction import correct_report, corrected
from orchestration.campaign.steps.evaluation import evaluate_populations
from orchestration.campaign.steps.higher_order import chosen_mutants, properties
from orchestration.campaign.steps.kill_matrix import judge_everywhere, judging_environments
from orchestration.campaign.steps.magnitude_curves import left_out, magnitude_curves
from orchestration.campaign.steps.population_summary import population_result
from orchestration.campaign.steps.provenance import provenance
from orchestration.campaign.steps.score import scores
from orchestration.campaign.steps.sequential_training import reopened, saving, train_in_looks
from orchestration.campaign.steps.training import train_populations


def run_steps(context: RunContext, populations: Populations) -> CampaignResult:
    """Run a campaign to its end, or to the point where its verdicts would mean nothing (status ``stopped``)."""
    findings = Findings(populations, list(populations.campaign.notes))
    if train_healthy(context, findings):
        train_mutants(context, findings)
        judge_initially(context, findings)
        search_boundaries(context, findings)
        judge_first_order(context, findings)
        judge_higher_order(context, findings)
        conclude(findings)
        sweep_magnitudes(context, findings)
        findings.scores = scores(findings)
    return _result(context, findings)


def train_healthy(context: RunContext, findings: Findings) -> bool:
    """Train and evaluate the healthy population; whether the campaign may go on.

    The healthy agents come first, because a campaign whose healthy population is too weak should not pay for mutants.
    The mutants start at once only where more cores are free than there are healthy agents.
    """
    campaign, healthy, mutants = findings.campaign, findings.populations.healthy, findings.populations.first_order
    if campaign.looks is not None:
        mutants = [mutant.first(campaign.looks.agents[0]) for mutant in mutants]
    first = [healthy, *mutants] if context.executor.slots > len(campaign.seeds) else [healthy]
    train_populations(context, first, "train" if len(first) > 1 else "train healthy")
    evaluate_populations(context, [healthy], [campaign.initial_point], "evaluate healthy")
    findings.trained = [healthy]
    rewards = healthy.rewards_at(campaign.initial_point)
    reason = sanity.objection(campaign, rewards)
    if reason is None:
        return True
    if rewards and campaign.sanity.on_failure == "warn":
        findings.notes.append(reason)
        return True
    findings.stop_reason = reason
    return False


def train_mutants(context: RunContext, findings: Findings) -> None:
    """Train and evaluate the first-order mutants and keep those that are live."""
    mutants = _trained(context, findings, findings.populations.first_order, "mutants")
    findings.trained += mutants
    keep_live(findings, mutants)


def keep_live(findings: Findings, mutants: Sequence[Population]) -> None:
    """Note the first-order mutants that are not live or have the agents of another mutant; the others go on."""
    findings.live, findings.same_agents, notes = sanity.counted_mutants(findings.populations.healthy, mutants)
    findings.notes += notes


def _trained(context: RunContext, findings: Findings, mutants: list[Population], name: str) -> list[Population]:
    """Mutants after training and evaluation, with the agents that they have: all, or as many as were needed."""
    campaign = findings.campaign
    if campaign.looks is not None:
        return train_in_looks(context, findings.populations.healthy, mutants, campaign.looks, name)
    train_populations(context, mutants, f"train {name}")
    evaluate_populations(context, mutants, [campaign.initial_point], f"evaluate {name}")
    return mutants


def judge_initially(context: RunContext, findings: Findings) -> None:
    """Verdicts of every test in the initial environment."""
    healthy, environments = findings.populations.healthy, _initial_environment(findings.campaign)
    findings.verdicts = judge_everywhere(context, healthy, findings.live, environments, "judge mutants")
    without_outcome = {entry.verdict.test for entry in findings.verdicts if entry.verdict.outcome is None}
    findings.tests = [test for test in findings.campaign.kill_tests if test not in without_outcome]


def search_boundaries(context: RunContext, findings: Findings) -> None:
    """The boundary search by every test that searches."""
    for test in findings.campaign.boundary.tests:
        findings.boundaries.append(search_boundary(context, findings.populations.healthy, test))


def environments_of(findings: Findings) -> dict[str, Sequence[Point]]:
    """The environments in which each test judges, now that the boundaries have been searched."""
    return judging_environments(findings.boundaries, findings.tests, findings.campaign.initial_point)


def judge_first_order(context: RunContext, findings: Findings) -> None:
    """The kill matrix of the live first-order mutants, before correction."""
    healthy, environments = findings.populations.healthy, environments_of(findings)
    findings.first_order = judge_everywhere(context, healthy, findings.live, environments, "kill matrix")


def judge_higher_order(context: RunContext, findings: Findings) -> None:
    """Choose, train and judge the higher-order mutants through the same path.

    Candidates are chosen by the first-order matrix, corrected as a family of its own: the others do not exist yet.
    """
    campaign, healthy = findings.campaign, findings.populations.healthy
    first_order = corrected(findings.first_order, campaign.error_control)
    mutants, notes = chosen_mutants(findings.populations, first_order, findings.tests)
    findings.notes += notes
    if not mutants:
        if campaign.higher_order.enabled:
            findings.notes.append("No higher-order mutants: no two are killed by some but not all environments.")
        return
    mutants = _trained(context, findings, mutants, "higher order")
    findings.trained += mutants
    live, same_agents, notes = sanity.counted_mutants(healthy, mutants, findings.live)
    findings.same_agents |= same_agents
    findings.notes += notes
    environments, initial = environments_of(findings), _initial_environment(campaign)
    findings.above_first_order = judge_everywhere(context, healthy, live, environments, "kill matrix, higher order")
    findings.verdicts += judge_everywhere(context, healthy, live, initial, "judge higher order")


def conclude(findings: Findings) -> None:
    """Correct every verdict of the report together; properties of higher-order mutants follow from that."""
    correct_report(findings)
    looks = findings.campaign.looks
    if looks is not None:
        trained = findings.trained[1:]
        findings.notes += [saving(looks, trained), *reopened(looks, trained, findings.verdicts)]
    mutants = [population.mutant for population in findings.trained if population.mutant.order > 1]
    matrices = (findings.first_order, findings.above_first_order)
    findings.higher_order = properties(mutants, *matrices, findings.tests, findings.same_agents)


def sweep_magnitudes(context: RunContext, findings: Findings) -> None:
    """Train and evaluate the mutants of the sweeps that are not there yet, judge them, and fit the curves.

    A curve needs all agents, also those of a first-order mutant whose training had stopped at a look.
    """
    campaign, populations = findings.campaign, findings.populations
    healthy, swept = populations.healthy, populations.swept
    if not campaign.sweeps:
        return
    train_populations(context, populations.in_sweeps, "train magnitudes")
    evaluate_populations(context, populations.in_sweeps, [campaign.initial_point], "evaluate magnitudes")
    findings.trained += swept
    live, same_agents, notes = sanity.counted_mutants(healthy, swept, findings.live)
    findings.same_agents |= same_agents
    findings.notes += [*notes, *left_out(populations)]
    verdicts = judge_everywhere(context, healthy, live, _initial_environment(campaign), "judge magnitudes")
    verdicts = corrected(verdicts, campaign.error_control)
    judged = sanity.with_same_agents([*findings.verdicts, *verdicts], findings.same_agents)
    findings.curves = magnitude_curves(populations, judged)


def _initial_environment(campaign: ResolvedCampaign) -> dict[str, Sequence[Point]]:
    return {test: [campaign.initial_point] for test in campaign.kill_tests}


def _result(context: RunContext, findings: Findings) -> CampaignResult:
    campaign, healthy = findings.campaign, findings.populations.healthy.records()
    populations = [
        population_result(context, population, healthy, findings.same_agents) for population in findings.trained
    ]
    swept = {population.id for population in findings.populations.swept}
    counted = [population for population in populations if population.mutant not in swept]
    environment, algorithm = campaign.healthy.environment.name, algorithm_facts(campaign.healthy.algorithm).name
    return CampaignResult(
        run_id=campaign.run_id,
        name=campaign.name,
        spec=campaign.canonical(),
        status="stopped" if findings.stop_reason else "complete",
        stop_reason=findings.stop_reason,
        notes=(*findings.notes, *_failure_notes(populations)),
        environment=environment,
        algorithm=algorithm,
        parameters=tuple(parameter.name for parameter in campaign.boundary.parameters),
        threshold=campaign.sanity.threshold,
        populations=tuple(populations),
        verdicts=tuple(findings.verdicts),
        boundaries=tuple(findings.boundaries),
        kill_matrix=(*findings.first_order, *findings.above_first_order),
        higher_order=tuple(findings.higher_order),
        scores=findings.scores,
        published=compare_with_published(environment, algorithm, findings.verdicts, counted),
        provenance=provenance(context, campaign, populations),
        error_control=findings.error_control,
        magnitude_curves=tuple(findings.curves),
    )


def _failure_notes(populations: Sequence[PopulationResult]) -> list[str]:
    return [
        f"{population.mutant}: the jobs of {len(population.failed)} of {_planned(population)} agents failed (seed "
        f"{population.failed[0][0]}: {population.failed[0][1]}). These agents are missing; tests of pairs leave "
        "their seeds out on both sides."
        for population in populations
        if population.failed
    ] + [
        f"{population.mutant}: {len(population.dead)} of {_planned(population)} agents are dead (first seed "
        f"{population.dead[0]}): their weights or rewards are not finite. They count as the worst agents there are."
        for population in populations
        if population.dead
    ]


def _planned(population: PopulationResult) -> int:
    return len(population.seeds) + len(population.failed) + len(population.dead)
