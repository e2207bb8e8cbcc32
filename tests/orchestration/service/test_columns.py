"""Bodies of recommendations as columns, read once; answers of the owner as structs."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.scheduling.columns import RankedColumns
from agents.scheduling.testcase import TestCase, TestResult, Verdict
from orchestration.service.api.agents import CreateAgent, PatchAgent
from orchestration.service.api.columns import ranked_candidates, read_job, reported_results, results_of
from orchestration.service.api.decoding import decode, encode
from orchestration.service.api.recommendations import Candidate, RankedCandidate, RecommendationRequest, ResultsRequest
from orchestration.service.errors import InvalidRequestError, ServiceError
from orchestration.service.owners.job_checks import job_digest

DIRECTIONS = ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")
BODY = {"job": "unit", "test_cases": [{"id": "a", "duration": 2}, {"id": "b", "features": {"owner": "ann", "age": 3}}]}

texts = st.text(st.characters(codec="utf-8"), max_size=5) | st.sampled_from(["", "a\x00", "é", "\x7f", "\u2028"])
scalars = st.none() | st.booleans() | st.floats(-2, 1e16) | st.integers(-3, 10**17) | texts
tests = st.fixed_dictionaries(
    {"id": texts},
    optional={
        "duration": st.none() | st.floats(0, 1e9),
        "features": st.none() | st.dictionaries(texts, scalars, max_size=2),
        "history": st.none() | st.just([{"verdict": "failed", "finished_at": 3}]),
    },
)


MARKS = [mark for mark in map(chr, range(0x110000)) if unicodedata.bidirectional(mark) in DIRECTIONS]
MARKS += ["\u061c", "\u200e", "\u200f"]
"""Characters that change the direction of the text after them."""


def has_control_characters(value: Any) -> bool:
    if isinstance(value, str):
        return any(unicodedata.category(character) in ("Cc", "Zl", "Zp") or character in MARKS for character in value)
    if isinstance(value, dict):
        return has_control_characters(list(value)) or has_control_characters(list(value.values()))
    return isinstance(value, list) and any(map(has_control_characters, value))


@given(st.lists(tests, min_size=1, max_size=3), st.booleans())
def test_columns_are_the_test_cases_and_texts_are_plain(cases: list[dict[str, Any]], ascii_only: bool) -> None:
    body = json.dumps({"test_cases": cases}, ensure_ascii=ascii_only).encode()
    try:
        job = read_job(body)
    except ServiceError:
        return
    assert not has_control_characters(cases)
    expected = [
        TestCase(case["id"], "", case.get("duration"), tuple((case.get("features") or {}).items())) for case in cases
    ]
    assert job.tests == expected
    assert job.request == decode(RecommendationRequest, body)


@pytest.mark.parametrize(
    ("case", "field"),
    [
        ({"id": "a\n"}, "test_cases[1].id"),
        ({"id": "a\x85b"}, "test_cases[1].id"),
        ({"id": "a\u202egnp.b"}, "test_cases[1].id"),
        ({"id": "a", "features": {"x\x7f": 1}}, "test_cases[1].features"),
        ({"id": "a", "features": {"x": "\x00"}}, "test_cases[1].features.x"),
    ],
)
def test_control_characters_are_refused_by_name(case: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_job(json.dumps({"test_cases": [{"id": "first"}, case]}).encode())
    assert caught.value.field == field


def test_columns_that_nobody_fills_stay_empty() -> None:
    tests = read_job(json.dumps(BODY).encode()).tests
    assert (tests.ids, tests.job, tests.durations) == (("a", "b"), "unit", (2.0, None))
    assert tests.features == ((), (("owner", "ann"), ("age", 3.0)))
    bare = read_job(b'{"test_cases":[{"id":"a"}]}').tests
    assert (bare.durations, bare.features) == ((), ())


def test_equal_bytes_are_read_once_and_other_bytes_anew() -> None:
    body = json.dumps(BODY).encode()
    first = read_job(body)
    assert read_job(bytes(bytearray(body))) is first
    assert read_job(body.replace(b'"b"', b'"c"')).tests.ids == ("a", "c")


def test_what_is_wrong_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(InvalidRequestError):
            read_job(b'{"test_cases": []}')


def test_results_go_there_and_back() -> None:
    body = b'{"results":[{"id":"a","verdict":"failed"},{"id":"b","verdict":"passed","duration":1,"finished_at":2}]}'
    results = results_of(decode(ResultsRequest, body).results)
    assert results == [TestResult("a", Verdict.FAILED), TestResult("b", Verdict.PASSED, 1.0, 2.0)]
    assert ResultsRequest(reported_results(results)) == decode(ResultsRequest, body)


def test_a_ranking_is_written_in_its_order() -> None:
    columns = (("b", 'é"\n'), (1 / 3, -0.0), (True, False), (2.0, 1e-7), (("new", "must run"), ()))
    ranking = RankedColumns(*columns, chances=(None, 0.25))
    first, second = ranked_candidates(ranking)
    assert first == RankedCandidate("b", 1, 1 / 3, True, 2.0, ("new", "must run"), None)
    assert (json.loads(encode(second))["id"], second.chance) == ('é"\n', 0.25)
    assert [test.chance for test in ranked_candidates(RankedColumns(*columns))] == [None, None]
    assert list(json.loads(encode(first))) == list(RankedCandidate.__struct_fields__), "in the same order"


@pytest.mark.parametrize("character", ["\x80", "\x9f", *MARKS, "\u2028", "\u2029"])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (RecommendationRequest, {"test_cases": [{"id": "a"}], "job": "X"}),
        (RecommendationRequest, {"test_cases": [{"id": "a"}], "must_run": ["X"]}),
        (CreateAgent, {"name": "a", "budget": {"must_run": ["X"]}}),
        (CreateAgent, {"name": "a", "hyperparameters": {"X": 1}}),
        (PatchAgent, {"exploration": "X"}),
    ],
)
def test_no_name_has_marks_of_direction(kind: type[Any], body: dict[str, Any], character: str) -> None:
    with pytest.raises(InvalidRequestError, match="without control characters and marks of direction"):
        decode(kind, json.dumps(body).replace("X", json.dumps(f"a{character}")[1:-1]).encode())
    decode(kind, json.dumps(body).replace("X", "\u05d0\u00e9 \u4e2d").encode())


def test_what_says_nothing_is_the_same_as_nothing() -> None:
    """A caller's library may write null, an empty object, an empty list, or leave the field out."""
    bodies: list[dict[str, Any]] = [
        {"id": "a"},
        {"id": "a", "duration": None, "features": None, "history": None},
        {"id": "a", "features": {}, "history": []},
    ]
    jobs = [read_job(json.dumps({"test_cases": [body, {**body, "id": "b"}]}).encode()) for body in bodies]
    typed = RecommendationRequest([Candidate("a", features={}), Candidate("b", history=[])])
    jobs.append(read_job(encode(typed)))
    assert len({job_digest(job, (), "key") for job in jobs}) == 1
    other = read_job(b'{"test_cases":[{"id":"a","duration":1},{"id":"b"}]}')
    assert job_digest(other, (), "key") != job_digest(jobs[0], (), "key")
