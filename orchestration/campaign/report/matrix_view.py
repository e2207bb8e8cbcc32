"""The parts of the page about test environments: kill matrix, higher order, score."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mutations.killing.kill_test import Direction, KillVerdict, Outcome, killed_but_better
from orchestration.campaign import result_facts as facts
from orchestration.campaign.report import formatting
from orchestration.campaign.result import CampaignResult, Point, ScoreResult

View = dict[str, Any]

MARKS = {Outcome.KILLED: "K", Outcome.SURVIVED: "–", Outcome.INCONCLUSIVE: "?"}


def outcome_view(verdict: KillVerdict | None) -> View:
    """A verdict as a cell: its CSS class, one-letter mark, words, and the sentence behind it."""
    if verdict is None:
        return {"css": "absent", "mark": "", "text": "not judged", "hint": "not judged"}
    if verdict.outcome is None:
        text = formatting.number(verdict.statistic)
        return {"css": "figure", "mark": text, "text": text, "hint": verdict.reason or "a number, not a verdict"}
    text, apart = _words(verdict), facts.is_better_apart(verdict)
    effect = formatting.number(verdict.effect_size)
    parts = [text, f"p {formatting.p_text(verdict.p_value)}"]
    parts += [] if verdict.p_adjusted is None else [f"adjusted {formatting.p_text(verdict.p_adjusted)}"]
    parts += [f"effect {effect}", verdict.reason]
    return {
        "css": "better" if apart else str(verdict.outcome),
        "mark": ("" if apart else MARKS[verdict.outcome]) + ("↑" if killed_but_better(verdict) else ""),
        "text": text,
        "hint": "; ".join(part for part in parts if part),
    }


def _words(verdict: KillVerdict) -> str:
    if facts.is_better_apart(verdict):
        return "better"
    side = "better" if killed_but_better(verdict) else ""
    if facts.is_kill(verdict) and verdict.direction is Direction.LESS_RELIABLE:
        side = "less reliable"
    return f"{verdict.outcome}, {side}" if side else str(verdict.outcome)


def in_order(result: CampaignResult, names: Iterable[str]) -> list[str]:
    """Mutants in the order of the populations, unknown ones last."""
    known = [population.mutant for population in facts.mutant_populations(result)]
    wanted = facts.unique(names)
    return [name for name in known if name in wanted] + [name for name in wanted if name not in known]


def matrix_view(result: CampaignResult, test: str) -> View | None:
    """One test's kill matrix as a heat map: rows first order then higher order, columns the test environments."""
    verdicts = facts.kills_of(result, test)
    environments = facts.matrix_environments(result, test)
    if not verdicts:
        return None
    orders = {population.mutant: population.order for population in result.populations}
    groups: dict[str, list[View]] = {}
    for mutant in in_order(result, verdicts):
        row = [verdicts[mutant].get(environment.point) for environment in environments]
        judged = [verdict for verdict in row if verdict is not None]
        kills = sum(map(facts.is_kill, judged))
        group = "higher order" if orders.get(mutant, 1) > 1 else "first order"
        cells = [outcome_view(verdict) for verdict in row]
        groups.setdefault(group, []).append(
            {"mutant": mutant, "cells": cells, "kills": f"{kills} of {len(judged)}" if judged else "–"}
        )
    first = groups.get("first order", [])
    totals = [sum(row["cells"][column]["css"] == "killed" for row in first) for column in range(len(environments))]
    return {
        "test": test,
        "environments": [_environment(environment) for environment in environments],
        "groups": groups,
        "totals": totals,
        "mutants": len(first),
    }


def _environment(environment: facts.LabelledEnvironment) -> View:
    values = {name: formatting.number(value) for name, value in environment.point}
    return {"label": environment.label, "kind": environment.kind, "by_name": values}


def environment_views(result: CampaignResult) -> list[View]:
    """The legend of labels: every test environment and the tests that found it."""
    tests: dict[Point, list[str]] = {}
    for report in result.boundaries:
        for environment in report.environments:
            tests.setdefault(environment.point, []).append(report.test)
    return [
        {**_environment(environment), "tests": tests.get(environment.point, [])}
        for environment in facts.label_environments(result)
    ]


def edge_views(result: CampaignResult) -> list[View]:
    """The edges of the searches by equivalence, a row per direction and parameter."""
    rows = []
    for report in result.boundaries:
        for edge in report.edges:
            places = {
                "estimate": edge.estimate,
                "low": edge.low,
                "high": edge.high,
                "accepted": edge.accepted_until,
                "rejected": edge.rejected_from,
            }
            for name in facts.moved_parameters(report, edge):
                texts = {
                    column: "beyond the limit" if place is None else formatting.number(dict(place)[name])
                    for column, place in places.items()
                }
                rows.append({"test": report.test, "direction": edge.label, "parameter": name, **texts})
    return rows


def higher_order_views(result: CampaignResult) -> list[View]:
    rows, merged = [], facts.merged_mutants(result)
    for entry in result.higher_order:
        environments = facts.matrix_environments(result, entry.test)
        matrix = facts.kills_of(result, entry.test)
        killing, judged = facts.killing_labels(result, entry)
        strips = [
            {
                "mutant": mutant,
                "cells": [
                    {"label": environment.label, **outcome_view(verdicts.get(environment.point))}
                    for environment in environments
                ],
            }
            for mutant in (*entry.constituents, entry.mutant)
            for verdicts in (matrix.get(merged.get(mutant, mutant), {}),)
        ]
        rows.append({"entry": entry, "kills": f"{len(killing)} of {judged}", "strips": strips})
    return rows


def score_views(result: CampaignResult) -> list[View]:
    labels = facts.labels_by_point(result)
    views = []
    for score in result.scores:
        # What is inconclusive everywhere is listed as never killed too; a bar must count each mutant once.
        survived = [name for name in score.never_killed if name not in score.inconclusive]
        counts = {"killed": len(score.killed), "survived": len(survived), "inconclusive": len(score.inconclusive)}
        total = sum(counts.values()) or 1
        views.append(
            {
                "score": score,
                "value": formatting.number(score.mutation_score, 2),
                "interval": formatting.score_interval(score.uncertainty),
                "counts": counts,
                "shares": {name: round(100 * count / total, 2) for name, count in counts.items()},
                "minimal": [labels[point] for point in score.minimal_environments],
                "environments": len(facts.matrix_environments(result, score.test)),
                "sure": _certainty(result, score),
            }
        )
    return views


def _certainty(result: CampaignResult, score: ScoreResult) -> list[str]:
    """How sure the score and the smallest set of environments are, one clause each."""
    clauses = []
    if score.inconclusive and score.possible_score is not None:
        clauses.append(f"{formatting.number(score.possible_score, 2)} if the inconclusive mutants were killed")
    if (sure := score.uncertainty) is not None:
        if sure.null_high is not None:
            chance = f"a set of healthy agents scores more than {formatting.number(sure.null_high, 2)}"
            clauses.append(f"{chance} in at most 5 % of all campaigns")
        shares = [f"{label} {share:.0%}" for label, share in facts.environment_shares(result, score).items() if share]
        if shares:
            clauses.append(f"with other agents the fewest environments hold {', '.join(shares)}")
            clauses.append(f"those named give the same kills in {sure.same_kills:.0%} of {sure.replicates} replicates")
    return clauses
