"""Between the structs of a call and the columns that the scheduling library works on.

Most jobs send the same bytes each time, so short bodies are read once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from agents.scheduling.columns import RankedColumns, TestColumns
from agents.scheduling.testcase import TestResult
from orchestration.service.api.decoding import decode
from orchestration.service.api.fields import PATTERNS, PLAIN, is_plain
from orchestration.service.api.recommendations import (
    Candidate,
    RankedCandidate,
    RecommendationRequest,
    ReportedResult,
)
from orchestration.service.errors import InvalidRequestError

KEPT_BODY_BYTES: Final = 1 << 16
"""Longest body that is remembered with what was read from it."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A request for a recommendation, and its test cases as columns."""

    request: RecommendationRequest
    tests: TestColumns


def read_job(body: bytes) -> Job:
    """What the body of a recommendation holds; equal bytes give the same object.

    Raises:
        ServiceError: see `decode`.
        InputError: an id is empty, or a number is out of range.
    """
    return _kept_job(body) if len(body) <= KEPT_BODY_BYTES else _job(body)


def _job(body: bytes) -> Job:
    request = decode(RecommendationRequest, body)
    return Job(request, columns_of(request.test_cases, request.job))


_kept_job = lru_cache(maxsize=32)(_job)


def columns_of(candidates: Sequence[Candidate], job: str) -> TestColumns:
    """The columns of a job's test cases.

    Raises:
        InvalidRequestError: a text has a control character.
    """
    ids = tuple([test.id for test in candidates])
    durations = tuple([test.duration for test in candidates])
    features = [test.features or None for test in candidates]  # {} says no more than nothing
    if not "".join(ids).isprintable():
        _refuse_control_characters(ids)
    if _is_empty(features):
        return TestColumns(ids, job, () if _is_empty(durations) else durations, (), checked=True)
    for place, entries in enumerate(features):
        _check_texts(entries or {}, f"test_cases[{place}].features")
    pairs = [tuple((entries or {}).items()) for entries in features]
    return TestColumns(ids, job, () if _is_empty(durations) else durations, pairs, checked=True)


def ranked_candidates(ranking: RankedColumns) -> list[RankedCandidate]:
    """The recommendation, one struct per test."""
    positions = range(1, 1 + len(ranking))
    chances = ranking.chances or (None,) * len(ranking)
    columns = (ranking.ids, positions, ranking.priority, ranking.selected, ranking.seconds, ranking.reasons, chances)
    return list(map(RankedCandidate, *columns))


def results_of(results: Iterable[ReportedResult]) -> list[TestResult]:
    """Results as the library takes them."""
    return [TestResult(entry.id, entry.verdict, entry.duration, entry.finished_at) for entry in results]


def reported_results(results: Iterable[TestResult]) -> list[ReportedResult]:
    """The inverse of `results_of`."""
    return [ReportedResult(result.id, result.verdict, result.duration, result.finished_at) for result in results]


def _is_empty(column: Sequence[object]) -> bool:
    return column.count(None) == len(column)


def _refuse_control_characters(ids: Sequence[str]) -> None:
    for place, name in enumerate(ids):
        _check(name, f"test_cases[{place}].id")


def _check_texts(features: dict[str, float | bool | str], field: str) -> None:
    for name, value in features.items():
        _check(name, field)
        if isinstance(value, str):
            _check(value, f"{field}.{name}")


def _check(text: str, field: str) -> None:
    if not (text.isprintable() or is_plain(text)):
        raise InvalidRequestError(f"expected {PATTERNS[PLAIN]}", field)
