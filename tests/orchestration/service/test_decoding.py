"""Bodies: what is accepted, and how the first violation is reported, in small bodies and in large ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.service.api.agents import CreateAgent, PatchAgent
from orchestration.service.api.decoding import LONGEST, SMALL, decode, encode, encode_checked
from orchestration.service.api.recommendations import (
    Candidate,
    NextRequest,
    RecommendationRequest,
    ResultsRequest,
)
from orchestration.service.errors import InvalidRequestError, MalformedBodyError, ServiceError, TooLargeError

PAD = b" " * SMALL
REQUESTS = (CreateAgent, PatchAgent, NextRequest, RecommendationRequest, ResultsRequest)

DURATION, FEATURE = "test_cases[0].duration", "test_cases[0].features.f"

ACCEPTED: list[tuple[Any, Any]] = [
    (CreateAgent, {"name": "a"}),
    (CreateAgent, {"name": "a", "kind": "bandit", "seed": 2**53, "objective": None, "budget": None}),
    (CreateAgent, {"name": "a", "hyperparameters": {"alpha": 1, "beta": -1.5, "on": True, "how": "x"}}),
    (CreateAgent, {"name": "a", "budget": {"share": 1, "fill": "prefix", "must_run": ["t"], "new_tests_in": True}}),
    (PatchAgent, {}),
    (PatchAgent, {"description": "line\nline", "budget": {"seconds": 3}}),
    (RecommendationRequest, {"test_cases": [{"id": "a"}]}),
    (RecommendationRequest, {"test_cases": [{"id": "ä\u2028", "duration": None, "features": None, "history": None}]}),
    (
        RecommendationRequest,
        {"test_cases": [{"id": "a", "features": {"x": 1, "y": "s", "z": True}}], "observe": ["b"]},
    ),
    (RecommendationRequest, {"test_cases": [{"id": "a", "history": [{"verdict": "failed", "finished_at": 1.5}]}]}),
    (ResultsRequest, {"results": [{"id": "a", "verdict": "not_run", "duration": 0}]}),
    (NextRequest, {"episode_id": "e", "results": []}),
]
REFUSED: list[tuple[Any, bytes, type[Exception], str]] = [
    (CreateAgent, b'{"name":"a","hyperparameters":{"on":true,"x":[]}}', InvalidRequestError, "hyperparameters.x"),
    (CreateAgent, b'{"name":"a","hyperparameters":{"x":9007199254740993}}', InvalidRequestError, "hyperparameters.x"),
    (CreateAgent, b'{"name":"a","hyperparameters":{"\\n":1}}', InvalidRequestError, "hyperparameters"),
    (CreateAgent, b'{"name":"../a"}', InvalidRequestError, "name"),
    (CreateAgent, b'{"name":"a\\n"}', InvalidRequestError, "name"),
    (CreateAgent, b'{"name":"a","seed":1.0}', InvalidRequestError, "seed"),
    (CreateAgent, b'{"name":"a","seed":true}', InvalidRequestError, "seed"),
    (CreateAgent, b'{"name":"a","budget":{"share":2}}', InvalidRequestError, "budget.share"),
    (CreateAgent, b'{"name":"a","objective":"most"}', InvalidRequestError, "objective"),
    (
        RecommendationRequest,
        b'{"test_cases":[{"id":"a","duration":-1}]}',
        InvalidRequestError,
        "test_cases[0].duration",
    ),
    (
        RecommendationRequest,
        b'{"test_cases":[{"id":"a","duration":true}]}',
        InvalidRequestError,
        "test_cases[0].duration",
    ),
    (
        RecommendationRequest,
        b'{"test_cases":[{"id":"a","duration":1e400}]}',
        InvalidRequestError,
        "test_cases[0].duration",
    ),
    (
        RecommendationRequest,
        b'{"test_cases":[{"id":"a","features":{"f":null}}]}',
        InvalidRequestError,
        "test_cases[0].features.f",
    ),
    (RecommendationRequest, b'{"test_cases":[],"more":1}', InvalidRequestError, "test_cases"),
    (RecommendationRequest, b'{"more":1}', InvalidRequestError, "more"),
    (RecommendationRequest, b"{}", InvalidRequestError, "test_cases"),
    (RecommendationRequest, b"[]", InvalidRequestError, ""),
    (ResultsRequest, b'{"results":[{"id":"a","verdict":"Passed"}]}', InvalidRequestError, "results[0].verdict"),
    (ResultsRequest, b'{"results":[{"id":"\\ud800","verdict":"passed"}]}', MalformedBodyError, ""),
    (ResultsRequest, b'{"results":[{"id":"\xed\xa0\x80","verdict":"passed"}]}', MalformedBodyError, ""),
    (ResultsRequest, b'{"results":', MalformedBodyError, ""),
    (ResultsRequest, b'{"more":1} x', MalformedBodyError, ""),
    (ResultsRequest, b"[" * 5_000, MalformedBodyError, ""),
]
IN_LARGE = {"hyperparameters.x": "hyperparameters[...]", FEATURE: "test_cases[0].features[...]"}
"""Of a large body nothing is read twice, so the entry is not named."""


@pytest.mark.parametrize(("kind", "value"), ACCEPTED)
def test_what_is_right_is_accepted(kind: Any, value: Any) -> None:
    body = json.dumps(value).encode()
    assert decode(kind, body) == decode(kind, body + PAD)


@pytest.mark.parametrize(("kind", "body", "error", "field"), REFUSED)
def test_the_first_violation_is_reported(kind: Any, body: bytes, error: type[ServiceError], field: str) -> None:
    for pad, expected in ((b"", field), (PAD, IN_LARGE.get(field, field))):
        with pytest.raises(ServiceError) as caught:
            decode(kind, body + pad)
        assert (type(caught.value), caught.value.field) == (error, expected)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_constants_that_many_writers_produce_are_named(number: str) -> None:
    body = b'{"results":[{"id":"a","verdict":"passed","duration":%b}]}' % number.encode()
    with pytest.raises(InvalidRequestError) as caught:
        decode(ResultsRequest, body)
    assert caught.value.field == "results[0].duration"
    with pytest.raises(MalformedBodyError):
        decode(ResultsRequest, body + PAD)


def test_a_violation_says_what_would_be_right() -> None:
    for body, detail in (
        (b'{"results":[{"id":"a","verdict":"green"}]}', "'green' is not a valid verdict; expected passed, failed,"),
        (b'{"results":[{"id":5,"verdict":"passed"}]}', "expected a text, got an integer"),
        (b'{"results":[{"id":"a","verdict":"passed","duration":-1}]}', "expected a number >= 0.0"),
        (b'{"results":[{"id":"a"}]}', "is missing"),
        (b'{"results":[],"extra":1}', "expected a list of length >= 1"),
    ):
        with pytest.raises(InvalidRequestError) as caught:
            decode(ResultsRequest, body)
        assert caught.value.detail.startswith(detail)


def test_too_many_entries_are_too_large() -> None:
    for kind, body in (
        (ResultsRequest, {"results": [{"id": "a", "verdict": "passed"}] * 100_001}),
        (CreateAgent, {"name": "a", "hyperparameters": {f"{'x' * 90}{number}": 1 for number in range(400)}}),
        (RecommendationRequest, {"test_cases": [{"id": "a"}], "observe": [f"a{number}" for number in range(17)]}),
    ):
        with pytest.raises(TooLargeError):
            decode(kind, json.dumps(body).encode())  # type: ignore[type-var]


def test_what_is_reported_is_short() -> None:
    with pytest.raises(ServiceError) as caught:
        decode(ResultsRequest, b'{"' + b"x" * SMALL + b'":1}')
    assert len(str(caught.value)) <= LONGEST


def test_structs_made_in_python_are_checked_like_bodies() -> None:
    """JSON has no NaN: written as null it would be accepted."""
    request = RecommendationRequest([Candidate("a", 1.5, {"f": True})], must_run=("a",))
    assert decode(RecommendationRequest, encode_checked(request)) == request
    for wrong in (Candidate("a", float("nan")), Candidate("", 1.0), Candidate("a", features={"f": float("inf")})):
        with pytest.raises(InvalidRequestError):
            encode_checked(RecommendationRequest([wrong]))
    assert b"null" in encode(Candidate("a", float("nan")))


values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
)
names = ["id", "verdict", "duration", "finished_at", "features", "history", "episode_id", "name", "budget", "results"]
objects = st.dictionaries(st.sampled_from(names), values | st.sampled_from(["passed", "a"]), max_size=4)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "test_cases": st.lists(objects, max_size=2),
        "results": st.lists(objects, max_size=2),
        "episode_id": values,
        "name": st.sampled_from(["a", "..", ""]),
        "hyperparameters": objects,
        "budget": objects,
        "observe": values,
        "must_run": values,
    },
)


@settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(body=bodies, kind=st.sampled_from(REQUESTS))
def test_large_and_small_bodies_are_refused_alike(body: Any, kind: Any) -> None:
    text = json.dumps(body).encode()
    outcomes = []
    for content in (text, text + PAD):
        try:
            outcomes.append(encode(decode(kind, content)))
        except ServiceError as error:
            outcomes.append(error.slug.encode())
    if b"NaN" not in text and b"Infinity" not in text:
        assert outcomes[0] == outcomes[1]
