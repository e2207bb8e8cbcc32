"""What follows from a campaign's result: which test decides, which mutants are dead, labels of environments, counts.

Report, tables and terminal summary only show it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from envsearch.errors import InputError
from mutations.killing.kill_test import Direction, KillVerdict, Outcome, better_is_killed, killed_but_better
from mutations.mutant import HEALTHY
from orchestration.campaign.result import (
    BoundaryEdge,
    BoundaryReport,
    CampaignResult,
    HigherOrderResult,
    MutantVerdict,
    Point,
    PopulationResult,
    ScoreResult,
)

COMPATIBILITY_TESTS = ("average_ratio", "reward_distribution", "distance_distribution")
"""Tests that reproduce published verdicts; the test that decides is preferably another one."""


@dataclass(frozen=True, slots=True)
class LabelledEnvironment:
    """A test environment and the short name it has on the page (``E0`` is the initial one)."""

    label: str
    kind: str
    point: Point


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """The names without repeats, in order of first appearance."""
    return tuple(dict.fromkeys(names))


def healthy_of(result: CampaignResult) -> PopulationResult | None:
    """The healthy population, if the campaign got that far."""
    return next((population for population in result.populations if population.mutant == HEALTHY), None)


def mutant_populations(result: CampaignResult) -> tuple[PopulationResult, ...]:
    """All populations except the healthy one: first order before higher order, otherwise as planned."""
    mutants = [population for population in result.populations if population.mutant != HEALTHY]
    return tuple(sorted(mutants, key=lambda population: population.order))


def dead_mutants(result: CampaignResult) -> tuple[str, ...]:
    """Mutants that are not live: all their agents have the weights of the healthy agents of the same seeds."""
    healthy = healthy_of(result)
    known = set(healthy.seeds) if healthy else set()
    return tuple(
        population.mutant
        for population in mutant_populations(result)
        if (compared := known & set(population.seeds)) and compared <= set(population.identical_seeds)
    )


def merged_mutants(result: CampaignResult) -> dict[str, str]:
    """Mutants that are not counted -> the mutant whose agents they have, bit for bit."""
    return {
        population.mutant: population.same_agents_as for population in result.populations if population.same_agents_as
    }


def kill_test_names(result: CampaignResult) -> tuple[str, ...]:
    """Every kill test of the campaign, in the order of its verdicts; the campaign's own tests come first."""
    names = unique(
        [
            *(entry.verdict.test for entry in result.verdicts),
            *(report.test for report in result.boundaries if report.by_kill_test),
            *(entry.verdict.test for entry in result.kill_matrix),
            *(score.test for score in result.scores),
            *(row.test for row in result.higher_order),
        ]
    )
    return tuple(sorted(names, key=lambda name: name in COMPATIBILITY_TESTS))


def primary_test(result: CampaignResult) -> str | None:
    """The test that heads the report: the first that gives outcomes, the campaign's own before the published."""
    deciding = {entry.verdict.test for entry in result.verdicts if entry.verdict.outcome is not None}
    return next((name for name in kill_test_names(result) if name in deciding), None)


def verdicts_of(result: CampaignResult, test: str) -> tuple[MutantVerdict, ...]:
    """The verdicts of one test in the initial environment, in order."""
    return tuple(entry for entry in result.verdicts if entry.verdict.test == test)


def initial_outcomes(result: CampaignResult) -> dict[str, Outcome | Direction]:
    """Mutant -> outcome by the heading test in the initial environment.

    Higher-order mutants have theirs from the kill matrix, swept ones from their curve. A mutant that is better, by a
    test that does not count this as a kill, has that direction.
    """
    test = primary_test(result)
    start = next(
        (environment.point for environment in label_environments(result) if environment.kind == "initial"), None
    )
    matrix = [entry for entry in result.kill_matrix if entry.environment == start]
    points = [point for curve in result.magnitude_curves for point in curve.points]
    swept = [(point.mutant, verdict) for point in points for verdict in point.verdicts]
    judged = [*swept, *((entry.mutant, entry.verdict) for entry in (*matrix, *result.verdicts))]
    outcomes = {
        mutant: Direction.BETTER if is_better_apart(verdict) else verdict.outcome
        for mutant, verdict in judged
        if verdict.test == test and verdict.outcome is not None
    }
    merged = merged_mutants(result).items()
    return outcomes | {mutant: outcomes[counted] for mutant, counted in merged if counted in outcomes}


def score_of(result: CampaignResult, test: str) -> ScoreResult | None:
    """The mutation score by one test."""
    return next((score for score in result.scores if score.test == test), None)


