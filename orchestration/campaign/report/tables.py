"""The report's tables as plain rows: what the CSV and JSON files next to the page hold.

``rewards`` has the columns that ``proctor judge --table`` reads; ``kill_matrix`` and ``higher_order_kills`` have those
that ``proctor classify`` reads. Each parameter of an environment has a column of its own name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from statistics import fmean, median, stdev

from mutations.killing.kill_test import KillVerdict, Outcome
from mutations.killing.registry import power_labels
from orchestration.campaign import result_facts as facts
from orchestration.campaign.report.magnitude_tables import magnitude_thresholds, magnitude_verdicts, magnitudes
from orchestration.campaign.report.reliability import profiles_table, reliability_table
from orchestration.campaign.report.table import Cell, Row, Table, flatten
from orchestration.campaign.result import CampaignResult, Point, ScoreResult
from orchestration.campaign.steps.comparison import agrees, compare_boundaries

_PAIR = ("environment", "algorithm")
_VERDICT = tuple(field.name for field in dataclasses.fields(KillVerdict))
_COUNTS, _POWER = "counts_as_kill", "power_label"

_DIFFERENCE = ("difference", "low", "high", "newly_collapsed")
_EDGE = ("estimate", "low", "high", "accepted_until", "rejected_from")


def _pair(result: CampaignResult) -> Row:
    return {"environment": result.environment, "algorithm": result.algorithm}


def _parameters(result: CampaignResult, taken: tuple[str, ...]) -> dict[str, str]:
    """Parameter -> column; a parameter called like another column gets a prefix."""
    return {name: f"parameter_{name}" if name in taken else name for name in result.parameters}


def _coordinates(point: Point, columns: dict[str, str]) -> Row:
    values = dict(point)
    return {column: values.get(name) for name, column in columns.items()}


def _verdict(verdict: KillVerdict) -> Row:
    row: Row = {name: getattr(verdict, name) for name in _VERDICT}
    counts = None if verdict.outcome is None else facts.is_kill(verdict)
    texts: Row = {"outcome": _outcome(verdict.outcome), "direction": str(verdict.direction)}
    return {**row, **texts, _COUNTS: counts, _POWER: power_labels([verdict]) or None}


def _outcome(outcome: Outcome | None) -> str | None:
    return None if outcome is None else str(outcome)


def _counted(verdict: KillVerdict) -> str | None:
    """The outcome as it counts in a score: what is better without being a kill has survived."""
    return str(Outcome.SURVIVED) if facts.is_better_apart(verdict) else _outcome(verdict.outcome)


def verdicts(result: CampaignResult) -> Table:
    """Mutants x tests in the initial environment."""
    rows = [{**_pair(result), "mutant": entry.mutant, **_verdict(entry.verdict)} for entry in result.verdicts]
    return Table((*_PAIR, "mutant", *_VERDICT, _COUNTS, _POWER), tuple(rows))


def rewards(result: CampaignResult) -> Table:
    """One row per trained agent: its mean reward over the evaluation episodes, ``-inf`` for a dead agent."""
    rows: list[Row] = []
    for population in result.populations:
        earned: list[tuple[int, Cell]] = list(zip(population.seeds, population.rewards, strict=True))
        rows += [
            {**_pair(result), "mutant": population.mutant, "seed": seed, "mean_reward": reward}
            for seed, reward in [*earned, *((seed, "-inf") for seed in population.dead)]
        ]
    return Table((*_PAIR, "mutant", "seed", "mean_reward"), tuple(rows))


def best_checkpoints(result: CampaignResult) -> Table:
    """One row per agent whose best checkpoint is judged: the training step at which it was taken."""
    rows: list[Row] = [
        {"mutant": population.mutant, "seed": seed, "selected_step": step}
        for population in result.populations
        if population.selected_steps
        for seed, step in zip(population.seeds, population.selected_steps, strict=True)
    ]
    return Table(("mutant", "seed", "selected_step"), tuple(rows))


def learning_curves(result: CampaignResult) -> Table:
    """Training return over steps, per population."""
    rows: list[Row] = []
    for population in result.populations:
        if (curve := population.curve) is not None:
            points = zip(curve.steps, curve.mean, curve.low, curve.high, strict=True)
            rows += [
                {"mutant": population.mutant, "step": step, "mean": mean, "low": low, "high": high}
                for step, mean, low, high in points
            ]
    return Table(("mutant", "step", "mean", "low", "high"), tuple(rows))


def _kills(result: CampaignResult, higher: bool) -> Table:
    """Tidy kills in the columns that ``proctor classify`` reads; ``killed`` holds the outcome as it counts."""
    orders = {population.mutant: population.order for population in result.populations}
    head = (*_PAIR, "kill_test", "mutant")
    columns = _parameters(result, (*head, "killed", "property"))
    rows = [
        {
            **_pair(result),
            "kill_test": entry.verdict.test,
            "mutant": entry.mutant,
            **_coordinates(entry.environment, columns),
            "killed": _counted(entry.verdict),
        }
        for entry in result.kill_matrix
        if entry.verdict.outcome is not None and (orders.get(entry.mutant, 1) > 1) == higher
    ]
    return Table((*head, *columns.values(), "killed"), tuple(rows))


def kill_matrix(result: CampaignResult) -> Table:
    """First-order mutants x test environments for every test with outcomes."""
    return _kills(result, higher=False)


def higher_order_kills(result: CampaignResult) -> Table:
    """Higher-order mutants x test environments for every test with outcomes."""
    return _kills(result, higher=True)


def kill_matrix_verdicts(result: CampaignResult) -> Table:
    """Both kill matrices with every number of their verdicts and the environments' short names."""
    orders = {population.mutant: population.order for population in result.populations}
    labels = facts.labels_by_point(result)
    head = (*_PAIR, "mutant", "order", "label")
    columns = _parameters(result, (*head, *_VERDICT, _COUNTS, _POWER))
    rows = [
        {
            **_pair(result),
            "mutant": entry.mutant,
            "order": orders.get(entry.mutant),
            "label": labels[entry.environment],
            **_coordinates(entry.environment, columns),
            **_verdict(entry.verdict),
        }
        for entry in result.kill_matrix
    ]
    return Table((*head, *columns.values(), *_VERDICT, _COUNTS, _POWER), tuple(rows))


