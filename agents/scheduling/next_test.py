"""Real time: which test to run next, given what has run in this episode so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from agents.scheduling.budget import budget_seconds
from agents.scheduling.episode import Episode, RankedTest
from agents.scheduling.history import History
from agents.scheduling.observation import BoolArray, FloatArray
from agents.scheduling.testcase import TestResult, Verdict

_RAN = (Verdict.PASSED, Verdict.FAILED, Verdict.ERROR)


def next_test(history: History, episode: Episode, results: Mapping[str, TestResult]) -> RankedTest | None:
    """The test to run next; None if nothing is left that the budget has time for. Changes nothing.

    The recommendation is ranked anew by place + kinship. Place is 1 for the first and near 0 for the last of the n
    recommended tests. Kinship is how often a test failed in the same cycles as a test that failed in this episode
    (`kinship`): 1 for a test that always fails with it, which then runs at once. Must-run tests come before all.
    The time that is left counts what the finished tests really took.

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
    """For each test of the episode, the largest share of a failed test's kept failures that it failed along with.

    Shape (n,), in [0, 1]; 0 where no test failed or nothing is known. Only tests of one job fail together.
    """
    count = len(episode.tests)
    kin = np.zeros(count)
    if not failed.any():
        return kin
    past = history.past(history.rows(episode.observation.keys))
    cycles = np.where(past.failed, past.cycles, -1)
    jobs = np.array([test.job for test in episode.tests], object)
    for place in np.flatnonzero(failed).tolist():
        own = np.unique(cycles[place][cycles[place] > 0])
        if not len(own):
            continue
        shared = np.mean([(cycles == cycle).any(axis=1) for cycle in own.tolist()], axis=0)
        kin = np.maximum(kin, np.where(jobs == episode.tests[place].job, shared, 0.0))
    return kin


def _possible(episode: Episode, finished: BoolArray, spent: float, index: Mapping[str, int]) -> list[RankedTest]:
    """What has not run and still fits; must-run tests always do."""
    limit = budget_seconds(episode.budget, episode.observation.durations)
    waiting = [entry for entry in episode.ranking if not finished[index[entry.id]]]
    if limit is None:
        return waiting
    must = set(episode.budget.must_run)
    return [entry for entry in waiting if entry.id in must or spent + entry.expected_duration <= limit * (1.0 + 1e-9)]
