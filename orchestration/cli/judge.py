"""``proctor judge``: verdicts on rewards that already exist; nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from envsearch.errors import InputError
from mutations.killing.error_control import DEFAULT_ERROR_CONTROL, ERROR_CONTROLS, error_control
from mutations.killing.family import correct_family
from mutations.killing.kill_test import KillTest, KillVerdict, Outcome, takes_independent
from mutations.killing.registry import KILL_TESTS, kill_test
from mutations.killing.repeats import judge_repeated
from mutations.population_file import read_pair
from mutations.reward_table import Comparison, RewardSample, read_reward_table
from orchestration.cli.options import Format
from orchestration.cli.output import OutputFormat, console, print_json, print_table

TABLE_COLUMNS = ("mutant", "test", "outcome", "side", "statistic", "p", "adj. p", "effect", "power")
AGREEMENT = "agree"
"""A column only where repeats of a test do not all agree."""


@dataclass(frozen=True, slots=True)
class JudgedMutant:
    """A mutant with the verdict of every test, in the order of the tests."""

    population: RewardSample
    verdicts: tuple[KillVerdict, ...]


def judge(
    table: Annotated[
        Path | None,
        typer.Option(help="Tidy CSV: environment, algorithm, mutant, seed, mean_reward; healthy rows named Healthy."),
    ] = None,
    healthy: Annotated[
        Path | None, typer.Option(help="One population: tidy, one column or row of numbers, or RLMutation's file.")
    ] = None,
    mutant: Annotated[Path | None, typer.Option(help="The population to compare with --healthy.")] = None,
    test: Annotated[
        list[str] | None, typer.Option(help="Kill test by name or module:object; may be repeated. Default: all.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the tests that resample.")] = 0,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of a resampling test; the majority outcome counts.")] = 1,
    control: Annotated[
        str, typer.Option("--error-control", help=f"Over all comparisons of the report: {', '.join(ERROR_CONTROLS)}.")
    ] = DEFAULT_ERROR_CONTROL,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Show which mutants the kill tests can distinguish from the healthy agents.

    Use either --table, or --healthy and --mutant. Populations must have the same seeds, unless every named test takes
    independent populations (margin_permutation): these may differ in size and seeds. All comparisons by corrected tests
    are one family: their p-values are adjusted together.
    """
    tests = _tests(test or list(KILL_TESTS))
    _check_control(control)
    paired = not all(takes_independent(entry) for entry in tests)
    if table is not None and healthy is None and mutant is None:
        comparisons, source = read_reward_table(table, paired), table
    elif table is None and healthy is not None and mutant is not None:
        comparisons, source = read_pair(healthy, mutant, paired), mutant
    else:
        raise InputError("no input, or two kinds of input", "proctor judge", "--table, or both --healthy and --mutant")
    judged = [judge_comparison(comparison, tests, seed, repeats, str(source)) for comparison in comparisons]
    judged, family_text = correct_judged(judged, tests, control)
    if output is OutputFormat.JSON:
        print_json([row for family in judged for mutant_ in family for row in judged_rows(mutant_)])
        return
    for comparison, family in zip(comparisons, judged, strict=True):
        _print_family(comparison.healthy, family)
    if family_text:
        console().print(family_text, style="dim", markup=False)


def judge_comparison(
    comparison: Comparison, tests: Sequence[KillTest], seed: int, repeats: int, source: str = ""
) -> tuple[JudgedMutant, ...]:
    """The verdicts on all mutants of a comparison, before correction.

    They depend on `seed` and the two populations only, not on the other mutants.

    Raises:
        InputError: a population is too small for a test.
    """
    healthy = comparison.healthy
    columns = []
    for test in tests:
        verdicts = []
        for mutant in comparison.mutants:
            try:
                verdicts.append(judge_repeated(test, healthy.array, mutant.array, seed, repeats))
            except InputError as error:
                raise error.located(source=": ".join(filter(None, (source, _label(mutant))))) from None
        columns.append(verdicts)
    return tuple(
        JudgedMutant(mutant, tuple(column[row] for column in columns)) for row, mutant in enumerate(comparison.mutants)
    )


