"""A client of a Proctor service: get the order in which to run tests, and report their results.

    client = SchedulerClient("http://localhost:8000", token="...")
    with client.episode("nightly", job="unit", tests=names, time_budget_seconds=3600) as episode:
        for test in episode.order:
            passed, seconds = run(test)
            episode.report(test, "passed" if passed else "failed", seconds)

If the service cannot help, the job goes on in its own order, with a warning.
"""

from proctor_client.async_client import AsyncSchedulerClient
from proctor_client.client import SchedulerClient
from proctor_client.episode import AsyncEpisode, Episode
from proctor_client.errors import (
    ClientError,
    ConflictError,
    NotAllowedError,
    NotFoundError,
    RefusedError,
    SchedulerWarning,
    ServiceUnavailableError,
    UnexpectedAnswerError,
)
from proctor_client.retrying import RetryPolicy
from proctor_client.types import (
    AgentInfo,
    MetricsRow,
    NextTest,
    PastRun,
    RankedTest,
    Receipt,
    Recommendation,
    Reward,
    TestCase,
    TestResult,
    Verdict,
)

__all__ = [
    "AgentInfo",
    "AsyncEpisode",
    "AsyncSchedulerClient",
    "ClientError",
    "ConflictError",
    "Episode",
    "MetricsRow",
    "NextTest",
    "NotAllowedError",
    "NotFoundError",
    "PastRun",
    "RankedTest",
    "Receipt",
    "Recommendation",
    "RefusedError",
    "RetryPolicy",
    "Reward",
    "SchedulerClient",
    "SchedulerWarning",
    "ServiceUnavailableError",
    "TestCase",
    "TestResult",
    "UnexpectedAnswerError",
    "Verdict",
]
