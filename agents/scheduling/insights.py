"""Insights into a history for people: tests that fail together, tests not run for long, flaky tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agents.scheduling.average_linkage import average_linkage
from agents.scheduling.flakiness import flip_rate
from agents.scheduling.history import History
from agents.scheduling.observation import FloatArray, IntArray
from agents.scheduling.past_executions import PastExecutions
from agents.scheduling.testcase import split_key
from envsearch.errors import InputError

MOST_COMPARED = 2_000
"""Tests compared in pairs, those with the most failures first: bounds time and memory."""


@dataclass(frozen=True, slots=True)
class InsightSettings:
    """The thresholds of an insight.

    Attributes:
        similarity: least mean Jaccard index between the failing cycles of a cluster's tests, in (0, 1].
        common_failures: least cycles in which two tests both failed to count as alike.
        stale_cycles: least cycles of the job without a run.
        flip_rate: least share of neighbouring executions with different verdicts, in (0, 1].
        changes: least changes of verdict; one or two are a fault and its repair.
        limit: most entries per list.
    """

    similarity: float = 0.6
    common_failures: int = 3
    stale_cycles: int = 20
    flip_rate: float = 0.3
    changes: int = 3
    limit: int = 100

    def __post_init__(self) -> None:
        for name in ("similarity", "flip_rate"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise InputError(f"{getattr(self, name)!r} is out of range", name, "a share in (0, 1]")
        for name in ("common_failures", "stale_cycles", "changes", "limit"):
            if getattr(self, name) < 1:
                raise InputError(f"{getattr(self, name)!r} is out of range", name, "at least 1")


@dataclass(frozen=True, slots=True)
class FailureCluster:
    """Tests of one job that fail together.

    Attributes:
        tests: by name.
        similarity: mean Jaccard index of their failing cycles over all pairs, in (0, 1].
        cycles: kept cycles in which at least two of them failed.
    """

    job: str
    tests: tuple[str, ...]
    similarity: float
    cycles: int


@dataclass(frozen=True, slots=True)
class StaleTest:
    """A test that has not run for long.

    Attributes:
        cycles: of the job since its last run; since it became known if it never ran.
        ever_run: whether it ever ran.
    """

    job: str
    test: str
    cycles: int
    ever_run: bool


@dataclass(frozen=True, slots=True)
class FlakyTest:
    """A test whose verdict changes again and again.

    Attributes:
        flip_rate: share of the kept neighbouring executions with different verdicts, in (0, 1].
        executions, failures: among those kept.
    """

    job: str
    test: str
    flip_rate: float
    executions: int
    failures: int


@dataclass(frozen=True, slots=True)
class Insights:
    """The lists, the most conspicuous entry first."""

    clusters: tuple[FailureCluster, ...]
    stale: tuple[StaleTest, ...]
    flaky: tuple[FlakyTest, ...]


def insights(history: History, settings: InsightSettings | None = None, keys: Sequence[str] | None = None) -> Insights:
    """The insights from the kept executions of these tests.

    Args:
        keys: tests to look at, for instance those of the last cycle (a test that was deleted is never run again);
            None: all that the history knows.
    """
    settings = settings or InsightSettings()
    names = tuple(dict.fromkeys(history.keys if keys is None else keys))
    rows = history.rows(names)
    known = rows >= 0
    names, rows = tuple(name for name, there in zip(names, known, strict=True) if there), rows[known]
    past = history.past(rows)
    return Insights(
        clusters=_clusters(names, past, settings),
        stale=_stale(names, history, rows, settings),
        flaky=_flaky(names, past, history.past_failures(rows), settings),
    )


def _clusters(names: Sequence[str], past: PastExecutions, settings: InsightSettings) -> tuple[FailureCluster, ...]:
    """By average linkage: a chain of tests in which only neighbours are alike is not a cluster."""
    compared = np.argsort(-past.failed.sum(axis=1), kind="stable")[:MOST_COMPARED]
    compared = compared[past.failed[compared].sum(axis=1) >= settings.common_failures]
    if len(compared) < 2:
        return ()
    jobs = [split_key(names[test])[0] for test in compared]
    failures = _failing_cycles(jobs, past, compared)
    jaccard = _jaccard(failures, len(compared), settings.common_failures)
    clusters = []
    for members in average_linkage(1.0 - jaccard, 1.0 - settings.similarity + 1e-9):
        if len(members) < 2:
            continue
        pairs = jaccard[np.ix_(members, members)][np.triu_indices(len(members), 1)]
        failing = np.bincount(failures[1][np.isin(failures[0], members)])
        tests = tuple(sorted(split_key(names[compared[member]])[1] for member in members))
        clusters.append(
            FailureCluster(jobs[members[0]], tests, float(pairs.mean()), int(np.count_nonzero(failing >= 2)))
        )
    clusters.sort(key=lambda cluster: (-len(cluster.tests), -cluster.similarity, cluster.job, cluster.tests))
    return tuple(clusters[: settings.limit])


def _jaccard(failures: IntArray, count: int, common_failures: int) -> FloatArray:
    """Cycles in which both failed over cycles in which either did, shape (tests, tests); 1 on the diagonal."""
    common = np.zeros((count, count))
    test, cycle = failures[:, np.argsort(failures[1], kind="stable")]
    for together in np.split(test, np.flatnonzero(np.diff(cycle)) + 1):
        common[np.ix_(together, together)] += 1.0
    total: FloatArray = common.diagonal()
    jaccard: FloatArray = common / (total[:, None] + total[None, :] - common)
    jaccard[common < common_failures] = 0.0
    np.fill_diagonal(jaccard, 1.0)
    return jaccard


def _failing_cycles(jobs: Sequence[str], past: PastExecutions, compared: IntArray) -> IntArray:
    """(test, cycle) of each failure, each pair once, shape (2, failures); each job has its own cycles."""
    number = {job: index for index, job in enumerate(dict.fromkeys(jobs))}
    job = np.array([number[name] for name in jobs], dtype=np.int64)
    test, slot = np.nonzero(past.failed[compared])
    cycle = past.cycles[compared][test, slot] * len(number) + job[test]
    column = np.unique(cycle, return_inverse=True)[1]
    # A test may have failed twice in one cycle.
    failures: IntArray = np.unique(np.stack([test, column]).astype(np.int64), axis=1)
    return failures


def _stale(names: Sequence[str], history: History, rows: IntArray, settings: InsightSettings) -> tuple[StaleTest, ...]:
    counts = history.counts(rows)
    ran = counts.since_run >= 0
    waited = np.where(ran, counts.since_run, counts.age)
    order = [test for test in np.argsort(-waited, kind="stable") if waited[test] >= settings.stale_cycles]
    return tuple(
        StaleTest(*split_key(names[test]), int(waited[test]), bool(ran[test])) for test in order[: settings.limit]
    )


def _flaky(
    names: Sequence[str], past: PastExecutions, past_failures: FloatArray, settings: InsightSettings
) -> tuple[FlakyTest, ...]:
    rate = flip_rate(past_failures)
    executions, failures = past.known.sum(axis=1), past.failed.sum(axis=1)
    changes = np.rint(rate * np.maximum(executions - 1, 0))
    flaky = (rate >= settings.flip_rate) & (changes >= settings.changes)
    order = [test for test in np.argsort(-rate, kind="stable") if flaky[test]]
    return tuple(
        FlakyTest(*split_key(names[test]), float(rate[test]), int(executions[test]), int(failures[test]))
        for test in order[: settings.limit]
    )
