"""Why a test stands where it stands, in a few words: for people, computed for all tests at once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from agents.scheduling.observation import BoolArray, FloatArray, Observation, Scores

OFTEN = 0.2
"""A share of failures among the kept executions from which a test "fails often"."""
LONG = 5
"""Cycles since the last run that are told."""
FAST = 0.25
"""A test is fast if it takes at most this share of the cycle's mean."""

Reasons = tuple[str, ...]


def reasons(observation: Observation, scores: Scores, must_run: BoolArray) -> list[Reasons]:
    """The reasons for each test, strongest first; every test has at least one."""
    collected: list[list[str]] = [[] for _ in range(len(observation))]

    def tell(where: BoolArray, texts: Iterable[str]) -> None:
        for index, text in zip(np.flatnonzero(where).tolist(), texts, strict=True):
            collected[index].append(text)

    def tell_all(where: BoolArray, text: str) -> None:
        for index in np.flatnonzero(where).tolist():
            collected[index].append(text)

    past = observation.past_failures
    failed = past == 1.0
    kept = (~np.isnan(past)).sum(axis=1)
    failures = failed.sum(axis=1)
    tell_all(must_run, "must run")
    tell_all(observation.new, "new")
    tell_all(scores.explored, "exploring")
    tell(failures > 0, _runs_ago(failed[failures > 0]))
    share = failures / np.maximum(kept, 1)
    often = (share >= OFTEN) & (failures > 1)
    tell(often, (f"fails often ({100.0 * value:.0f} % of recent runs)" for value in share[often].tolist()))
    waiting = observation.since_run > LONG
    tell(waiting, (f"not run for {cycles} cycles" for cycles in observation.since_run[waiting].tolist()))
    tell_all(_fast(observation.durations, observation.new), "fast")
    steady = (failures == 0) & ~observation.new
    tell(steady, ("passed its last run" if runs == 1 else f"passed its last {runs} runs" for runs in kept[steady]))
    return [tuple(texts) for texts in collected]


def _runs_ago(failed: BoolArray) -> Iterable[str]:
    latest = failed.argmax(axis=1)
    return ("failed in its last run" if ago == 0 else f"failed {ago + 1} runs ago" for ago in latest.tolist())


def _fast(durations: FloatArray, new: BoolArray) -> BoolArray:
    if not len(durations):
        return np.zeros(0, np.bool_)
    fast: BoolArray = (durations <= FAST * durations.mean()) & ~new
    return fast
