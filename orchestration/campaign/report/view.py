"""The report's page as plain values: everything the template shows, already chosen, ordered and formatted."""

from __future__ import annotations

from typing import Any

import yaml

from mutations.killing.kill_test import Direction, KillVerdict, Outcome
from mutations.killing.registry import power_labels
from orchestration.campaign import result_facts as facts
from orchestration.campaign.report import figures, formatting, tables
from orchestration.campaign.report.magnitude_figures import magnitude_figures
from orchestration.campaign.report.magnitude_view import magnitudes_view
from orchestration.campaign.report.matrix_view import (
    View,
    edge_views,
    environment_views,
    higher_order_views,
    in_order,
    matrix_view,
    outcome_view,
    score_views,
)
from orchestration.campaign.report.profile_figure import performance_profiles
from orchestration.campaign.report.reliability import IMPROVEMENT_SCALE, reliability_views
from orchestration.campaign.report.summary import correction_text, headline
from orchestration.campaign.report.table import Cell, flatten
from orchestration.campaign.result import CampaignResult, PopulationResult, total
from orchestration.campaign.steps import comparison

DIRECTIONS = {
    Direction.WORSE: "worse",
    Direction.BETTER: "better ↑",
    Direction.EQUAL: "equal",
    Direction.LESS_RELIABLE: "less reliable",
}


def page_view(result: CampaignResult) -> View:
    """All parts of the page; a part that the campaign did not reach is empty."""
    return {
        "result": result,
        "number": formatting.number,
        "stopped": result.status != "complete",
        "headline": headline(result),
        "names_width": min(28, max(12, *(len(population.mutant) for population in result.populations), 12)),
        "notes": notes_of(result),
        "overview": _overview(result),
        "tests": [_test_table(result, name) for name in facts.kill_test_names(result)],
        "rewards_figure": figures.reward_distributions(result),
        "curves_figure": figures.learning_curves(result),
        "reliability": reliability_views(result),
        "improvement_scale": IMPROVEMENT_SCALE,
        "profiles_figure": performance_profiles(result),
        "matrices": [matrix for name in facts.kill_test_names(result) if (matrix := matrix_view(result, name))],
        "magnitude_figures": magnitude_figures(result),
        "magnitudes": magnitudes_view(result),
        "maps": figures.boundary_maps(result),
        "environments": environment_views(result),
        "edges": edge_views(result),
        "warnings": [(report.test, warning) for report in result.boundaries for warning in report.warnings],
        "higher_order": higher_order_views(result),
        "scores": score_views(result),
        "correction": correction_text(result),
        "published": _published(result),
        "published_boundaries": _published_boundaries(result),
        "populations": [_population(population) for population in result.populations],
        "cost": _training_cost(result),
        "agents": sum(len(population.seeds) for population in result.populations),
        "provenance": _provenance(result),
        "spec": yaml.safe_dump(result.spec, sort_keys=False, allow_unicode=True) if result.spec else "",
        "files": sorted(tables.TABLES),
    }


def notes_of(result: CampaignResult) -> list[str]:
    """The campaign's own notes, and what else in the result a reader must know."""
    notes = list(result.notes)
    dead = facts.dead_mutants(result)
    for population in result.populations:
        if population.failed:
            seeds = formatting.seeds_text([seed for seed, _ in population.failed])
            others = len(population.seeds) + len(population.dead)
            trained = f"its {others} other agents are reported" if others else "none is left"
            notes.append(f"{population.mutant}: failed agents (seed {seeds}); {trained}.")
        if population.dead:
            notes.append(f"{population.mutant}: dead agents (seed {formatting.seeds_text(population.dead)}).")
        if population.mutant in dead:
            notes.append(f"{population.mutant} is not live: every agent has the weights of its healthy twin.")
        elif population.order and population.identical_seeds:
            seeds = formatting.seeds_text(population.identical_seeds)
            notes.append(f"{population.mutant}: agents with the weights of their healthy twin: seed {seeds}.")
    return notes


