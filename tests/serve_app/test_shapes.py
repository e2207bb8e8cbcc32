"""Large bodies: what is wrong with them is found as in small ones, but only the first of it is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

from orchestration.service.errors import InvalidRequestError, ServiceError, TooLargeError
from serve_app.app import TABLES
from serve_app.routes.calls import Call
from serve_app.schemas.agents import AgentIn, AgentPatchIn
from serve_app.schemas.recommendations import NextIn, RecommendationIn, ResultsIn
from serve_app.shapes import LONGEST, SMALL, refuse_misshapen

PAD = b" " * SMALL
JSON = {"content-type": "application/json"}
MODELS = (AgentIn, AgentPatchIn, NextIn, RecommendationIn, ResultsIn)

ACCEPTED: list[tuple[Any, Any]] = [
    (AgentIn, {"name": "a"}),
    (AgentIn, {"name": "a", "kind": "bandit", "seed": 2**53, "objective": None, "budget": None}),
    (AgentIn, {"name": "a", "hyperparameters": {"alpha": 1, "beta": -1.5, "on": True, "how": "x"}}),
    (AgentIn, {"name": "a", "budget": {"share": 1, "fill": "prefix", "must_run": ["t"], "new_tests_in": True}}),
    (AgentPatchIn, {}),
    (AgentPatchIn, {"description": "line\nline", "budget": {"seconds": 3}}),
    (RecommendationIn, {"test_cases": [{"id": "a"}]}),
    (RecommendationIn, {"test_cases": [{"id": "ä\u2028", "duration": None, "features": None, "history": None}]}),
    (RecommendationIn, {"test_cases": [{"id": "a", "features": {"x": 1, "y": "s", "z": False}}], "observe": ["b"]}),
    (RecommendationIn, {"test_cases": [{"id": "a", "history": [{"verdict": "failed", "finished_at": 1.5}]}]}),
    (ResultsIn, {"results": [{"id": "a", "verdict": "not_run", "duration": 0}]}),
    (NextIn, {"episode_id": "e", "results": []}),
]
REFUSED: list[tuple[Any, bytes, type[Exception], str]] = [
    (AgentIn, b'{"name":"a","hyperparameters":{"x":[]}}', InvalidRequestError, "hyperparameters[...]"),
    (AgentIn, b'{"name":"../a"}', InvalidRequestError, "name"),
    (AgentIn, b'{"name":"a","budget":{"share":2}}', InvalidRequestError, "budget.share"),
    (RecommendationIn, b'{"test_cases":[{"id":"a","duration":-1}]}', InvalidRequestError, "test_cases[0].duration"),
    (RecommendationIn, b'{"test_cases":[{"id":"a\\n"}]}', InvalidRequestError, "test_cases[0].id"),
    (
        RecommendationIn,
        b'{"test_cases":[{"id":"a","features":{"\\n":1}}]}',
        InvalidRequestError,
        "test_cases[0].features",
    ),
    (RecommendationIn, b'{"test_cases":[],"more":1}', InvalidRequestError, "test_cases"),
    (RecommendationIn, b'{"more":1}', InvalidRequestError, ""),
    (RecommendationIn, b"[]", InvalidRequestError, ""),
    (ResultsIn, b'{"results":[{"id":"a","verdict":"Passed"}]}', InvalidRequestError, "results[0].verdict"),
    (ResultsIn, b'{"results":[{"id":"a","verdict":"passed","duration":NaN}]}', HTTPException, ""),
    (ResultsIn, b'{"results":[{"id":"\\ud800","verdict":"passed"}]}', HTTPException, ""),
    (ResultsIn, b'{"results":[{"id":"\xed\xa0\x80","verdict":"passed"}]}', HTTPException, ""),
    (ResultsIn, b'{"results":', HTTPException, ""),
    (ResultsIn, b'{"more":1} x', HTTPException, ""),
    (ResultsIn, b"[" * 5_000, HTTPException, ""),
]


def test_every_body_has_a_shape() -> None:
    calls: list[Call] = [call for calls in TABLES.values() for call in calls]
    assert {call.body for call in calls if call.body is not None} == set(MODELS)
    for model in MODELS:
        with pytest.raises(InvalidRequestError):
            refuse_misshapen(b"1" + PAD, model)


@pytest.mark.parametrize(("model", "value"), ACCEPTED)
def test_what_is_right_passes(model: Any, value: Any) -> None:
    body = json.dumps(value).encode() + PAD
    refuse_misshapen(body, model)
    model.model_validate_json(body)


@pytest.mark.parametrize(("model", "body", "kind", "field"), REFUSED)
def test_the_first_that_is_wrong_is_told(model: Any, body: bytes, kind: type[Exception], field: str) -> None:
    refuse_misshapen(body, model)  # a small one is left to the reader, which tells everything
    with pytest.raises(kind) as told:
        refuse_misshapen(body + PAD, model)
    assert getattr(told.value, "field", "") == field


def test_too_many_entries_are_too_large() -> None:
    for model, body in (
        (ResultsIn, {"results": [{"id": "a", "verdict": "passed"}] * 100_001}),
        (AgentIn, {"name": "a", "hyperparameters": {f"{'x' * 90}{number}": 1 for number in range(400)}}),
    ):
        with pytest.raises(TooLargeError):
            refuse_misshapen(json.dumps(body).encode(), model)


def test_what_is_told_is_short() -> None:
    with pytest.raises(ServiceError) as told:
        refuse_misshapen(b'{"' + b"x" * SMALL + b'":1}', ResultsIn)
    assert len(str(told.value)) <= LONGEST


@pytest.mark.parametrize(
    ("path", "start", "entry", "end"),
    [
        ("/v1/agents", b'{"name":"a"', b',"%x":1', b"}"),
        ("/v1/agents", b'{"name":"a","hyperparameters":{"":1', b',"%x":[]', b"}}"),
        ("/v1/agents/nightly/recommendations", b'{"test_cases":[{"id":"a"', b',"%x":1', b"}]}"),
        ("/v1/agents/nightly/recommendations", b'{"test_cases":[{"id":"a"}],"must_run":["a"', b",%d", b"]}"),
        ("/v1/agents/nightly/next", b'{"episode_id":"e"', b',"%x":1', b"}"),
    ],
)
def test_a_million_things_wrong_are_one_problem(
    client: TestClient, agent: str, path: str, start: bytes, entry: bytes, end: bytes
) -> None:
    body = start + b"".join([entry % number for number in range(200_000)]) + end
    answer = client.post(path, content=body, headers=JSON)
    assert answer.status_code == 422
    assert len(answer.json().get("errors", [])) <= 1
    assert len(answer.content) < 1_000


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
@given(body=bodies, model=st.sampled_from(MODELS))
def test_large_and_small_bodies_are_refused_alike(body: Any, model: Any) -> None:
    text = json.dumps(body).encode()
    try:
        refuse_misshapen(text + PAD, model)
    except (ServiceError, HTTPException):
        with pytest.raises(ValueError):
            model.model_validate_json(text)
