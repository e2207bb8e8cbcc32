"""Calls as the bytes of their HTTP bodies: read once, by the owner, which writes the answer's body too.

A call made of values crosses four borders (HTTP, two processes, the store), and each costs about as much as ranking the
tests. The three calls that every CI job makes are carried as bytes instead. What is read here is exactly what the
schemas of the HTTP side accept; whatever is unusual, and all that is wrong, is refused with `NotPlainError`, and goes
the way of values, where errors are told field by field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Literal

import msgspec

from orchestration.service.errors import ServiceError
from orchestration.service.limits import (
    LONGEST_ID,
    LONGEST_NAME,
    MOST_FEATURES,
    MOST_PAST_RUNS,
    MOST_TESTS,
)
from orchestration.service.owners.columns import Candidates, Ranking, Results
from orchestration.service.owners.messages import (
    RecommendationAnswer,
    RecommendationRequest,
    ResultsAnswer,
    RewardAnswer,
)
from orchestration.service.store.schema import TEXT_LENGTH


class NotPlainError(ServiceError):
    """The body is to be read by whoever can tell what is wrong with it."""


@dataclass(frozen=True, slots=True)
class RawRequest:
    """One of the three calls of every CI job.

    Attributes:
        body: of the HTTP call; b"" for a reward.
        episode_id: of results and reward; a recommendation has it in its `OwnerCall`.
        idempotency_key: of a recommendation.
    """

    kind: Literal["recommend", "results", "reward"]
    body: bytes = b""
    episode_id: str = ""
    idempotency_key: str = ""

    def __reduce__(self) -> tuple[type[RawRequest], tuple[str, ...]]:
        return RawRequest, (self.kind, self.body, self.episode_id, self.idempotency_key)  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer's body, and what the service needs to know of it.

    Attributes:
        observers: agents that observe the episode.
        count: results that were new; 1 for a reward that was not given before, else 0.
        numbers: what is tracked of a new reward: its total and its metrics with their names; the exploration of a
            recommendation.
    """

    body: bytes
    observers: tuple[str, ...] = ()
    count: int = 0
    version: int = 0
    numbers: tuple[tuple[str, float], ...] = ()

    def __reduce__(self) -> tuple[type[RawAnswer], tuple[object, ...]]:
        return RawAnswer, (self.body, self.observers, self.count, self.version, self.numbers)


# -- what comes in ----------------------------------------------------------------------------------------------------

_Verdict = Literal["passed", "failed", "error", "skipped", "not_run"]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
_UnixTime = Annotated[float, msgspec.Meta(ge=0, le=1e11)]
_Number = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
_Name = Annotated[str, msgspec.Meta(max_length=LONGEST_NAME)]


