"""What the page, the tables and the terminal summary all read off a campaign's result: orders, labels, counts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mutations.killing.kill_test import Direction, KillVerdict, Outcome
from mutations.mutant import HEALTHY
from orchestration.campaign.result import (
    BoundaryReport,
    CampaignResult,
    HigherOrderResult,
    MutantVerdict,
    Point,
    PopulationResult,
    ScoreResult,
)

COMPATIBILITY_TESTS = ("average_ratio", "reward_distribution", "distance_distribution")
"""Tests that reproduce published verdicts; a campaign's own word is that of any other test it ran."""

COHEN_TESTS = ("reward_distribution", "distance_distribution")
"""Tests whose effect size is a Cohen d (no effect: 0); elsewhere it is a Vargha-Delaney A (no effect: 0.5)."""


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
    """The healthy population, if the campaign came that far."""
    return next((population for population in result.populations if population.mutant == HEALTHY), None)


def mutant_populations(result: CampaignResult) -> tuple[PopulationResult, ...]:
    """All populations but the healthy one: first order before higher order, otherwise as planned."""
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


def kill_test_names(result: CampaignResult) -> tuple[str, ...]:
    """Every kill test of the campaign, in the order of its verdicts; the campaign's own tests come first."""
    names = unique(
        [
            *(entry.verdict.test for entry in result.verdicts),
            *(report.test for report in result.boundaries),
            *(entry.verdict.test for entry in result.kill_matrix),
            *(score.test for score in result.scores),
            *(row.test for row in result.higher_order),
        ]
    )
    return tuple(sorted(names, key=lambda name: name in COMPATIBILITY_TESTS))


def primary_test(result: CampaignResult) -> str | None:
    """The test whose word heads the report: the first that gives outcomes, the campaign's own before the published."""
    deciding = {entry.verdict.test for entry in result.verdicts if entry.verdict.outcome is not None}
    return next((name for name in kill_test_names(result) if name in deciding), None)


def verdicts_of(result: CampaignResult, test: str) -> tuple[MutantVerdict, ...]:
    """The verdicts of one test in the initial environment, in order."""
    return tuple(entry for entry in result.verdicts if entry.verdict.test == test)


def initial_outcomes(result: CampaignResult) -> dict[str, Outcome]:
    """Mutant -> outcome by the heading test in the initial environment; higher-order ones from the kill matrix."""
    test = primary_test(result)
    start = next((found.point for found in label_environments(result) if found.kind == "initial"), None)
    matrix = [entry for entry in result.kill_matrix if entry.environment == start]
    return {
        entry.mutant: entry.verdict.outcome
        for entry in (*matrix, *result.verdicts)
        if entry.verdict.test == test and entry.verdict.outcome is not None
    }


def score_of(result: CampaignResult, test: str) -> ScoreResult | None:
    """The mutation score by one test."""
    return next((score for score in result.scores if score.test == test), None)


def boundary_of(result: CampaignResult, test: str) -> BoundaryReport | None:
    """The boundary search by one test."""
    return next((report for report in result.boundaries if report.test == test), None)


def with_outcome(verdicts: Sequence[MutantVerdict], outcome: Outcome) -> tuple[MutantVerdict, ...]:
    """Those of the verdicts that have this outcome."""
    return tuple(entry for entry in verdicts if entry.verdict.outcome is outcome)


def killed_but_better(verdict: KillVerdict) -> bool:
    """Whether the test tells the mutant from healthy agents because it is the better one."""
    return verdict.outcome is Outcome.KILLED and verdict.direction is Direction.BETTER


def label_environments(result: CampaignResult) -> tuple[LabelledEnvironment, ...]:
    """Every test environment of the campaign with one short name, the same under all tests; initial ones first."""
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
    """One test's kill matrix: mutant -> environment -> verdict."""
    matrix: dict[str, dict[Point, KillVerdict]] = {}
    for entry in result.kill_matrix:
        if entry.verdict.test == test:
            matrix.setdefault(entry.mutant, {})[entry.environment] = entry.verdict
    return matrix


def killing_labels(result: CampaignResult, row: HigherOrderResult) -> tuple[tuple[str, ...], int]:
    """Labels of the environments that kill a higher-order mutant, and the number it was judged in."""
    verdicts = kills_of(result, row.test).get(row.mutant, {})
    labels = labels_by_point(result)
    killing = {labels[point] for point, verdict in verdicts.items() if verdict.outcome is Outcome.KILLED}
    return tuple(label for label in labels.values() if label in killing), len(verdicts)


@dataclass(frozen=True, slots=True)
class EffectScale:
    """How one test's effect sizes are drawn.

    Attributes:
        name: what the effect size is called.
        neutral: the value that means "no difference".
        low, high: ends of the axis; what lies outside is drawn at the end, as an arrow.
    """

    name: str
    neutral: float
    low: float
    high: float


def effect_scale(verdicts: Sequence[KillVerdict], test: str) -> EffectScale:
    """The axis on which the effect sizes of one test's verdicts are drawn."""
    bounds = [
        value
        for verdict in verdicts
        for value in (verdict.effect_size, verdict.effect_low, verdict.effect_high)
        if value is not None and math.isfinite(value)
    ]
    if test not in COHEN_TESTS and all(0.0 <= value <= 1.0 for value in bounds):
        return EffectScale("Vargha-Delaney A", 0.5, 0.0, 1.0)
    name = "Cohen's d" if test in COHEN_TESTS else "effect size"
    low, high = min(bounds, default=0.0), max(bounds, default=0.0)
    return EffectScale(name, 0.0, max(-3.0, min(0.0, low)), min(3.0, max(1.0, high)))


def elide(name: str, length: int = 30) -> str:
    """A long name with its middle left out, for a picture or a terminal; the tables have it whole."""
    return name if len(name) <= length else f"{name[: length - 12]}…{name[-11:]}"


def number(value: float | None, digits: int = 3) -> str:
    """A number for a reader: few significant digits, no exponent where it can be avoided, a dash for none."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e6 or size < 10.0 ** -(digits + 1):
        return f"{value:.{digits - 1}e}".replace("-", "−")
    decimals = max(0, digits - 1 - math.floor(math.log10(size)))
    text = f"{value:,.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", "−")


def p_text(value: float | None) -> str:
    """A p-value for a reader."""
    if value is None or math.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def point_text(point: Point) -> str:
    """``cart_mass 7.23, pole_mass 0.1``."""
    return ", ".join(f"{name} {number(value)}" for name, value in point)


def duration_text(seconds: float) -> str:
    """``12.3 s``, ``4.1 min``, ``3.2 h`` of CPU time."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def seeds_text(seeds: Sequence[int]) -> str:
    """Seeds with runs folded: ``0–5, 8``."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][1] + 1:
            runs[-1][1] = seed
        else:
            runs.append([seed, seed])
    return ", ".join(str(low) if low == high else f"{low}–{high}" for low, high in runs)
