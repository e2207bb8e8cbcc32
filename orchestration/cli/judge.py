"""``proctor judge``: verdicts on rewards that already exist; nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from envsearch.errors import InputError
from mutations.killing.error_control import DEFAULT_ERROR_CONTROL, ERROR_CONTROLS, error_control
from mutations.killing.family import correct_family
from mutations.killing.kill_test import (
    KillTest,
    KillVerdict,
    counts_as_kill,
    power_label,
    takes_independent,
    takes_margins,
)
from mutations.killing.margins import Margins
from mutations.killing.registry import DEFAULT_KILL_TEST, KILL_TESTS, kill_test
from mutations.killing.repeats import judge_repeated
from mutations.population_file import read_pair
from mutations.reliability import BootstrapEstimate, flat, interquartile_mean, probability_of_improvement
from mutations.reward_table import Comparison, RewardSample, read_reward_table
from orchestration.cli.judge_tables import print_family, print_reliability
from orchestration.cli.options import Format
from orchestration.cli.output import OutputFormat, console, print_json

ALL = "all"
PAIRED = {"margin_permutation": "paired_margin_permutation"}
"""What ``--paired`` turns a test into."""

NUMBERS = (
    *("statistic", "p_value", "p_adjusted", "level", "effect_size", "effect_low", "effect_high", "power"),
    *("difference", "difference_low", "difference_high", "margin"),
    *("collapsed_healthy", "collapsed_mutant", "collapsed_low", "collapsed_high"),
    *("agents_for_kill", "agents_for_equivalence", "n_healthy", "n_mutant", "agreement"),
)
"""Fields of a verdict in the JSON, under their own names."""


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
        list[str] | None,
        typer.Option(help=f"Kill test by name or module:object, or {ALL}; may be repeated [{DEFAULT_KILL_TEST}]."),
    ] = None,
    margin_mean: Annotated[
        float | None,
        typer.Option(help="Largest difference of the means that does not matter, share of --scale [0.05]."),
    ] = None,
    margin_collapsed: Annotated[
        float | None, typer.Option(help="The same for the shares of collapsed agents [0.1].")
    ] = None,
    scale: Annotated[float | None, typer.Option(help="A good reward [the healthy mean].")] = None,
    paired: Annotated[
        bool, typer.Option("--paired", help="Margin test of pairs: populations with the same seeds, exchanged by seed.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the tests that resample.")] = 0,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of a resampling test; the majority outcome counts.")] = 1,
    control: Annotated[
        str, typer.Option("--error-control", help=f"Over all comparisons of the report: {', '.join(ERROR_CONTROLS)}.")
    ] = DEFAULT_ERROR_CONTROL,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Show which mutants the kill tests can distinguish from the healthy agents.

    Use either --table, or --healthy and --mutant. With the default test populations may differ in size and seeds;
    tests of pairs need the same seeds in both. A reward of -inf is a dead agent. All comparisons by corrected tests
    are one family: their p-values are adjusted together. Below each table is what the power in it is the chance of. The
    last table has the interquartile mean of each population and the probability that a mutant agent earns more than a
    healthy one, with 95 % bootstrap intervals; these decide nothing.
    """
    tests = _tests(test or [DEFAULT_KILL_TEST], paired, _margins(margin_mean, margin_collapsed, scale))
    _check_control(control)
    pairing = not all(takes_independent(entry) for entry in tests)
    if table is not None and healthy is None and mutant is None:
        comparisons, source = read_reward_table(table, pairing), table
    elif table is None and healthy is not None and mutant is not None:
        comparisons, source = read_pair(healthy, mutant, pairing), mutant
    else:
        raise InputError("no input, or two kinds of input", "proctor judge", "--table, or both --healthy and --mutant")
    judged = [judge_comparison(comparison, tests, seed, repeats, str(source)) for comparison in comparisons]
    judged, family_text = correct_judged(judged, tests, control)
    if output is OutputFormat.JSON:
        print_json([row for family in judged for mutant_ in family for row in judged_rows(mutant_, tests)])
        return
    for comparison, family in zip(comparisons, judged, strict=True):
        for position, entry in enumerate(tests):
            column = [(mutant_.population.mutant, mutant_.verdicts[position]) for mutant_ in family]
            print_family(entry, comparison, column)
        described = [(mutant_.population.mutant, mutant_.interquartile_mean, mutant_.improvement) for mutant_ in family]
        print_reliability(interquartile_mean(comparison.healthy.array, seed), described)
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
        JudgedMutant(
            mutant,
            tuple(column[row] for column in columns),
            interquartile_mean(mutant.array, seed),
            probability_of_improvement(healthy.array, mutant.array, seed),
        )
        for row, mutant in enumerate(comparison.mutants)
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
        tuple(replace(mutant, verdicts=tuple(islice(rows, len(tests)))) for mutant in comparison)
        for comparison in judged
    ]
    method = error_control(control).method
    text = f"{family.comparisons} comparisons corrected together ({control}, {method}): {family.kills} killed."
    return corrected, text if family.comparisons else ""


def judged_rows(judged: JudgedMutant, tests: Sequence[KillTest]) -> list[dict[str, Any]]:
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
            "counts_as_kill": None if verdict.outcome is None else counts_as_kill(test, verdict),
            **{name: getattr(verdict, name) for name in NUMBERS},
            "power_label": power_label(verdict, test),
            "reason": verdict.reason,
            **flat("iqm", judged.interquartile_mean),
            **flat("improvement", judged.improvement),
        }
        for test, verdict in zip(tests, judged.verdicts, strict=True)
    ]


def _tests(names: Sequence[str], paired: bool, margins: Margins | None) -> list[KillTest]:
    """The tests of the command line; what would have no effect on any of them is refused."""
    wanted = [name for entry in names for name in (KILL_TESTS if entry == ALL else (entry,))]
    if paired and not any(name in PAIRED for name in wanted):
        raise InputError(f"no test among {', '.join(wanted)} has pairs on request", "--paired", ", ".join(PAIRED))
    chosen = dict.fromkeys(PAIRED.get(name, name) if paired else name for name in wanted)
    try:
        tests = [kill_test(name, margins=margins) for name in chosen]
    except InputError as error:
        raise error.located(source="proctor judge", field="--test") from None
    if margins is not None and not any(takes_margins(kill_test(name)) for name in chosen):
        problem = f"no test among {', '.join(chosen)} takes margins"
        raise InputError(problem, "--margin-mean, --margin-collapsed, --scale", "margin_permutation")
    return tests


def _margins(mean: float | None, collapsed: float | None, scale: float | None) -> Margins | None:
    """None if no option was used."""
    options = {"mean": mean, "collapsed": collapsed, "scale": scale}
    chosen = {name: value for name, value in options.items() if value is not None}
    flags = {"mean": "--margin-mean", "collapsed": "--margin-collapsed", "scale": "--scale"}
    try:
        return Margins(**chosen) if chosen else None
    except InputError as error:
        raise InputError(error.problem, flags[error.field], error.expected) from None


def _check_control(name: str) -> None:
    try:
        error_control(name, "--error-control")
    except InputError as error:
        raise error.located(source="proctor judge") from None


def _label(population: RewardSample) -> str:
    return "/".join(filter(None, (population.environment, population.algorithm, population.mutant)))
