"""The kill matrix: mutants x test environments, by every kill test.

In every environment the mutants are compared with the healthy population *in that environment*, as published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mutations.kill_matrix import KillMatrix
from mutations.killing.kill_test import better_is_killed
from mutations.killing.registry import kill_test
from orchestration.campaign.context import RunContext
from orchestration.campaign.population import Population
from orchestration.campaign.result import BoundaryReport, MutantVerdict, Point
from orchestration.campaign.steps.evaluation import evaluate_populations
from orchestration.campaign.steps.judging import judge_mutants
from orchestration.execution.work import grouped

JudgingEnvironments = Mapping[str, Sequence[Point]]
"""Kill test -> the environments in which it judges."""


def judging_environments(
    boundaries: Sequence[BoundaryReport], tests: Sequence[str], initial: Point
) -> dict[str, Sequence[Point]]:
    """The environments in which each test judges: those it found, else those of the first test that searched."""
    searched = {report.test: [environment.point for environment in report.environments] for report in boundaries}
    others = next(iter(searched.values()), [initial])
    return {test: searched.get(test, others) for test in tests}


def judge_everywhere(
    context: RunContext,
    healthy: Population,
    mutants: Sequence[Population],
    environments: JudgingEnvironments,
    phase: str,
) -> list[MutantVerdict]:
    """Verdicts of every test in its own environments, on several mutants; not corrected."""
    if not mutants:
        return []
    points = list(dict.fromkeys(point for chosen in environments.values() for point in chosen))
    evaluate_populations(context, [healthy, *mutants], points, phase)
    verdicts = [
        verdict
        for point in points
        for test in (name for name, chosen in environments.items() if point in chosen)
        for verdict in _judged(healthy, mutants, point, test)
    ]
    order = {name: position for position, name in enumerate(environments)}
    return sorted(verdicts, key=lambda entry: order[entry.verdict.test])


def _judged(healthy: Population, mutants: Sequence[Population], point: Point, test: str) -> list[MutantVerdict]:
    """Verdicts at one point by one test, mutants with the same number of agents together."""
    campaign, baseline = healthy.campaign, healthy.rewards_at(point)
    verdicts: dict[str, MutantVerdict] = {}
    for group in grouped(mutants, lambda mutant: len(mutant.agents)):
        rewards = {mutant.id: mutant.rewards_at(point) for mutant in group}
        judged = judge_mutants(
            test,
            baseline,
            rewards,
            point,
            campaign.seeds,
            campaign.seed,
            campaign.repeats,
            campaign.margins,
            campaign.looks,
            tuple(group[0].agents),
        )
        verdicts |= {entry.mutant: entry for entry in judged}
    return [verdicts[mutant.id] for mutant in mutants]


def matrix_of(verdicts: Sequence[MutantVerdict], test: str) -> KillMatrix:
    """One test's matrix, with mutants that are better counted as that test counts them."""
    placed = (entry for entry in verdicts if entry.verdict.test == test)
    return KillMatrix.from_verdicts(placed, better_is_killed(kill_test(test)))
