"""What an agent's history shows: tests that fail together, tests that have not run for long, flaky tests."""

from __future__ import annotations

import numpy as np

from agents.scheduling.flakiness import flakiness
from agents.scheduling.history import History
from agents.scheduling.observation import BoolArray, FloatArray, IntArray
from agents.scheduling.testcase import split_key
from orchestration.actors.messages import Cluster, FlakyTest, InsightsAnswer, StaleTest

LISTED = 100
"""Longest list of each sort."""

COMPARED = 1000
"""Tests that are compared with each other, those that failed most."""

TOGETHER = 0.5
"""Share of the cycles with a failure of either in which two tests of one cluster failed both."""


def insights(history: History, version: int) -> InsightsAnswer:
    """Everything from the kept executions; each list with the most striking first, at most 100 of each."""
    keys = history.keys
    rows = np.arange(len(keys), dtype=np.int64)
    names = [split_key(key) for key in keys]
    return InsightsAnswer(
        agent_version=version,
        clusters=_clusters(history, rows, names),
        stale=_stale(history, rows, names),
        flaky=_flaky(history.past_failures(rows), names),
    )


def _stale(history: History, rows: IntArray, names: list[tuple[str, str]]) -> tuple[StaleTest, ...]:
    since = history.counts(rows).since_run
    never = np.where(since < 0, np.iinfo(np.int64).max, since)
    order = np.argsort(-never, kind="stable")[:LISTED]
    return tuple(StaleTest(names[row][0], names[row][1], int(since[row])) for row in order.tolist() if since[row] != 1)


def _flaky(past: FloatArray, names: list[tuple[str, str]]) -> tuple[FlakyTest, ...]:
    if not len(past):
        return ()
    score = flakiness(past)
    flips = np.nansum(np.abs(np.diff(past, axis=1)), axis=1)
    runs = np.isfinite(past).sum(axis=1)
    order = np.argsort(-score, kind="stable")[:LISTED]
    chosen = [row for row in order.tolist() if score[row] > 0]
    return tuple(FlakyTest(names[row][0], names[row][1], int(flips[row]), int(runs[row])) for row in chosen)


def _clusters(history: History, rows: IntArray, names: list[tuple[str, str]]) -> tuple[Cluster, ...]:
    """Connected groups of tests of one job; two are connected if they share two failing cycles and half of all."""
    past = history.past(rows)
    failures = past.failed.sum(axis=1)
    chosen = [row for row in np.argsort(-failures, kind="stable")[:COMPARED].tolist() if failures[row] >= 2]
    found: list[Cluster] = []
    for job in sorted({names[row][0] for row in chosen}):
        mine = [row for row in chosen if names[row][0] == job]
        cycles = [frozenset(past.cycles[row][past.failed[row]].tolist()) for row in mine]
        found.extend(_of_one_job(job, [names[row][1] for row in mine], cycles))
    return tuple(sorted(found, key=lambda one: (-len(one.ids) * one.strength, one.job, one.ids))[:LISTED])


def _of_one_job(job: str, ids: list[str], cycles: list[frozenset[int]]) -> list[Cluster]:
    failed = _matrix(cycles).astype(np.float64)
    shared = failed @ failed.T
    count = failed.sum(axis=1)
    jaccard = shared / np.maximum(count[:, None] + count[None, :] - shared, 1.0)
    linked = (jaccard >= TOGETHER) & (shared >= 2)
    groups = _connected(linked)
    return [
        Cluster(job, tuple(sorted(ids[member] for member in group)), float(np.mean(_pairs(jaccard, group))))
        for group in groups
        if len(group) > 1
    ]


def _matrix(cycles: list[frozenset[int]]) -> BoolArray:
    """Which test (row) failed in which cycle (column)."""
    index = {cycle: column for column, cycle in enumerate(sorted(frozenset().union(*cycles)))}
    matrix = np.zeros((len(cycles), len(index)), np.bool_)
    for row, own in enumerate(cycles):
        matrix[row, [index[cycle] for cycle in own]] = True
    return matrix


def _connected(linked: BoolArray) -> list[list[int]]:
    left, groups = set(range(len(linked))), []
    while left:
        group, edge = set(), [min(left)]
        while edge:
            member = edge.pop()
            if member in left:
                left.remove(member)
                group.add(member)
                edge.extend(np.flatnonzero(linked[member]).tolist())
        groups.append(sorted(group))
    return groups


def _pairs(jaccard: FloatArray, group: list[int]) -> FloatArray:
    part = jaccard[np.ix_(group, group)]
    pairs: FloatArray = part[np.triu_indices(len(group), 1)]
    return pairs
