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
    campaign = healthy.campaign
    verdicts: list[MutantVerdict] = []
    for point in points:
        baseline = healthy.rewards_at(point)
        rewards = {mutant.id: mutant.rewards_at(point) for mutant in mutants}
        for test in (name for name, chosen in environments.items() if point in chosen):
            verdicts += judge_mutants(
                test,
                baseline,
                rewards,
                point,
                campaign.seeds,
                campaign.seed,
                campaign.repeats,
                campaign.margins,
            )
    order = {name: position for position, name in enumerate(environments)}
    return sorted(verdicts, key=lambda entry: order[entry.verdict.test])


def matrix_of(verdicts: Sequence[MutantVerdict], test: str) -> KillMatrix:
    """One test's matrix, with mutants that are better counted as that test counts them."""
    placed = (entry for entry in verdicts if entry.verdict.test == test)
    return KillMatrix.from_verdicts(placed, better_is_killed(kill_test(test)))
