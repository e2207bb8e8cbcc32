"""Bodies that an owner reads itself: the same as the HTTP side's schemas read, or not read at all."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.service.owners.columns import Candidates, Ranking, Results
from orchestration.service.owners.messages import RecommendationAnswer, ResultsAnswer, RewardAnswer
from orchestration.service.owners.wire import (
    NotPlainError,
    recommendation_answer,
    recommendation_request,
    results_answer,
    results_of_body,
    reward_answer,
)

texts = st.text(st.characters(codec="utf-8"), max_size=5) | st.sampled_from(["", "a\x00", "é", "\x7f", "x" * 101])
numbers = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-3, 10**17)
    | st.sampled_from([1e9, 1e9 + 1, 1e11, -0.0, 1e15, 5e-324])
)
scalars = st.none() | st.booleans() | numbers | texts
verdicts = st.sampled_from(["passed", "failed", "error", "skipped", "not_run", "broken"])
past_runs = st.fixed_dictionaries({"verdict": verdicts}, optional={"duration": scalars, "finished_at": scalars})
tests = st.fixed_dictionaries(
    {"id": texts},
    optional={
        "duration": st.none() | numbers,
        "features": st.dictionaries(texts, scalars, max_size=2),
        "history": st.lists(past_runs, max_size=2),
        "more": scalars,
    },
)
recommendations = st.fixed_dictionaries(
    {"test_cases": st.lists(tests, max_size=3)},
    optional={
        "job": texts,
        "time_budget_seconds": scalars,
        "must_run": st.lists(texts, max_size=2),
        "observe": st.lists(texts, max_size=1),
        "more": scalars,
    },
)
reports = st.fixed_dictionaries(
    {
        "results": st.lists(
            st.fixed_dictionaries(
                {"id": texts, "verdict": verdicts}, optional={"duration": scalars, "finished_at": scalars}
            ),
            max_size=3,
        )
    },
    optional={"more": scalars},
)


@given(recommendations, st.booleans())
def test_a_recommendation_is_read_as_the_schema_reads_it(value: Any, ascii_only: bool) -> None:
    schema = pytest.importorskip("serve_app.schemas.recommendations").RecommendationIn
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    try:
        told = recommendation_request(body, "key")
    except NotPlainError:
        return
    asked = schema.model_validate_json(body).message("key")
    assert replace(told, candidates=Candidates(())) == replace(asked, candidates=Candidates(()))
    assert told.candidates.tests(told.job) == asked.candidates.tests(asked.job)
    nothing = ((),) * len(told.candidates)
    assert (told.candidates.histories or nothing) == (asked.candidates.histories or nothing)


@given(reports, st.booleans())
def test_results_are_read_as_the_schema_reads_them(value: Any, ascii_only: bool) -> None:
    schema = pytest.importorskip("serve_app.schemas.recommendations").ResultsIn
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    try:
        told = results_of_body(body)
    except NotPlainError:
        return
    assert told.results() == schema.model_validate_json(body).message().results()


PLAIN = {"job": "unit", "test_cases": [{"id": "a", "duration": 2}, {"id": "b", "features": {"owner": "ann", "age": 3}}]}


def test_usual_bodies_are_read() -> None:
    told = recommendation_request(json.dumps(PLAIN).encode(), "")
    assert told.candidates == Candidates(("a", "b"), (2.0, None), ((), (("owner", "ann"), ("age", 3.0))))
    assert results_of_body(b'{"results":[{"id":"a","verdict":"failed"}]}') == Results(("a",), ("failed",))


@pytest.mark.parametrize(
    "changed",
    [
        {"observe": ["shadow"]},
        {"job": "\x00"},
        {"time_budget_seconds": "1"},
        {"test_cases": []},
        {"test_cases": [{"id": "a", "duration": True}]},
        {"test_cases": [{"id": "a\ud800"}]},
        {"test_cases": [{"id": "a", "colour": 1}]},
        {"test_cases": [{"id": "x" * 1001}]},
    ],
)
def test_what_is_unusual_or_wrong_is_left_to_others(changed: dict[str, Any]) -> None:
    with pytest.raises(NotPlainError):
        recommendation_request(json.dumps(PLAIN | changed).encode(), "")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"results":[{"id":"a","verdict":NaN}]}'])
def test_what_is_no_body_is_left_to_others(body: bytes) -> None:
    for read in (lambda: recommendation_request(body, ""), lambda: results_of_body(body)):
        with pytest.raises(NotPlainError):
            read()


def test_answers_are_written_as_the_schemas_write_them() -> None:
    schemas = pytest.importorskip("serve_app.schemas.recommendations")
    adapter = pytest.importorskip("serve_app.bodies").adapter
    ranking = Ranking(("b", 'é"\n'), (1 / 3, -0.0), (True, False), (2.0, 1e-7), (("new", "must run"), ()))
    recommendation = RecommendationAnswer("e", 3, ranking, 0.5, 1.7e9, ("shadow",))
    results = ResultsAnswer("e", 1, 2, 3)
    reward = RewardAnswer("e", 4, 1.5, ("b", "a"), (0.25, None), (("napfd", 0.5),), 1.7e9)
    for raw, model, told in (
        (recommendation_answer(recommendation), schemas.RecommendationOut, schemas.recommendation_out(recommendation)),
        (results_answer(results), schemas.ResultsOut, schemas.results_out(results)),
        (reward_answer(reward), schemas.RewardOut, schemas.reward_out(reward)),
    ):
        assert json.loads(raw.body) == json.loads(adapter(model).dump_json(told))
        assert list(json.loads(raw.body)) == list(told), "in the same order"
    assert reward_answer(reward).numbers == (("reward", 1.5), ("napfd", 0.5))
    assert reward_answer(replace(reward, repeated=True)).numbers == ()


def test_the_same_bytes_are_read_once_and_other_bytes_anew() -> None:
    body = json.dumps({"job": "unit", "test_cases": [{"id": "a"}, {"id": "b"}]}).encode()
    first, again = recommendation_request(body, ""), recommendation_request(bytes(bytearray(body)), "")
    assert again.candidates is first.candidates
    assert again.candidates.tests("unit") is first.candidates.tests("unit")
    assert again.candidates.tests("other").job == "other"
    keyed = recommendation_request(body, "key")
    assert keyed == replace(first, idempotency_key="key") and first.idempotency_key == ""
    assert recommendation_request(body.replace(b'"b"', b'"c"'), "").candidates.ids == ("a", "c")


def test_what_is_wrong_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(NotPlainError):
            recommendation_request(b'{"test_cases": []}', "")