def moved_parameters(report: BoundaryReport, edge: BoundaryEdge) -> tuple[str, ...]:
    """The parameters that a direction moves: one along an axis, two towards a corner."""
    sides = [side.rsplit(" ", 1)[0] for side in edge.label.split(", ")]
    names = [name for name, _ in report.environments[0].point]
    return tuple(name for name in names if name in sides)


def environment_shares(result: CampaignResult, score: ScoreResult) -> dict[str, float]:
    """Label of each environment of a score -> how often the bootstrap has it in the smallest set.

    Empty without a bootstrap, and without the matrix that the score is of.
    """
    labels = labels_by_point(result)
    points = dict.fromkeys(entry.environment for entry in result.kill_matrix if entry.verdict.test == score.test)
    if score.uncertainty is None or not points:
        return {}
    shares = {labels[point]: share for point, share in zip(points, score.uncertainty.environment_shares, strict=True)}
    return {label: shares[label] for label in labels.values() if label in shares}


def boundary_of(result: CampaignResult, test: str) -> BoundaryReport | None:
    """The boundary search whose environments a test judges in: its own, else the first."""
    first = next(iter(result.boundaries), None)
    return next((report for report in result.boundaries if report.test == test), first)


def with_outcome(verdicts: Sequence[MutantVerdict], outcome: Outcome) -> tuple[MutantVerdict, ...]:
    """Those of the verdicts that have this outcome; killed are those that count as kills."""
    return tuple(entry for entry in verdicts if entry.verdict.outcome is outcome and not is_better_apart(entry.verdict))


def better_apart(verdicts: Sequence[MutantVerdict]) -> tuple[MutantVerdict, ...]:
    """Those of mutants that are better, by a test that does not count this as a kill."""
    return tuple(entry for entry in verdicts if is_better_apart(entry.verdict))


def is_kill(verdict: KillVerdict) -> bool:
    """Whether the verdict is a kill in the score of its test."""
    return verdict.outcome is Outcome.KILLED and not is_better_apart(verdict)


def is_better_apart(verdict: KillVerdict) -> bool:
    """Whether the mutant differs by being better, and its test does not count that as a kill."""
    return killed_but_better(verdict) and not _better_counts(verdict.test)


@cache
def _better_counts(test: str) -> bool:
    """A test of somewhere else, which cannot be imported here, counts what is better as tests usually do."""
    from mutations.killing.registry import kill_test  # commands that need no scipy import this module too

    try:
        return better_is_killed(kill_test(test))
    except InputError:
        return True


def label_environments(result: CampaignResult) -> tuple[LabelledEnvironment, ...]:
    """Every test environment of the campaign with its short name, the same for all tests; initial ones first."""
    kinds: dict[Point, str] = {}
    for report in result.boundaries:
        for environment in report.environments:
            kinds.setdefault(environment.point, environment.kind)
    for entry in result.kill_matrix:
        kinds.setdefault(entry.environment, "given")
    for score in result.scores:
        for point in score.minimal_environments:
            kinds.setdefault(point, "given")
    initial = [point for point, kind in kinds.items() if kind == "initial"]
    others = [point for point, kind in kinds.items() if kind != "initial"]
    first = 0 if initial else 1
    return tuple(
        LabelledEnvironment(f"E{number}", kinds[point], point)
        for number, point in enumerate([*initial, *others], start=first)
    )


def labels_by_point(result: CampaignResult) -> dict[Point, str]:
    """The short name of every test environment."""
    return {environment.point: environment.label for environment in label_environments(result)}


def matrix_environments(result: CampaignResult, test: str) -> tuple[LabelledEnvironment, ...]:
    """The columns of one test's kill matrix."""
    used = {entry.environment for entry in result.kill_matrix if entry.verdict.test == test}
    return tuple(environment for environment in label_environments(result) if environment.point in used)


def kills_of(result: CampaignResult, test: str) -> dict[str, dict[Point, KillVerdict]]:
    """One test's kill matrix: mutant -> environment -> verdict; mutants with the agents of another have no row."""
    matrix: dict[str, dict[Point, KillVerdict]] = {}
    for entry in result.kill_matrix:
        if entry.verdict.test == test:
            matrix.setdefault(entry.mutant, {})[entry.environment] = entry.verdict
    return matrix


def killing_labels(result: CampaignResult, row: HigherOrderResult) -> tuple[tuple[str, ...], int]:
    """Labels of the environments that kill a higher-order mutant, and the number it was judged in."""
    judged = merged_mutants(result).get(row.mutant, row.mutant)
    verdicts = kills_of(result, row.test).get(judged, {})
    labels = labels_by_point(result)
    killing = {labels[point] for point, verdict in verdicts.items() if is_kill(verdict)}
    return tuple(label for label in labels.values() if label in killing), len(verdicts)
