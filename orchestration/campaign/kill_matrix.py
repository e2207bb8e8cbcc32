"""The kill matrix: mutants x test environments, by one kill test.

In every environment the mutants are compared with the healthy population *in that environment*, as published.
"""

from __future__ import annotations

from collections.abc import Sequence

from mutations.kill_matrix import KillMatrix
from mutations.killing.kill_test import better_is_killed
from mutations.killing.registry import kill_test
from mutations.mutant import Mutant
from mutations.score import mutation_score
from orchestration.campaign.context import RunContext
from orchestration.campaign.evaluate import evaluate_populations, rewards_at
from orchestration.campaign.judging import judge_family
from orchestration.campaign.result import MutantVerdict, Point, ScoreResult
from orchestration.campaign.spec.campaign import ResolvedCampaign
from orchestration.campaign.train import HEALTHY_MUTANT


def judge_everywhere(
    context: RunContext,
    campaign: ResolvedCampaign,
    mutants: Sequence[Mutant],
    places: dict[str, Sequence[Point]],
    phase: str,
) -> list[MutantVerdict]:
    """Verdicts of every test in its own environments, on one family of mutants.

    Args:
        places: kill test -> environments.
    """
    if not mutants:
        return []
    points = list(dict.fromkeys(point for chosen in places.values() for point in chosen))
    evaluate_populations(context, campaign, [HEALTHY_MUTANT, *mutants], points, phase)
    verdicts: list[MutantVerdict] = []
    for point in points:
        healthy = rewards_at(context, campaign, HEALTHY_MUTANT, point)
        rewards = {mutant.id: rewards_at(context, campaign, mutant, point) for mutant in mutants}
        for test in (name for name, chosen in places.items() if point in chosen):
            verdicts += judge_family(test, healthy, rewards, point, campaign.seeds, campaign.seed, campaign.repeats)
    order = {name: position for position, name in enumerate(places)}
    return sorted(verdicts, key=lambda entry: order[entry.verdict.test])


def matrix_of(verdicts: Sequence[MutantVerdict], test: str) -> KillMatrix:
    """One test's matrix, with mutants that are better counted as that test counts them."""
    placed = (entry for entry in verdicts if entry.verdict.test == test)
    return KillMatrix.from_verdicts(placed, better_is_killed(kill_test(test)))


def scores(verdicts: Sequence[MutantVerdict], tests: Sequence[str]) -> tuple[ScoreResult, ...]:
    """The mutation score of every test's environments, over the live first-order mutants."""
    found = []
    for test in tests:
        matrix = matrix_of(verdicts, test)
        if matrix.mutants:
            score = mutation_score(test, matrix)
            found.append(ScoreResult(**{name: getattr(score, name) for name in ScoreResult.__dataclass_fields__}))
    return tuple(found)
