"""The four steps, typed answers, retries and idempotency keys."""

from __future__ import annotations

import json
import random

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from proctor_client import (
    ConflictError,
    NotAllowedError,
    NotFoundError,
    PastRun,
    RefusedError,
    RetryPolicy,
    ServiceUnavailableError,
    TestCase,
    TestResult,
    UnexpectedAnswerError,
)
from proctor_client.retrying import is_retryable, retry_after


def test_the_four_steps(make_client, service):
    with make_client(token="secret") as client:
        tests = client.gather(["a", TestCase("b", 2.0, {"loc": 12, "area": "ui"}, [PastRun("failed", 1.5)])])
        answer = client.recommend("nightly", tests, "unit", time_budget_seconds=60, must_run=["a"], observe=["shadow"])
        receipt = client.submit_results(answer, [TestResult("b", "passed", 1.25), TestResult("a", "failed")])
        reward = client.assign_reward(answer)
    assert answer.order == ("b", "a")
    assert (answer.episode_id, answer.agent_version, answer.fallback) == ("e1", 3, "")
    assert answer.ranking[0].reasons == ("new",)
    assert (receipt.recorded, receipt.repeated, receipt.missing) == (2, 0, 0)
    assert (reward.total, reward.agent_version, reward.metrics["apfd"]) == (2.5, 4, 0.75)
    assert service.body(0) == {
        "job": "unit",
        "test_cases": [
            {"id": "a"},
            {"id": "b", "duration": 2.0, "features": {"loc": 12, "area": "ui"}}
            | {"history": [{"verdict": "failed", "duration": 1.5}]},
        ],
        "time_budget_seconds": 60.0,
        "must_run": ["a"],
        "observe": ["shadow"],
    }
    assert service.requests[1].url.path == "/v1/agents/nightly/episodes/e1/results"
    assert {request.headers["authorization"] for request in service.requests} == {"Bearer secret"}
    assert service.requests[0].headers["content-type"] == "application/json"


def test_agents(make_client, service):
    client = make_client()
    created = client.create_agent("nightly", "network", reward="time_ranked", seed=7)
    assert (created.name, created.kind, created.settings) == ("nightly", "network", {"seed": 7})
    assert service.body(0) == {"name": "nightly", "kind": "network", "reward": "time_ranked", "seed": 7}
    assert [entry.name for entry in client.agents()] == ["a"]
    client.delete_agent("a/b")
    assert service.requests[-1].url.raw_path == b"/v1/agents/a%2Fb?confirm=a%2Fb"
    client.delete_agent("a", remove_archive=True)
    assert service.requests[-1].url.raw_path == b"/v1/agents/a?confirm=a&archive=remove"


def test_pages_are_joined(make_client, service):
    row = {"episode_id": "e", "agent_version": 1, "tests": 2, "total": 0.5, "exploration": 0.0, "metrics": {}}
    pages = [
        {"rows": [{**row, "number": 0}], "next_cursor": "x"},
        {"rows": [{**row, "number": 1}], "next_cursor": None},
    ]
    service.failures = [httpx.Response(200, json=page) for page in pages]
    assert [entry.number for entry in make_client().metrics("nightly")] == [0, 1]
    assert service.requests[1].url.params["cursor"] == "x"


@pytest.mark.parametrize(
    "failure", [500, 502, 503, 504, 429, 408, httpx.ConnectError("refused"), httpx.ReadTimeout("")]
)
def test_a_temporary_failure_is_retried_with_the_same_key(failure, make_client, service, waits):
    service.failures = [failure, failure]
    assert make_client(on_failure="raise").recommend("nightly", ["a", "b"]).order == ("b", "a")
    assert len({request.headers["idempotency-key"] for request in service.requests}) == 1
    assert len({request.headers["x-request-id"] for request in service.requests}) == 1
    assert len(service.requests) == 3
    assert 0.125 <= waits[0] <= 0.25
    assert 0.25 <= waits[1] <= 0.5


def test_each_call_has_its_own_key_unless_one_is_passed_in(make_client, service):
    client = make_client()
    client.recommend("nightly", ["a"])
    client.recommend("nightly", ["a"])
    client.recommend("nightly", ["a"], idempotency_key="build-17")
    keys = [request.headers["idempotency-key"] for request in service.requests]
    assert len(set(keys)) == 3
    assert keys[2] == "build-17"
    assert all(len(key) <= 64 for key in keys)


def test_the_client_gives_up_after_the_retries(make_client, service, waits):
    service.failures = [503] * 9
    with pytest.raises(ServiceUnavailableError, match=r"HTTP 503: scripted failure 503 \(tried 3 times") as caught:
        make_client(on_failure="raise", retries=2).recommend("nightly", ["a"])
    assert (caught.value.status, caught.value.attempts, len(waits)) == (503, 3, 2)
    assert {request.headers["x-request-id"] for request in service.requests} == {caught.value.request_id}
    assert str(caught.value).endswith(f"request {caught.value.request_id})")