def _overview(result: CampaignResult) -> View | None:
    """Mutants x tests with the heading test's effect sizes: the verdict at a glance."""
    if not result.verdicts:
        return None
    primary = facts.primary_test(result)
    names = [name for name in facts.kill_test_names(result) if facts.verdicts_of(result, name)]
    verdicts = {(entry.verdict.test, entry.mutant): entry.verdict for entry in result.verdicts}
    scale = formatting.effect_scale(
        [verdict for (test, _), verdict in verdicts.items() if test == primary], primary or ""
    )
    populations = {population.mutant: population for population in result.populations}
    dead = facts.dead_mutants(result)
    rows = []
    for mutant in in_order(result, (entry.mutant for entry in result.verdicts)):
        verdict = verdicts.get((primary or "", mutant))
        rows.append(
            {
                "mutant": mutant,
                "dead": mutant in dead,
                "reward": _mean(populations.get(mutant)),
                "cells": [outcome_view(verdicts.get((name, mutant))) for name in names],
                "bar": _bar(scale, verdict),
                "effect": formatting.number(verdict.effect_size, 2) if verdict else "",
            }
        )
    return {
        "tests": names,
        "primary": primary,
        "scale": scale,
        "rows": rows,
        "healthy": _mean(facts.healthy_of(result)),
    }


def _mean(population: PopulationResult | None) -> str:
    if population is None or not population.rewards:
        return "–"
    return formatting.number(sum(population.rewards) / len(population.rewards))


def _bar(scale: formatting.EffectScale, verdict: KillVerdict | None) -> Any:
    if verdict is None:
        return ""
    return figures.effect_bar(scale, verdict.effect_size, verdict.effect_low, verdict.effect_high)


def _test_table(result: CampaignResult, test: str) -> View:
    """One test's verdicts with every number."""
    entries = facts.verdicts_of(result, test)
    scale = formatting.effect_scale([entry.verdict for entry in entries], test)
    effects = any(entry.verdict.effect_size is not None for entry in entries)
    rows = []
    for entry in entries:
        verdict = entry.verdict
        interval = ""
        if verdict.effect_low is not None and verdict.effect_high is not None:
            interval = f"{formatting.number(verdict.effect_low)} to {formatting.number(verdict.effect_high)}"
        rows.append(
            {
                "mutant": entry.mutant,
                "outcome": outcome_view(verdict),
                "direction": DIRECTIONS[verdict.direction],
                "statistic": formatting.number(verdict.statistic),
                "p": formatting.p_text(verdict.p_value),
                "adjusted": formatting.p_text(verdict.p_adjusted),
                "effect": formatting.number(verdict.effect_size),
                "interval": interval,
                "bar": _bar(scale, verdict),
                "power": formatting.number(verdict.power, 2),
                "difference": formatting.interval_text(
                    verdict.difference, verdict.difference_low, verdict.difference_high
                ),
                "margin": formatting.number(verdict.margin),
                "collapsed": formatting.collapsed_text(verdict),
                "needed": formatting.needed_text(verdict) if verdict.outcome is Outcome.INCONCLUSIVE else "",
                "n": f"{verdict.n_healthy}, {verdict.n_mutant}",
                "agreement": "" if verdict.agreement is None else f"{verdict.agreement:.0%}",
                "reason": verdict.reason,
            }
        )
    primary = test == facts.primary_test(result)
    marginal = formatting.has_margin([entry.verdict for entry in entries])
    intervals = any(row["interval"] for row in rows)
    adjusted = any(entry.verdict.p_adjusted is not None for entry in entries)
    # Where all repeats agree with the verdict, a column would say nothing.
    repeated = any(entry.verdict.agreement not in (None, 1.0) for entry in entries)
    return {
        "name": test,
        "primary": primary,
        "scale": scale,
        "effects": effects,
        "intervals": intervals,
        "adjusted": adjusted,
        "repeated": repeated,
        "power_label": power_labels(entry.verdict for entry in entries),
        "marginal": marginal,
        "columns": 9 + adjusted + repeated
        if marginal
        else 5 + (3 + intervals + adjusted + (not primary) if effects else 0) + repeated,
        "rows": rows,
    }


