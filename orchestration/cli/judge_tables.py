"""The tables of ``proctor judge``: one per family and kill test, with the columns that the test fills."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mutations.killing.kill_test import Direction, KillTest, KillVerdict, Outcome, counts_as_kill, power_label
from mutations.mutant import HEALTHY
from mutations.reliability import BootstrapEstimate
from mutations.reward_table import Comparison
from orchestration.cli.output import console, number_text, print_table

Column = Sequence[tuple[str, KillVerdict]]
"""Mutants with their verdicts by one test."""

GENERAL = ("mutant", "outcome", "side", "statistic", "p", "adj. p", "effect", "power", "agree")
MARGINAL = ("mutant", "outcome", "side", "difference [95 %]", "margin", "collapsed", "adj. p", "power", "needed")
RELIABILITY = ("population", "interquartile mean", "interval", "probability of improvement", "interval")
LEGEND = "collapsed: mutant, healthy agents. needed: agents per population for a kill, for survival."


def print_family(test: KillTest, comparison: Comparison, column: Column) -> None:
    """Print one test's verdicts on the mutants of a comparison, then the reasons of the inconclusive ones."""
    marginal = any(verdict.difference is not None for _, verdict in column)
    cells = _marginal_cells if marginal else _general_cells
    rows = [[mutant, _outcome(test, verdict), verdict.direction, *cells(verdict)] for mutant, verdict in column]
    repeated = any(verdict.agreement not in (None, 1.0) for _, verdict in column)
    header = MARGINAL if marginal else GENERAL if repeated else GENERAL[:-1]
    print_table(header, [row[: len(header)] for row in rows], f"{_title(comparison)}: {test.name}")
    if marginal:
        console().print(LEGEND, style="dim", markup=False)
    labels = (power_label(verdict, test) for _, verdict in column)
    if text := " / ".join(dict.fromkeys(label for label in labels if label)):
        console().print(f"power: {text}", style="dim", markup=False)
    for mutant, verdict in column:
        explained = verdict.outcome is Outcome.INCONCLUSIVE or verdict.p_value is None
        if explained and verdict.reason:
            console().print(f"{mutant}: {verdict.reason}", style="dim", markup=False)


def print_reliability(
    healthy: BootstrapEstimate, mutants: Sequence[tuple[str, BootstrapEstimate, BootstrapEstimate]]
) -> None:
    """Print interquartile means, of healthy agents first, and each mutant's probability of improvement."""
    rows: list[list[Any]] = [[HEALTHY, healthy.value, _interval(healthy), None, None]]
    for mutant, mean, improvement in mutants:
        rows.append([mutant, mean.value, _interval(mean), improvement.value, _interval(improvement)])
    print_table(RELIABILITY, rows, "reliability, with 95 % bootstrap intervals")


def _interval(estimate: BootstrapEstimate) -> str:
    return f"{number_text(estimate.low)} to {number_text(estimate.high)}"


def _title(comparison: Comparison) -> str:
    healthy = comparison.healthy
    where = " / ".join(filter(None, (healthy.environment, healthy.algorithm)))
    sizes = {len(mutant.rewards) for mutant in comparison.mutants} | {len(healthy.rewards)}
    counted = "agents per population" if len(sizes) == 1 else "healthy agents"
    living = healthy.array[np.isfinite(healthy.array)]
    mean = f"{living.mean():.4g}" if living.size else "-"
    agents = f"{len(healthy.rewards)} {counted}, healthy mean {mean}"
    return f"{where}: {agents}" if where else agents


def _outcome(test: KillTest, verdict: KillVerdict) -> str | None:
    """A mutant that is better and does not count as killed is shown apart."""
    killed = verdict.outcome is Outcome.KILLED
    return Direction.BETTER if killed and not counts_as_kill(test, verdict) else verdict.outcome


def _general_cells(verdict: KillVerdict) -> list[Any]:
    p_values = verdict.p_value, verdict.p_adjusted
    return [verdict.statistic, *p_values, verdict.effect_size, verdict.power, verdict.agreement]


def _marginal_cells(verdict: KillVerdict) -> list[Any]:
    ends = verdict.difference, verdict.difference_low, verdict.difference_high
    difference = "{} [{}, {}]".format(*map(number_text, ends)) if None not in ends else None  # type: ignore[arg-type]
    shares = verdict.collapsed_mutant, verdict.collapsed_healthy
    collapsed = ", ".join(f"{100 * share:.0f} %" for share in shares if share is not None) or None
    needed = f"{verdict.agents_for_kill or '-'}, {verdict.agents_for_equivalence or '-'}"
    open_ = verdict.outcome is Outcome.INCONCLUSIVE
    return [difference, verdict.margin, collapsed, verdict.p_adjusted, verdict.power, needed if open_ else ""]