def test_retry_after_is_respected(make_client, service, waits):
    service.failures = [httpx.Response(429, headers={"Retry-After": "7"})]
    make_client().recommend("nightly", ["a"])
    assert waits == [7.0]


def test_a_very_long_wait_ends_the_retries(make_client, service, waits):
    service.failures = [httpx.Response(503, headers={"Retry-After": "3600"})]
    with pytest.raises(ServiceUnavailableError):
        make_client(on_failure="raise").recommend("nightly", ["a"])
    assert waits == []


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, RefusedError), (401, NotAllowedError), (403, NotAllowedError), (404, NotFoundError), (409, ConflictError)],
)
def test_a_refusal_is_not_retried(status, error, make_client, service):
    service.failures = [status]
    with pytest.raises(error, match=f"scripted failure {status}") as caught:
        make_client(on_failure="raise").recommend("nightly", ["a"])
    assert (caught.value.status, caught.value.slug) == (status, "some-slug")
    assert caught.value.request_id == service.requests[0].headers["x-request-id"]
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>hello</html>"),
        httpx.Response(200, json={"other": 1}),
        httpx.Response(200, json=[1]),
        httpx.Response(200),
        httpx.Response(301, headers={"location": "/login"}),
        httpx.Response(501),
    ],
)
def test_an_answer_of_another_program_is_refused(answer, make_client, service):
    service.failures = [answer]
    with pytest.raises(UnexpectedAnswerError):
        make_client(on_failure="raise").recommend("nightly", ["a"])


def test_very_many_results_are_sent_in_parts(make_client, service, monkeypatch):
    monkeypatch.setattr("proctor_client.protocol.RESULTS_PER_CALL", 2)
    client = make_client()
    names = [str(number) for number in range(5)]
    answer = client.recommend("nightly", names)
    receipt = client.submit_results(answer, [TestResult(name, "passed") for name in names])
    assert service.paths() == ["recommendations", "results", "results", "results"]
    assert receipt.recorded == 5


@pytest.mark.parametrize(
    ("tests", "problem"), [(["a", "a"], "'a' appears twice"), (["a", ""], "empty name"), ([TestCase("")], "empty name")]
)
def test_wrong_tests_are_the_caller_s_mistake(tests, problem, make_client, service):
    with pytest.raises(ValueError, match=problem):
        make_client().recommend("nightly", tests)
    assert service.requests == []


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0])
def test_numbers_that_json_cannot_express_are_refused(number, make_client, service):
    with pytest.raises(ValueError, match="finite number of at least 0"):
        make_client().recommend("nightly", [TestCase("a", number)])
    with pytest.raises(ValueError, match="not finite"):
        make_client().recommend("nightly", [TestCase("a", features={"x": float("nan")})])
    assert service.requests == []


@pytest.mark.parametrize("url", ["proctor.test", "ftp://proctor.test", "http://", ""])
def test_a_wrong_url_is_refused_at_once(url):
    from proctor_client import SchedulerClient

    with pytest.raises(ValueError, match="not the URL of a service"):
        SchedulerClient(url)


def test_the_url_may_end_with_the_base_path(service, waits):
    from proctor_client import SchedulerClient

    client = SchedulerClient("http://proctor.test/v1/", transport=httpx.MockTransport(service))
    client.agent("nightly")
    assert service.requests[0].url.path == "/v1/agents/nightly"


def test_on_failure_is_one_of_two():
    from proctor_client import SchedulerClient

    with pytest.raises(ValueError, match="on_failure is 'ignore'"):
        SchedulerClient("http://proctor.test", on_failure="ignore")


@given(st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_backoff_is_bounded_and_grows(attempt: int, seed: int) -> None:
    policy = RetryPolicy(first_wait=0.5, longest_wait=10.0)
    wait = policy.wait(attempt, random.Random(seed))
    full = min(10.0, 0.5 * 2 ** (attempt - 1))
    assert full / 2 <= wait <= full


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("0", 0.0),
        (" 12 ", 12.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 60.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, now=lambda: 40.0) == seconds


@given(st.integers(100, 599))
def test_only_temporary_failures_are_retried(status: int) -> None:
    assert is_retryable(status) == (status in (408, 429) or (500 <= status <= 599 and status != 501))


def test_a_refusal_without_a_problem_document(make_client, service):
    service.failures = [httpx.Response(422, content=json.dumps(["x"]).encode())]
    with pytest.raises(RefusedError, match=r"the call was refused \(HTTP 422\)"):
        make_client(on_failure="raise").recommend("nightly", ["a"])
