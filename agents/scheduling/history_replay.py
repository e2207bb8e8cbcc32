"""Replays a recorded CI history through a scheduler, cycle by cycle, and measures the orders it gave."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.scheduling.episode import Budget, Episode
from agents.scheduling.loaders.ci_history import CiHistory, Cycle
from agents.scheduling.metrics import METRIC_NAMES, cycle_metrics
from agents.scheduling.observation import FloatArray
from agents.scheduling.scheduler import Scheduler
from agents.scheduling.settings import AgentSettings
from agents.scheduling.testcase import TestResult
from envsearch.errors import unknown_name

FEEDBACKS = ("full", "partial")
"""Full: the verdicts of all tests of a cycle become known. Partial: of those that fitted the budget."""


@dataclass(frozen=True, slots=True, eq=False)
class ReplayResult:
    """One replay with one seed. Arrays have one entry per cycle.

    Attributes:
        metrics: `metrics.METRIC_NAMES` -> values; NaN in cycles without a failing test.
        missed: every failure of the cycle was missed.
        exploration: how much was explored, in [0, 1].
        seconds: of the scheduler's own work in the cycle: recommend, record and reward.
        first_failure: seconds until the end of the first failing test that ran; if none did, until all selected tests
            had run.
        scheduler: its state after the last cycle.
    """

    history: str
    settings: AgentSettings
    fill: str
    budget_share: float
    budget_seconds: float | None
    feedback: str
    metrics: Mapping[str, FloatArray]
    missed: NDArray[np.bool_]
    exploration: FloatArray
    seconds: FloatArray
    first_failure: FloatArray
    scheduler: Scheduler

    @property
    def failing(self) -> NDArray[np.bool_]:
        """The cycles with a failing test."""
        failing: NDArray[np.bool_] = ~np.isnan(self.metrics["napfd"])
        return failing

    def summary(self) -> dict[str, Any]:
        """The numbers of this replay as a JSON object; see `summarise`."""
        return summarise([self])


def replay(
    history: CiHistory,
    settings: AgentSettings,
    fill: str = "greedy",
    budget_share: float = 0.5,
    feedback: str = "full",
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
    budget_seconds: float | None = None,
) -> ReplayResult:
    """Recommend, execute, reward for each cycle in turn.

    As in the published numbers, the budget is a share of the cycle's summed true durations and is filled with the true
    durations. The agent knows only past durations. A test without a measured duration counts as the mean of the
    cycle's measured ones (one second if there is none).

    Args:
        settings: of the agent; its seed is replaced by `seed`.
        budget_share: in [0, 1].
        feedback: one of `FEEDBACKS`.
        budget_seconds: the same budget for every cycle, instead of the share.
        progress: called with the number of finished cycles.

    Raises:
        InputError: a setting is wrong.
    """
    if feedback not in FEEDBACKS:
        raise unknown_name("feedback", feedback, FEEDBACKS, "feedback")
    budget = Budget(share=budget_share, fill=fill)
    if budget_seconds is not None:
        budget = Budget(seconds=budget_seconds, fill=fill)
    scheduler = Scheduler(replace(settings, seed=seed))
    count = len(history)
    metrics = {name: np.full(count, np.nan) for name in METRIC_NAMES}
    missed = np.zeros(count, np.bool_)
    exploration, seconds, first_failure = np.zeros(count), np.zeros(count), np.zeros(count)
    for number, cycle in enumerate(history):
        durations = true_durations(cycle)
        started = time.perf_counter()
        episode = scheduler.recommend(cycle.tests, str(number), number, budget, fill_durations=durations, explain=False)
        results = executed(cycle, episode, feedback)
        scheduler.record(episode, results)
        scheduler.reward(episode, {result.id: result for result in results})
        seconds[number] = time.perf_counter() - started
        exploration[number] = episode.scores.exploration
        missed[number], first_failure[number] = _measure(cycle, episode, durations, metrics, number)
        if progress is not None:
            progress(number + 1)
    return ReplayResult(
        history=history.name,
        settings=scheduler.settings,
        fill=fill,
        budget_share=budget_share,
        budget_seconds=budget_seconds,
        feedback=feedback,
        metrics=metrics,
        missed=missed,
        exploration=exploration,
        seconds=seconds,
        first_failure=first_failure,
        scheduler=scheduler,
    )


def summarise(results: Sequence[ReplayResult]) -> dict[str, Any]:
    """Means over the failing cycles and over seeds of one agent on one history, as a JSON object.

    A metric is null if no cycle has a failing test. `missed_cycles` is the mean number of failing cycles whose failures
    were all missed: they count 1 in `ttff`.
    """
    first = results[0]
    failing = first.failing
    means = {
        name: float(np.mean([result.metrics[name][failing].mean() for result in results])) if failing.any() else None
        for name in METRIC_NAMES
    }
    return {
        "history": first.history,
        "agent": first.settings.kind,
        "reward": first.settings.reward,
        "feedback": first.feedback,
        "fill": first.fill,
        "budget": first.budget_share if first.budget_seconds is None else f"{first.budget_seconds:g} s",
        "cycles": len(failing),
        "failing_cycles": int(failing.sum()),
        "missed_cycles": float(np.mean([result.missed.sum() for result in results])),
        "seeds": [result.settings.seed for result in results],
        **means,
        "seconds_per_cycle": float(np.mean([result.seconds.mean() for result in results])) if len(failing) else None,
    }


def true_durations(cycle: Cycle) -> FloatArray:
    """Measured seconds, shape (n,), with gaps filled by the cycle's mean."""
    gaps = np.isnan(cycle.durations)
    if not gaps.any():
        return cycle.durations
    return np.where(gaps, 1.0 if gaps.all() else cycle.durations[~gaps].mean(), cycle.durations)


def executed(cycle: Cycle, episode: Episode, feedback: str) -> list[TestResult]:
    """The results that become known, in the cycle's own order."""
    reported = None
    if feedback == "partial":
        reported = {entry.id for entry in episode.ranking if entry.selected}
    return [
        TestResult(test.id, verdict, None if duration != duration else duration, cycle.finished_at)
        for test, verdict, duration in zip(cycle.tests, cycle.verdicts, cycle.durations.tolist(), strict=True)
        if reported is None or test.id in reported
    ]


def _measure(
    cycle: Cycle, episode: Episode, durations: FloatArray, metrics: Mapping[str, FloatArray], number: int
) -> tuple[bool, float]:
    """Enter the metrics of a cycle; whether every failure was missed, and seconds to the first failure or the end."""
    index = {test.id: place for place, test in enumerate(cycle.tests)}
    order = np.fromiter((index[entry.id] for entry in episode.ranking), np.int64, len(index))
    selected = np.zeros(len(index), np.bool_)
    selected[order] = [entry.selected for entry in episode.ranking]
    failed = cycle.failed
    run = order[selected[order]]
    failures = np.flatnonzero(failed[run])
    until = run[: failures[0] + 1] if len(failures) else run
    measured = cycle_metrics(order, selected, failed, durations, episode.order)
    if measured is not None:
        for name in METRIC_NAMES:
            metrics[name][number] = getattr(measured, name)
    return measured is not None and measured.missed, float(durations[until].sum())