def _published(result: CampaignResult) -> View | None:
    """The side-by-side, one row per mutant."""
    if not result.published:
        return None
    names = facts.unique(str(row.get("test")) for row in result.published)
    cells = {(row.get("mutant"), str(row.get("test"))): row for row in result.published}
    mutants = facts.unique(str(row.get("mutant")) for row in result.published)
    rows = [{"mutant": mutant, "cells": [_compared(cells.get((mutant, name))) for name in names]} for mutant in mutants]
    counts = comparison.agreement(result.published)
    agreement = [{"test": name, "agree": counts[name][0], "of": counts[name][1]} for name in names]
    return {"tests": names, "rows": rows, "agreement": agreement, "tolerance": comparison.RATIO_TOLERANCE}


def _published_boundaries(result: CampaignResult) -> list[View]:
    numbers = ("published", "ours")
    return [
        {**row, **{name: formatting.number(row[name], 4) for name in numbers}}
        for row in comparison.compare_boundaries(result)
    ]


def _compared(row: dict[str, Any] | None) -> View:
    if row is None:
        return {"published": "–", "ours": "–", "mark": "", "fisher": "", "css": "absent"}

    def text(value: Any) -> str:
        if value is None:
            return "–"
        return f"{value:.2f}" if isinstance(value, float) else str(value)

    agree = comparison.agrees(row.get("published"), row.get("ours"))
    mark = "" if agree is None else ("agrees" if agree else "differs")
    p_value = None if agree else row.get("fisher_p")
    return {
        "published": text(row.get("published")),
        "ours": text(row.get("ours")),
        "mark": mark,
        "fisher": "" if p_value is None else f"Fisher p = {p_value:.2f}",
        "css": mark or "absent",
    }


def _population(population: PopulationResult) -> View:
    rewards = population.rewards
    ends = f"{formatting.number(min(rewards))} to {formatting.number(max(rewards))}" if rewards else "–"
    return {
        "mutant": population.mutant,
        "same": population.same_agents_as,
        "order": ("healthy", "first")[population.order] if population.order < 2 else str(population.order),
        "seeds": formatting.seeds_text(population.seeds) or "–",
        "agents": len(population.seeds),
        "dead": formatting.seeds_text(population.dead),
        "failed": [f"seed {seed}: {line}" for seed, line in population.failed],
        "identical": formatting.seeds_text(population.identical_seeds) if population.order else "",
        "mean": _mean(population),
        "range": ends,
        "selected": formatting.steps_text(population.selected_steps),
        "seconds": _training_time(population.train_seconds, population.cpu_seconds),
        "address": population.recipe_address,
    }


def _training_cost(result: CampaignResult) -> str:
    wall = sum(population.train_seconds for population in result.populations)
    return _training_time(wall, total([population.cpu_seconds for population in result.populations]))


def _training_time(wall: float, cpu: float | None) -> str:
    """CPU time where all of it is known, else wall time; the reader sees which."""
    if cpu is None:
        return f"{formatting.duration_text(wall)} of wall time"
    return f"{formatting.duration_text(cpu)} of CPU time"


def _provenance(result: CampaignResult) -> list[tuple[str, list[tuple[str, str]]]]:
    """Groups of (key, value): one per mapping in the provenance, single values first."""
    groups: dict[str, list[tuple[str, str]]] = {"": []}
    for key, value in result.provenance.items():
        name = str(key)
        leaves = flatten(value)
        if isinstance(value, dict):
            groups.setdefault(name, []).extend((leaf, _plain(cell)) for leaf, cell in leaves)
        else:
            groups[""].extend((f"{name}{leaf}", _plain(cell)) for leaf, cell in leaves)
    return [(name, rows) for name, rows in groups.items() if rows]


def _plain(value: Cell) -> str:
    return "–" if value is None else str(value)
