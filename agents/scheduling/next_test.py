"""Real time: which test to run next, after what has run in this episode so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from agents.scheduling.budget import budget_seconds
from agents.scheduling.episode import Episode, RankedTest
from agents.scheduling.history import History
from agents.scheduling.observation import BoolArray, FloatArray, IntArray
from agents.scheduling.past_executions import PastExecutions
from agents.scheduling.testcase import TestResult, Verdict

_RAN = (Verdict.PASSED, Verdict.FAILED, Verdict.ERROR)


def next_test(history: History, episode: Episode, results: Mapping[str, TestResult]) -> RankedTest | None:
    """The test to run next; None if the budget has no time for any of the rest. Changes nothing.

    The recommendation is ranked again by place + kinship. Place is 1 for the first and near 0 for the last of the n
    recommended tests. Kinship is how often a test failed in the same cycles as a test that failed in this episode
    (`kinship`): 1 for a test that always fails with it, which then runs at once. Must-run tests come before all.
    The remaining time is what the finished tests really left of the budget.

    Args:
        results: of this episode so far, by test id.
    """
    index = {test.id: place for place, test in enumerate(episode.tests)}
    finished = np.zeros(len(index), np.bool_)
    failed = np.zeros(len(index), np.bool_)
    spent = 0.0
    for name, result in results.items():
        place = index[name]
        finished[place] = True
        failed[place] = result.verdict is Verdict.FAILED
        if result.verdict in _RAN:
            expected = float(episode.observation.durations[place])
            spent += expected if result.duration is None else result.duration
    kin = kinship(history, episode, failed)
    possible = _possible(episode, finished, spent, index)
    if not possible:
        return None
    must = set(episode.budget.must_run)
    count = len(episode.ranking)

    def worth(entry: RankedTest) -> tuple[bool, float]:
        return entry.id in must, 1.0 - (entry.position - 1) / count + float(kin[index[entry.id]])

    best = max(possible, key=worth)
    relation = float(kin[index[best.id]])
    reasons = (f"fails together with a test that failed now ({100.0 * relation:.0f} %)",) if relation > 0.0 else ()
    return replace(best, reasons=(*reasons, *best.reasons))


def kinship(history: History, episode: Episode, failed: BoolArray) -> FloatArray:
    """For each test of the episode, how often it failed in the cycles in which a test failed that failed now.

    The largest share over those tests, in [0, 1], shape (n,); 0 where no test failed or nothing is known. Only tests of
    one job fail together.
    """
    kin = np.zeros(len(episode.tests))
    past = history.past(history.rows(episode.observation.keys))
    cycles = np.unique(past.cycles[failed][past.failed[failed]])
    if not len(cycles):
        return kin
    jobs = np.array([test.job for test in episode.tests], object)
    failed_in = _failed_in(past, cycles)
    for job in dict.fromkeys(jobs[failed].tolist()):
        own = jobs == job
        now = failed_in[failed & own]
        now = now[now.any(axis=1)]
        if len(now):
            together = failed_in[own] @ now.T / now.sum(axis=1)
            kin[own] = together.max(axis=1)
    return kin


def _failed_in(past: PastExecutions, cycles: IntArray) -> FloatArray:
    """1 where a test failed in a cycle, else 0; cycles ascend. Shape (n, cycles)."""
    column = np.minimum(np.searchsorted(cycles, past.cycles), len(cycles) - 1)
    hit = past.failed & (cycles[column] == past.cycles)
    failed = np.zeros((len(past.cycles), len(cycles)))
    tests = np.broadcast_to(np.arange(len(past.cycles))[:, None], hit.shape)
    failed[tests[hit], column[hit]] = 1.0
    return failed


def _possible(episode: Episode, finished: BoolArray, spent: float, index: Mapping[str, int]) -> list[RankedTest]:
    """The tests that have not run and still fit; must-run tests always do."""
    limit = budget_seconds(episode.budget, episode.observation.durations)
    waiting = [entry for entry in episode.ranking if not finished[index[entry.id]]]
    if limit is None:
        return waiting
    must = set(episode.budget.must_run)
    return [entry for entry in waiting if entry.id in must or spent + entry.expected_duration <= limit * (1.0 + 1e-9)]
