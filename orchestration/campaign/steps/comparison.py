"""A campaign's figures next to the published ones, as rows of plain values.

The verdicts are compared when the campaign ends and become part of its result (`CampaignResult.published`). What
follows from a result is derived here too: how often verdicts agree, and the boundary environments side by side.

Source of the published figures: Tambon et al., "Mutation Testing of Deep Reinforcement Learning Based on Real Faults",
ICST 2023, and its published results; `mutations.published` holds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from mutations.killing.average_ratio import THRESHOLD
from mutations.killing.kill_test import Outcome
from mutations.published import published_boundaries, published_verdicts
from orchestration.campaign.result import BoundaryReport, CampaignResult, MutantVerdict, PopulationResult

PUBLISHED_AGENTS = 20
"""Agents per population in the published study."""

RATIO_TOLERANCE = 0.05
"""Average ratios agree if they differ by at most this: one agent of 20."""

OUTCOME_TESTS = ("reward_distribution", "distance_distribution")
"""The published tests that give outcomes, in the order of the published figures."""

PUBLISHED_MARK = "[published]"
"""The end of a mutant's id when it is the published code's variant of an operator."""


def compare_with_published(
    environment: str,
    algorithm: str,
    verdicts: Sequence[MutantVerdict],
    populations: Sequence[PopulationResult],
) -> tuple[dict[str, Any], ...]:
    """This campaign's figures next to the published ones, for the mutants that both have.

    Args:
        environment: canonical name (``CartPole-v1``).
        verdicts: in the initial environment, by any tests; only the three published tests are compared.
        populations: rewards, from which the average ratio is computed when that test was not run.

    Returns:
        Rows ``mutant, test, published, ours, agree``; `agree` is by the rule of `agrees`. For ``average_ratio`` both
        are shares of agents, and `fisher_p` is the p-value of Fisher's exact test of these shares (20 published agents,
        as many as were trained here). A large p-value is not agreement: at 20 agents, .2 and .4 have p = .30. For the
        two tests with verdicts both are outcomes. `ours`, `agree` and `fisher_p` are None where this campaign has no
        such figure. Empty where the pair was not published.
    """
    published = published_verdicts(environment, algorithm)
    by_test = {(entry.verdict.test, entry.mutant): entry for entry in verdicts}
    rows: list[dict[str, Any]] = []
    for population in populations:
        figures = published.get(population.mutant.removesuffix(PUBLISHED_MARK))
        if figures is None:
            continue
        ratio, *outcomes = figures
        judged = population.same_agents_as or population.mutant
        ours, agents = _average_ratio(by_test.get(("average_ratio", judged)), population, populations)
        rows.append({"mutant": population.mutant, "test": "average_ratio", **_ratio_row(ratio, ours, agents)})
        for test, outcome in zip(OUTCOME_TESTS, outcomes, strict=True):
            row = _outcome_row(outcome, by_test.get((test, judged)))
            rows.append({"mutant": population.mutant, "test": test, **row})
    return tuple(rows)


def agrees(published: float | str | None, ours: float | str | None) -> bool | None:
    """Whether a figure agrees with the published one; None where a side is missing.

    Average ratios agree within `RATIO_TOLERANCE`, outcomes if they are equal.
    """
    if published is None or ours is None:
        return None
    if isinstance(published, str) or isinstance(ours, str):
        return published == ours
    return abs(published - ours) <= RATIO_TOLERANCE + 1e-9  # .65 and .60 are .05 apart, up to rounding


def _ratio_row(published: float, ours: float | None, agents: int) -> dict[str, Any]:
    row = {"published": published, "ours": ours, "agree": agrees(published, ours)}
    if ours is None:
        return {**row, "fisher_p": None}
    theirs, own = round(published * PUBLISHED_AGENTS), round(ours * agents)
    table = np.array([[theirs, PUBLISHED_AGENTS - theirs], [own, agents - own]])
    return {**row, "fisher_p": float(stats.fisher_exact(table).pvalue)}


def _outcome_row(published: Outcome, entry: MutantVerdict | None) -> dict[str, Any]:
    outcome = None if entry is None or entry.verdict.outcome is None else str(entry.verdict.outcome)
    return {"published": str(published), "ours": outcome, "agree": agrees(str(published), outcome)}


def _average_ratio(
    entry: MutantVerdict | None, mutant: PopulationResult, populations: Sequence[PopulationResult]
) -> tuple[float | None, int]:
    """The campaign's own average ratio and the number of pairs it is computed from."""
    if entry is not None:
        return entry.verdict.statistic, entry.verdict.n_mutant
    healthy = next((population for population in populations if population.order == 0), None)
    if healthy is None:
        return None, 0
    rewards = dict(zip(healthy.seeds, healthy.rewards, strict=True))
    own = zip(mutant.seeds, mutant.rewards, strict=True)
    ratios = [reward / rewards[seed] for seed, reward in own if rewards.get(seed)]
    return (sum(ratio < THRESHOLD for ratio in ratios) / len(ratios), len(ratios)) if ratios else (None, 0)


def agreement(rows: Iterable[Mapping[str, Any]]) -> dict[str, tuple[int, int]]:
    """Test -> (rows that agree with the published figure by `agrees`, rows that could be compared)."""
    counts: dict[str, tuple[int, int]] = {}
    for row in rows:
        agreeing, compared = counts.get(str(row.get("test")), (0, 0))
        agree = agrees(row.get("published"), row.get("ours"))
        counts[str(row.get("test"))] = (agreeing + bool(agree), compared + (agree is not None))
    return counts


def compare_boundaries(result: CampaignResult) -> tuple[dict[str, Any], ...]:
    """The boundary environments next to the published ones, for searches that started at the same point.

    Returns:
        Rows ``kill_test, moved, parameter, published, ours``: the value of each parameter that was moved from the
        initial environment, by the set of parameters moved together. A side is None where that search kept no such
        environment. Empty where the pair was not published, or the environment has other parameters.
    """
    published = published_boundaries(result.environment, result.algorithm)
    rows: list[dict[str, Any]] = []
    for report in result.boundaries:
        theirs = published.get(report.test)
        initial = next((kept.point for kept in report.environments if kept.kind == "initial"), None)
        if theirs is not None and initial is not None and tuple(value for _, value in initial) == theirs.points[0]:
            rows += _boundary_rows(report, [name for name, _ in initial], theirs.points)
    return tuple(rows)


def _boundary_rows(
    report: BoundaryReport, names: Sequence[str], published: Sequence[Sequence[float]]
) -> list[dict[str, Any]]:
    """One search; the first of the published points is the start of both."""
    theirs = _moves(published[0], published[1:])
    ours = _moves(published[0], [tuple(value for _, value in kept.point) for kept in report.environments])
    return [
        {
            "kill_test": report.test,
            "moved": " and ".join(names[axis] for axis in moved),
            "parameter": names[axis],
            "published": theirs[moved][axis] if moved in theirs else None,
            "ours": ours[moved][axis] if moved in ours else None,
        }
        for moved in dict.fromkeys((*theirs, *ours))
        for axis in moved
    ]


def _moves(start: Sequence[float], points: Iterable[Sequence[float]]) -> dict[tuple[int, ...], Sequence[float]]:
    """Points by the axes on which they differ from the start; the start itself is left out."""
    moves = {tuple(axis for axis, value in enumerate(point) if value != start[axis]): point for point in points}
    return {moved: point for moved, point in moves.items() if moved}