def correct_judged(
    judged: Sequence[tuple[JudgedMutant, ...]], tests: Sequence[KillTest], control: str
) -> tuple[list[tuple[JudgedMutant, ...]], str]:
    """The same verdicts, those of all comparisons corrected together, and a sentence about it.

    Args:
        tests: in the order of each mutant's verdicts.
        control: name in the table of error controls.
    """
    mutants = [mutant for comparison in judged for mutant in comparison]
    verdicts = [verdict for mutant in mutants for verdict in mutant.verdicts]
    family = correct_family(verdicts, list(tests) * len(mutants), control)
    rows = iter(family.verdicts)
    corrected = [
        tuple(JudgedMutant(mutant.population, tuple(islice(rows, len(tests)))) for mutant in comparison)
        for comparison in judged
    ]
    method = error_control(control).method
    text = f"{family.comparisons} comparisons corrected together ({control}, {method}): {family.kills} killed."
    return corrected, text if family.comparisons else ""


def judged_rows(judged: JudgedMutant) -> list[dict[str, Any]]:
    """The objects of the JSON list for one mutant, one per test."""
    population = judged.population
    return [
        {
            "environment": population.environment or None,
            "algorithm": population.algorithm or None,
            "mutant": population.mutant,
            "test": verdict.test,
            "outcome": verdict.outcome,
            "direction": verdict.direction,
            "statistic": verdict.statistic,
            "p_value": verdict.p_value,
            "p_adjusted": verdict.p_adjusted,
            "level": verdict.level,
            "effect_size": verdict.effect_size,
            "effect_low": verdict.effect_low,
            "effect_high": verdict.effect_high,
            "power": verdict.power,
            "n_healthy": verdict.n_healthy,
            "n_mutant": verdict.n_mutant,
            "agreement": verdict.agreement,
            "reason": verdict.reason,
        }
        for verdict in judged.verdicts
    ]


def _tests(names: Sequence[str]) -> list[KillTest]:
    try:
        return [kill_test(name) for name in dict.fromkeys(names)]
    except InputError as error:
        raise error.located(source="proctor judge", field="--test") from None


def _check_control(name: str) -> None:
    try:
        error_control(name, "--error-control")
    except InputError as error:
        raise error.located(source="proctor judge") from None


def _print_family(healthy: RewardSample, family: Sequence[JudgedMutant]) -> None:
    where = " / ".join(filter(None, (healthy.environment, healthy.algorithm)))
    sizes = {len(judged.population.rewards) for judged in family} | {len(healthy.rewards)}
    counted = "agents per population" if len(sizes) == 1 else "healthy agents"
    agents = f"{len(healthy.rewards)} {counted}, healthy mean {healthy.array.mean():.4g}"
    repeated = any(verdict.agreement not in (None, 1.0) for judged in family for verdict in judged.verdicts)
    rows = [
        _cells(judged.population.mutant if position == 0 else "", verdict)[: len(TABLE_COLUMNS) + repeated]
        for judged in family
        for position, verdict in enumerate(judged.verdicts)
    ]
    columns = (*TABLE_COLUMNS, AGREEMENT) if repeated else TABLE_COLUMNS
    print_table(columns, rows, f"{where}: {agents}" if where else agents)
    for judged in family:
        for verdict in judged.verdicts:
            if verdict.outcome is Outcome.INCONCLUSIVE and verdict.reason:
                console().print(
                    f"{judged.population.mutant}, {verdict.test}: {verdict.reason}", style="dim", markup=False
                )


def _cells(mutant: str, verdict: KillVerdict) -> list[Any]:
    numbers = [verdict.statistic, verdict.p_value, verdict.p_adjusted, verdict.effect_size, verdict.power]
    return [mutant, verdict.test, verdict.outcome, verdict.direction, *numbers, verdict.agreement]


def _label(population: RewardSample) -> str:
    return "/".join(filter(None, (population.environment, population.algorithm, population.mutant)))