class _PastRun(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    verdict: _Verdict
    duration: _Seconds | None = None
    finished_at: _UnixTime | None = None


class _Test(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    duration: _Seconds | None = None
    features: Annotated[dict[_Name, _Number | bool | _Name], msgspec.Meta(max_length=MOST_FEATURES)] | None = None
    history: Annotated[list[_PastRun], msgspec.Meta(max_length=MOST_PAST_RUNS)] | None = None


class _Recommend(msgspec.Struct, forbid_unknown_fields=True):
    test_cases: Annotated[list[_Test], msgspec.Meta(min_length=1, max_length=MOST_TESTS)]
    job: Annotated[str, msgspec.Meta(max_length=TEXT_LENGTH)] = ""
    time_budget_seconds: _Seconds | None = None
    must_run: Annotated[list[str], msgspec.Meta(max_length=MOST_TESTS)] = []
    observe: Annotated[list[str], msgspec.Meta(max_length=0)] = []


class _Result(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    id: str
    verdict: _Verdict
    duration: _Seconds | None = None
    finished_at: _UnixTime | None = None


class _Report(msgspec.Struct, forbid_unknown_fields=True):
    results: Annotated[list[_Result], msgspec.Meta(min_length=1, max_length=MOST_TESTS)]


_recommend = msgspec.json.Decoder(_Recommend)
_report = msgspec.json.Decoder(_Report)


def recommendation_request(body: bytes, idempotency_key: str) -> RecommendationRequest:
    """The request that the body of ``POST /agents/{agent}/recommendations`` holds.

    Raises:
        NotPlainError: it names observers, has unusual characters, or is wrong.
    """
    request = _kept_request(body) if len(body) <= KEPT_BODY_BYTES else _request(body)
    return replace(request, idempotency_key=idempotency_key) if idempotency_key else request


def _request(body: bytes) -> RecommendationRequest:
    try:
        asked = _recommend.decode(body)
        _plain((asked.job,), longest=TEXT_LENGTH, shortest=0)
        return RecommendationRequest(
            _candidates(asked.test_cases), asked.job, asked.time_budget_seconds, _plain(tuple(asked.must_run))
        )
    except (msgspec.MsgspecError, UnicodeDecodeError, ServiceError, RecursionError) as error:
        raise NotPlainError(str(error)) from error


KEPT_BODY_BYTES = 1 << 16
"""A job mostly asks for the tests that it asked for last time, in the same bytes: shorter bodies are read once."""

_kept_request = lru_cache(maxsize=32)(_request)


def results_of_body(body: bytes) -> Results:
    """The results that the body of ``POST /agents/{agent}/episodes/{episode}/results`` holds.

    Raises:
        NotPlainError: it has unusual characters, or is wrong.
    """
    try:
        told = _report.decode(body).results
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotPlainError(str(error)) from error
    durations = tuple([one.duration for one in told])
    finished = tuple([one.finished_at for one in told])
    return Results(
        _plain(tuple([one.id for one in told])),
        tuple([one.verdict for one in told]),
        () if _untold(durations) else durations,
        () if _untold(finished) else finished,
    )


def _candidates(tests: list[_Test]) -> Candidates:
    durations = tuple([test.duration for test in tests])
    features = [test.features for test in tests]
    histories = [test.history for test in tests]
    return Candidates(
        _plain(tuple([test.id for test in tests])),
        () if _untold(durations) else durations,
        () if _untold(features) else tuple([_features(one or {}) for one in features]),
        () if _untold(histories) else tuple([_past_runs(one or []) for one in histories]),
        checked=True,
    )


def _untold(column: Sequence[object]) -> bool:
    return column.count(None) == len(column)


def _features(told: dict[str, float | bool | str]) -> tuple[tuple[str, float | bool | str], ...]:
    _plain(tuple(told), longest=LONGEST_NAME, shortest=0)
    _plain(tuple([value for value in told.values() if isinstance(value, str)]), longest=LONGEST_NAME, shortest=0)
    return tuple(told.items())


def _past_runs(told: list[_PastRun]) -> tuple[tuple[str, float | None, float | None], ...]:
    return tuple([(run.verdict, run.duration, run.finished_at) for run in told])


def _plain(texts: tuple[str, ...], longest: int = LONGEST_ID, shortest: int = 1) -> tuple[str, ...]:
    """The texts, none of them with a control character or half a character.

    Raises:
        NotPlainError: one has, or is too long.
    """
    lengths = list(map(len, texts))
    if lengths and not (shortest <= min(lengths) and max(lengths) <= longest and "".join(texts).isprintable()):
        raise NotPlainError("a text is unusual")
    return texts


# -- what goes out ----------------------------------------------------------------------------------------------------


class _Ranked(msgspec.Struct, gc=False):
    id: str
    position: int
    priority: float
    selected: bool
    expected_duration: float
    reasons: tuple[str, ...]


class _Recommendation(msgspec.Struct):
    episode_id: str
    agent_version: int
    opened_at: float
    exploration: float
    observers: tuple[str, ...]
    ranking: list[_Ranked]


class _Recorded(msgspec.Struct):
    episode_id: str
    recorded: int
    repeated: int
    missing: int


class _TestReward(msgspec.Struct, gc=False):
    id: str
    reward: float | None


class _Reward(msgspec.Struct):
    episode_id: str
    agent_version: int
    total: float
    rewarded_at: float
    repeated: bool
    metrics: dict[str, float]
    rewards: list[_TestReward]


_encode = msgspec.json.Encoder().encode


def recommendation_answer(answer: RecommendationAnswer) -> RawAnswer:
    """The answer to a recommendation."""
    told = _Recommendation(
        answer.episode_id,
        answer.agent_version,
        answer.opened_at,
        answer.exploration,
        answer.observers,
        _ranked(answer.ranking),
    )
    return RawAnswer(_encode(told), answer.observers, numbers=(("exploration", answer.exploration),))


def _ranked(ranking: Ranking) -> list[_Ranked]:
    positions = range(1, 1 + len(ranking.ids))
    columns = (ranking.ids, positions, ranking.priority, ranking.selected, ranking.expected_duration, ranking.reasons)
    return list(map(_Ranked, *columns))


def results_answer(answer: ResultsAnswer) -> RawAnswer:
    """The answer to a results call."""
    told = _Recorded(answer.episode_id, answer.recorded, answer.repeated, answer.missing)
    return RawAnswer(_encode(told), answer.observers, answer.recorded)


def reward_answer(answer: RewardAnswer) -> RawAnswer:
    """The answer to a reward call."""
    told = _Reward(
        answer.episode_id,
        answer.agent_version,
        answer.total,
        answer.rewarded_at,
        answer.repeated,
        dict(answer.metrics),
        list(map(_TestReward, answer.ids, answer.rewards)),
    )
    numbers = () if answer.repeated else (("reward", answer.total), *answer.metrics)
    return RawAnswer(_encode(told), answer.observers, int(not answer.repeated), answer.agent_version, numbers)
