"""``proctor judge``: verdicts on rewards that already exist; nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from envsearch.errors import InputError
from mutations.killing.kill_test import KillTest, KillVerdict, Outcome, power_label, takes_independent
from mutations.killing.registry import KILL_TESTS, kill_test
from mutations.killing.repeats import judge_repeated
from mutations.population_file import read_pair
from mutations.reliability import BootstrapEstimate, flat, interquartile_mean, probability_of_improvement
from mutations.reward_table import Comparison, RewardSample, read_reward_table
from orchestration.cli.options import Format
from orchestration.cli.output import OutputFormat, console, number_text, print_json, print_table

TABLE_COLUMNS = ("mutant", "test", "outcome", "side", "statistic", "p", "effect", "power", "agree")

RELIABILITY_COLUMNS = ("population", "interquartile mean", "interval", "probability of improvement", "interval")


@dataclass(frozen=True, slots=True)
class JudgedMutant:
    """A mutant with the verdict of every test, in the order of the tests, and how good and reliable its agents are."""

    population: RewardSample
    verdicts: tuple[KillVerdict, ...]
    interquartile_mean: BootstrapEstimate
    improvement: BootstrapEstimate


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
    output: Format = OutputFormat.TABLE,
) -> None:
    """Show which mutants the kill tests can distinguish from the healthy agents.

    Use either --table, or --healthy and --mutant. Populations must have the same seeds, unless every named test takes
    independent populations (margin_permutation): these may differ in size and seeds. A test that corrects for the
    number of mutants does so over those of one environment and algorithm. Below the table is what each test's power is
    the chance of, and whether it is corrected. A second table has the interquartile mean of each population and the
    probability that a mutant agent earns more than a healthy one, with 95 % bootstrap intervals; they decide nothing.
    """
    tests = _tests(test or list(KILL_TESTS))
    paired = not all(takes_independent(entry) for entry in tests)
    if table is not None and healthy is None and mutant is None:
        comparisons, source = read_reward_table(table, paired), table
    elif table is None and healthy is not None and mutant is not None:
        comparisons, source = read_pair(healthy, mutant, paired), mutant
    else:
        raise InputError("no input, or two kinds of input", "proctor judge", "--table, or both --healthy and --mutant")
    labels = {entry.name: power_label(entry) for entry in tests}
    judged = [judge_comparison(comparison, tests, seed, repeats, str(source)) for comparison in comparisons]
    if output is OutputFormat.JSON:
        print_json([row for family in judged for mutant_ in family for row in judged_rows(mutant_, labels)])
        return
    for comparison, family in zip(comparisons, judged, strict=True):
        _print_family(comparison.healthy, family)
        _print_reliability(comparison.healthy, family, seed)
    _print_power_labels(judged, labels)


def judge_comparison(
    comparison: Comparison, tests: Sequence[KillTest], seed: int, repeats: int, source: str = ""
) -> tuple[JudgedMutant, ...]:
    """The verdicts on all mutants of a comparison, corrected for their number where a test does that.

    A verdict before correction depends on `seed` and the two populations only, not on the other mutants.

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
        columns.append(test.correct(verdicts))
    return tuple(
        JudgedMutant(
            mutant,
            tuple(column[row] for column in columns),
            interquartile_mean(mutant.array, seed),
            probability_of_improvement(healthy.array, mutant.array, seed),
        )
        for row, mutant in enumerate(comparison.mutants)
    )


def judged_rows(judged: JudgedMutant, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """The objects of the JSON list for one mutant, one per test; `labels` say what each test's power is."""
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
            "effect_size": verdict.effect_size,
            "effect_low": verdict.effect_low,
            "effect_high": verdict.effect_high,
            "power": verdict.power,
            "power_label": None if verdict.power is None else labels[verdict.test],
            "n_healthy": verdict.n_healthy,
            "n_mutant": verdict.n_mutant,
            "agreement": verdict.agreement,
            "reason": verdict.reason,
            **flat("iqm", judged.interquartile_mean),
            **flat("improvement", judged.improvement),
        }
        for verdict in judged.verdicts
    ]


def _tests(names: Sequence[str]) -> list[KillTest]:
    try:
        return [kill_test(name) for name in dict.fromkeys(names)]
    except InputError as error:
        raise error.located(source="proctor judge", field="--test") from None


def _print_family(healthy: RewardSample, family: Sequence[JudgedMutant]) -> None:
    where = " / ".join(filter(None, (healthy.environment, healthy.algorithm)))
    sizes = {len(judged.population.rewards) for judged in family} | {len(healthy.rewards)}
    counted = "agents per population" if len(sizes) == 1 else "healthy agents"
    agents = f"{len(healthy.rewards)} {counted}, healthy mean {healthy.array.mean():.4g}"
    rows = [
        _cells(judged.population.mutant if position == 0 else "", verdict)
        for judged in family
        for position, verdict in enumerate(judged.verdicts)
    ]
    print_table(TABLE_COLUMNS, rows, f"{where}: {agents}" if where else agents)
    for judged in family:
        for verdict in judged.verdicts:
            if verdict.outcome is Outcome.INCONCLUSIVE and verdict.reason:
                console().print(
                    f"{judged.population.mutant}, {verdict.test}: {verdict.reason}", style="dim", markup=False
                )


def _print_reliability(healthy: RewardSample, family: Sequence[JudgedMutant], seed: int) -> None:
    rows: list[list[Any]] = [
        [healthy.mutant, *_reliability_cells(interquartile_mean(healthy.array, seed), None)],
        *(
            [judged.population.mutant, *_reliability_cells(judged.interquartile_mean, judged.improvement)]
            for judged in family
        ),
    ]
    print_table(RELIABILITY_COLUMNS, rows, "Reliability, with 95 % bootstrap intervals")


def _reliability_cells(*estimates: BootstrapEstimate | None) -> list[Any]:
    return [
        cell
        for estimate in estimates
        for cell in (
            (None, None)
            if estimate is None
            else (estimate.value, f"{number_text(estimate.low)} to {number_text(estimate.high)}")
        )
    ]


def _print_power_labels(judged: Sequence[Sequence[JudgedMutant]], labels: Mapping[str, str]) -> None:
    verdicts = [verdict for family in judged for mutant in family for verdict in mutant.verdicts]
    printed = {verdict.test for verdict in verdicts if verdict.power is not None}
    for test, label in labels.items():
        if test in printed:
            console().print(f"power of {test}: {label}", style="dim", markup=False)


def _cells(mutant: str, verdict: KillVerdict) -> list[Any]:
    numbers = [verdict.statistic, verdict.p_value, verdict.effect_size, verdict.power, verdict.agreement]
    return [mutant, verdict.test, verdict.outcome, verdict.direction, *numbers]


def _label(population: RewardSample) -> str:
    return "/".join(filter(None, (population.environment, population.algorithm, population.mutant)))
