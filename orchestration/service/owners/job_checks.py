"""What an owner asks of a job before it ranks its tests: whether they are too many, and which request it is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from agents.scheduling.history import most_tests
from orchestration.service.api.columns import Job
from orchestration.service.errors import TooLargeError
from orchestration.service.store.codec import PastRun


def check_size(tests: int, history_length: int) -> None:
    """Raise if the executions that are kept of so many tests are too many: memory grows with their product.

    Raises:
        TooLargeError: they are.
    """
    most = most_tests(history_length)
    if tests > most:
        problem = f"{tests} tests are too many for an agent with history_length {history_length}"
        raise TooLargeError(f"{problem}; expected at most {most}, or an agent with a shorter history", "test_cases")


def past_runs(history: Sequence[Any] | None) -> tuple[PastRun, ...]:
    """Reported runs as they are stored."""
    return tuple([(run.verdict.value, run.duration, run.finished_at) for run in history or ()])


def job_digest(job: Job, observers: Sequence[str], key: str) -> str:
    """What tells two requests with one key apart: the same text since the first version, because it is stored."""
    request, tests = job.request, job.tests
    histories = [past_runs(test.history) for test in request.test_cases]
    candidates = (
        f"Candidates(ids={tests.ids!r}, durations={tests.durations!r}, features={tests.features!r}, "
        f"histories={tuple(histories) if any(histories) else ()!r})"
    )
    text = (
        f"RecommendationRequest(candidates={candidates}, job={request.job!r}, "
        f"time_budget_seconds={request.time_budget_seconds!r}, must_run={tuple(request.must_run)!r}, "
        f"observe={tuple(observers)!r}, idempotency_key={key!r})"
    )
    return hashlib.sha256(text.encode()).hexdigest()
