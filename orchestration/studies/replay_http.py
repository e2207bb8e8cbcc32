"""A replay through a running service: the whole protocol over HTTP, through the client.

The service fills the budget with the durations that it expects, as in a deployment, where the library's replay uses the
true ones. Rows that repeat a test within a cycle have separate histories here: HTTP has no `history_id`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from proctor_client import ClientError, Recommendation, SchedulerClient, TestCase, TestResult

from agents.scheduling.history_replay import ReplayResult, true_durations
from agents.scheduling.loaders.ci_history import CiHistory, Cycle
from agents.scheduling.metrics import METRIC_NAMES, cycle_metrics
from envsearch.errors import InputError
from orchestration.runtime.progress import Phase
from orchestration.studies.replay_item import ReplayItem, load


@dataclass(frozen=True, slots=True)
class HttpReplay:
    """Replays items through a service.

    Attributes:
        job: name of the job in the service, for cycles that were recorded without one.
        keep: leave the agents in the service.
    """

    client: SchedulerClient
    job: str = "replay"
    keep: bool = False

    def run(self, item: ReplayItem, phase: Phase) -> ReplayResult:
        """One item with its own agent, which is deleted afterwards.

        Raises:
            InputError: the service refuses or cannot be reached.
        """
        with client_errors():
            name = f"replay-{item.settings.kind}-{item.settings.seed}-{secrets.token_hex(4)}"
            create(self.client, name, item)
            try:
                return self._replay(load(item.source), name, item, phase)
            finally:
                if not self.keep:
                    self.client.delete_agent(name)

    def _replay(self, history: CiHistory, agent: str, item: ReplayItem, phase: Phase) -> ReplayResult:
        count = len(history)
        curves = Curves.empty(count)
        for number, cycle in enumerate(history):
            durations = true_durations(cycle)
            budget = item.budget_seconds
            if budget is None and item.budget_share < 1.0:
                budget = item.budget_share * float(durations.sum())
            started = time.perf_counter()
            job = job_of(cycle) or self.job
            answer = self.client.recommend(agent, [as_case(test) for test in cycle.tests], job, budget)
            results = results_of(cycle, answer, item.feedback)
            self.client.submit_results(answer, results)
            self.client.assign_reward(answer)
            curves.seconds[number] = time.perf_counter() - started
            curves.enter(number, cycle, answer, durations)
            phase.advance()
        return curves.result(history.name, item)


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """What a replay measures, one entry per cycle."""

    metrics: dict[str, Any]
    missed: Any
    exploration: Any
    seconds: Any
    first_failure: Any

    @classmethod
    def empty(cls, count: int) -> Curves:
        """Before the first cycle."""
        metrics = {name: np.full(count, np.nan) for name in METRIC_NAMES}
        return cls(metrics, np.zeros(count, np.bool_), np.zeros(count), np.zeros(count), np.zeros(count))

    def enter(self, number: int, cycle: Cycle, answer: Recommendation, durations: Any) -> None:
        """The metrics of one cycle."""
        index = {test.id: place for place, test in enumerate(cycle.tests)}
        order = np.array([index[entry.id] for entry in answer.ranking], np.int64)
        selected = np.zeros(len(index), np.bool_)
        selected[order] = [entry.selected for entry in answer.ranking]
        failed = cycle.failed
        run = order[selected[order]]
        failures = np.flatnonzero(failed[run])
        self.first_failure[number] = durations[run[: failures[0] + 1] if len(failures) else run].sum()
        self.exploration[number] = answer.exploration
        measured = cycle_metrics(order, selected, failed, durations)
        if measured is not None:
            self.missed[number] = measured.missed
            for name in METRIC_NAMES:
                self.metrics[name][number] = getattr(measured, name)

    def result(self, history: str, item: ReplayItem) -> ReplayResult:
        """In the library's form; the scheduler stays in the service."""
        return ReplayResult(
            history=history,
            settings=item.settings,
            fill=item.fill,
            budget_share=item.budget_share,
            budget_seconds=item.budget_seconds,
            feedback=item.feedback,
            metrics=self.metrics,
            missed=self.missed,
            exploration=self.exploration,
            seconds=self.seconds,
            first_failure=self.first_failure,
            scheduler=cast(Any, None),
        )


def create(client: SchedulerClient, name: str, item: ReplayItem) -> None:
    """Make the agent of an item."""
    settings = item.settings
    client.create_agent(
        name,
        settings.kind,
        reward=settings.reward,
        exploration=settings.exploration,
        hyperparameters=dict(settings.hyperparameters),
        exploration_settings=dict(settings.exploration_settings),
        history_length=settings.history_length,
        seed=settings.seed,
        budget={"fill": item.fill},
        description="made by proctor replay",
    )


def job_of(cycle: Cycle) -> str:
    """The job that all tests of a cycle belong to.

    Raises:
        InputError: there are several.
    """
    jobs = sorted({test.job for test in cycle.tests})
    if len(jobs) > 1:
        problem = f"has tests of several jobs ({', '.join(jobs)[:200]})"
        raise InputError(problem, f"cycle {cycle.name}", "one job per cycle for a replay over HTTP", "proctor replay")
    return jobs[0] if jobs else ""


def as_case(test: Any) -> TestCase:
    """A test case of the library as the client's."""
    return TestCase(test.id, test.duration, dict(test.features))


def results_of(cycle: Cycle, answer: Recommendation, feedback: str) -> list[TestResult]:
    """What becomes known after the run: all verdicts, or those of the selected tests."""
    reported = None if feedback == "full" else set(answer.order)
    finished = cycle.finished_at
    return [
        TestResult(test.id, verdict.value, None if np.isnan(duration) else duration, finished)
        for test, verdict, duration in zip(cycle.tests, cycle.verdicts, cycle.durations.tolist(), strict=True)
        if reported is None or test.id in reported
    ]


@contextmanager
def client_errors() -> Iterator[None]:
    """Report a service that refuses or cannot be reached in one line.

    Raises:
        InputError: instead of the client's errors.
    """
    try:
        yield
    except ClientError as error:
        expected = "a running service (proctor serve), and a token with scope admin if it requires one"
        raise InputError(str(error), "--url", expected, "proctor replay") from error