def boundary_environments(result: CampaignResult) -> Table:
    """The test environments at the edge of normal behaviour, per test that searched them."""
    labels = facts.labels_by_point(result)
    head = ("kill_test", "label", "kind")
    columns = _parameters(result, head)
    rows = [
        {
            "kill_test": report.test,
            "label": labels[environment.point],
            "kind": environment.kind,
            **_coordinates(environment.point, columns),
        }
        for report in result.boundaries
        for environment in report.environments
    ]
    return Table((*head, *columns.values()), tuple(rows))


def boundary_probes(result: CampaignResult) -> Table:
    """Every point that the boundary search evaluated.

    ``answer`` is accepted, rejected or unknown; ``accepted`` whether the search took the point as normal behaviour.
    """
    head = ("kill_test", "number")
    tail = ("outcome", "answer", "accepted", "healthy_mean", *_DIFFERENCE)
    columns = _parameters(result, (*head, *tail))
    rows = [
        {
            "kill_test": report.test,
            "number": position,
            **_coordinates(probe.point, columns),
            "outcome": str(probe.outcome),
            "answer": report.answer(probe),
            "accepted": report.accepted(probe),
            "healthy_mean": probe.healthy_mean,
            **{name: getattr(probe, name) for name in _DIFFERENCE},
        }
        for report in result.boundaries
        for position, probe in enumerate(report.probes, start=1)
    ]
    return Table((*head, *columns.values(), *tail), tuple(rows))


def boundary_edges(result: CampaignResult) -> Table:
    """The edge of normal behaviour in each direction: a row per parameter that the direction moves.

    An empty estimate, ``low``, ``high`` or ``rejected_from`` lies beyond the limit.
    """
    columns = ("kill_test", "direction", "kind", "parameter", *_EDGE)
    rows: list[Row] = []
    for report in result.boundaries:
        for edge in report.edges:
            for name in facts.moved_parameters(report, edge):
                places = {column: getattr(edge, column) for column in _EDGE}
                values = {column: None if place is None else dict(place)[name] for column, place in places.items()}
                head: Row = {"kill_test": report.test, "direction": edge.label, "kind": edge.kind, "parameter": name}
                rows.append({**head, **values})
    return Table(columns, tuple(rows))


def higher_order(result: CampaignResult) -> Table:
    """Higher-order mutants: constituents, properties by both definitions, kills."""
    columns = ("kill_test", "mutant", "constituents", "property_published", "property_strict")
    rows: list[Row] = []
    for entry in result.higher_order:
        killing, judged = facts.killing_labels(result, entry)
        rows.append(
            {
                "kill_test": entry.test,
                "mutant": entry.mutant,
                "constituents": " ".join(entry.constituents),
                "property_published": entry.property_published,
                "property_strict": entry.property_strict,
                "kills": len(killing),
                "environments": judged,
                "killing_environments": " ".join(killing),
            }
        )
    return Table((*columns, "kills", "environments", "killing_environments"), tuple(rows))


