"""Recommend, report results, reward, and the next test."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from agents.scheduling.testcase import Verdict
from orchestration.service.api import limits
from orchestration.service.api.fields import (
    AgentName,
    Body,
    CheckedTestId,
    EpisodeId,
    Features,
    JobName,
    Seconds,
    TestId,
    UnixTime,
)


class PastRun(Body, frozen=True, gc=False):
    """One past execution of a test."""

    verdict: Verdict
    duration: Seconds | None = None
    finished_at: UnixTime | None = None


class Candidate(Body, frozen=True):
    """One test case of the job."""

    id: TestId
    duration: Annotated[Seconds | None, Meta(description="Expected seconds; without it the mean of past runs.")] = None
    features: Features | None = None
    history: (
        Annotated[
            list[PastRun],
            Meta(max_length=limits.HISTORY, description="Past runs, newest first; used if the agent knows none."),
        ]
        | None
    ) = None


class RecommendationRequest(Body, frozen=True):
    """A job's test cases."""

    test_cases: Annotated[list[Candidate], Meta(min_length=1, max_length=limits.TESTS)]
    job: Annotated[JobName, Meta(description="Histories of equal ids in different jobs are kept apart.")] = ""
    time_budget_seconds: Annotated[
        Seconds | None, Meta(description="What does not fit is not selected; without it the agent's own budget.")
    ] = None
    must_run: Annotated[tuple[CheckedTestId, ...], Meta(max_length=limits.TESTS, description="Always selected.")] = ()
    observe: Annotated[
        tuple[AgentName, ...],
        Meta(
            max_length=limits.OBSERVERS,
            description="Shadow agents: they rank and learn from the same episode.",
        ),
    ] = ()

    @classmethod
    def of(cls, ids: Iterable[str], **others: Any) -> RecommendationRequest:
        """A request for these tests; `others` are its other fields."""
        return cls([Candidate(name) for name in ids], **others)


class _Observers(msgspec.Struct):
    """All that the service itself reads of a request; the rest is skipped, which costs little."""

    observe: tuple[AgentName, ...] = ()


_observers = msgspec.json.Decoder(_Observers)


def named_observers(body: bytes) -> tuple[str, ...]:
    """The `observe` of a `RecommendationRequest`; empty where the whole body will be refused."""
    if b"observe" not in body and b"\\" not in body:  # an escaped key is a key too
        return ()
    try:
        return _observers.decode(body).observe
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()


class RankedCandidate(msgspec.Struct, frozen=True, gc=False):
    """One position of the recommendation, from 1; tests that are not selected follow the selected ones.

    `chance` is the agent's estimated probability that the test fails; null where the agent does not estimate it.
    """

    id: str
    position: int
    priority: float
    selected: bool
    expected_duration: float
    reasons: tuple[str, ...]
    chance: float | None


class RecommendationAnswer(msgspec.Struct, frozen=True):
    """The order in which to run the tests, and the episode to report results for.

    `exploration` is the share of chance in this order, in [0, 1].
    """

    episode_id: str
    agent_version: int
    opened_at: float
    exploration: float
    observers: tuple[str, ...]
    ranking: list[RankedCandidate]


class ReportedResult(Body, frozen=True, gc=False):
    """The result of one test."""

    id: TestId
    verdict: Verdict
    duration: Seconds | None = None
    finished_at: UnixTime | None = None


class ResultsRequest(Body, frozen=True):
    """Results of an episode, all or some. The same result again is fine; a different one is a conflict."""

    results: Annotated[list[ReportedResult], Meta(min_length=1, max_length=limits.TESTS)]

    @classmethod
    def of(cls, ids: Iterable[str], verdicts: Iterable[str], durations: Iterable[float] = ()) -> ResultsRequest:
        """Results from their columns; `durations` may be left out.

        Raises:
            ValueError: a verdict is unknown.
        """
        columns = zip_longest(ids, map(Verdict, verdicts), durations)
        return cls([ReportedResult(name, verdict, seconds) for name, verdict, seconds in columns])


class ResultsAnswer(msgspec.Struct, frozen=True):
    """New results, results that were known already, and selected tests still without one."""

    episode_id: str
    recorded: int
    repeated: int
    missing: int


class RewardedTest(msgspec.Struct, frozen=True, gc=False):
    """The reward of one test; null: there was nothing to learn from it."""

    id: str
    reward: float | None


class RewardAnswer(msgspec.Struct, frozen=True):
    """The reward of an episode, in the order of its recommendation.

    A metric that is not defined (no failing test) is left out. `agent_version` is that after learning; `repeated`: the
    episode was rewarded before, and this is the first answer.
    """

    episode_id: str
    agent_version: int
    total: float
    rewarded_at: float
    repeated: bool
    metrics: dict[str, float]
    rewards: list[RewardedTest]


class NextRequest(Body, frozen=True):
    """The results since the last call."""

    episode_id: EpisodeId
    results: Annotated[
        tuple[ReportedResult, ...], Meta(max_length=limits.TESTS, description="Recorded first; may be empty.")
    ] = ()


class NextAnswer(msgspec.Struct, frozen=True):
    """The next test to run; null: nothing is left. `remaining` counts selected tests without a result, this one too."""

    episode_id: str
    test_id: str | None
    position: int | None
    reasons: tuple[str, ...]
    remaining: int