def score(result: CampaignResult) -> Table:
    """The mutation score of the set of test environments, per test."""
    labels = facts.labels_by_point(result)
    lists = ("killed", "trivial", "never_killed", "inconclusive")
    rows: list[Row] = []
    for entry in result.scores:
        names: Row = {name: " ".join(getattr(entry, name)) for name in lists}
        minimal = " ".join(labels[point] for point in entry.minimal_environments)
        head: Row = {"kill_test": entry.test, "mutation_score": entry.mutation_score}
        rows.append({**head, **names, "minimal_environments": minimal, **_certainty(result, entry)})
    return Table(("kill_test", "mutation_score", *lists, "minimal_environments", *_CERTAINTY), tuple(rows))


_CERTAINTY = ("possible_score", "score_low", "score_high", "null_high", "environment_shares", "same_kills")


def _certainty(result: CampaignResult, entry: ScoreResult) -> Row:
    """How sure a score is; the shares are those of the environments in the smallest set over the bootstrap."""
    sure = entry.uncertainty
    shares = " ".join(f"{label}:{share:g}" for label, share in facts.environment_shares(result, entry).items())
    values = (None,) * 5 if sure is None else (sure.low, sure.high, sure.null_high, shares, sure.same_kills)
    return dict(zip(_CERTAINTY, (entry.possible_score, *values), strict=True))


def published_comparison(result: CampaignResult) -> Table:
    """The published figures next to this campaign's; ``agree`` is by the rule of `comparison.agrees`."""
    rows = [{**row, "agree": agrees(row.get("published"), row.get("ours"))} for row in result.published]
    columns = facts.unique(("mutant", "test", "published", "ours", "agree", *(key for row in rows for key in row)))
    return Table(columns, tuple({column: row.get(column) for column in columns} for row in rows))


def published_boundaries(result: CampaignResult) -> Table:
    """The published boundary environments next to this campaign's."""
    rows = compare_boundaries(result)
    return Table(("kill_test", "moved", "parameter", "published", "ours"), rows)


def populations(result: CampaignResult) -> Table:
    """One row per population: agents, failures, liveness, rewards in brief, cost."""
    columns = (
        "mutant",
        "order",
        "agents",
        "dead",
        "failed",
        "failures",
        "identical_to_healthy",
        "same_agents_as",
        "mean_reward",
    )
    rows: list[Row] = []
    for population in result.populations:
        values = population.rewards
        rows.append(
            {
                "mutant": population.mutant,
                "order": population.order,
                "agents": len(population.seeds),
                "dead": len(population.dead),
                "failed": len(population.failed),
                "failures": "; ".join(f"seed {seed}: {line}" for seed, line in population.failed),
                "identical_to_healthy": len(population.identical_seeds),
                "same_agents_as": population.same_agents_as or None,
                "mean_reward": fmean(values) if values else None,
                "median_reward": median(values) if values else None,
                "sd_reward": stdev(values) if len(values) > 1 else None,
                "min_reward": min(values, default=None),
                "max_reward": max(values, default=None),
                "train_seconds": population.train_seconds,
                "cpu_seconds": population.cpu_seconds,
                "recipe_address": population.recipe_address,
            }
        )
    rest = ("median_reward", "sd_reward", "min_reward", "max_reward", "train_seconds", "cpu_seconds", "recipe_address")
    return Table((*columns, *rest), tuple(rows))


def provenance(result: CampaignResult) -> Table:
    """What the result depends on and what it cost, as dotted keys."""
    rows: list[Row] = [{"key": "run_id", "value": result.run_id}, {"key": "status", "value": result.status}]
    rows += [{"key": key, "value": value} for key, value in flatten(result.provenance)]
    return Table(("key", "value"), tuple(rows))


TABLES: dict[str, Callable[[CampaignResult], Table]] = {
    "verdicts": verdicts,
    "rewards": rewards,
    "best_checkpoints": best_checkpoints,
    "learning_curves": learning_curves,
    "magnitudes": magnitudes,
    "magnitude_thresholds": magnitude_thresholds,
    "magnitude_verdicts": magnitude_verdicts,
    "kill_matrix": kill_matrix,
    "higher_order_kills": higher_order_kills,
    "kill_matrix_verdicts": kill_matrix_verdicts,
    "boundary_environments": boundary_environments,
    "boundary_probes": boundary_probes,
    "boundary_edges": boundary_edges,
    "higher_order": higher_order,
    "score": score,
    "published_comparison": published_comparison,
    "published_boundaries": published_boundaries,
    "populations": populations,
    "reliability": reliability_table,
    "performance_profiles": profiles_table,
    "provenance": provenance,
}
"""File name (without its ending) -> the table."""
