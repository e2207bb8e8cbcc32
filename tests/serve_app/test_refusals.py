"""Wrong calls: a clear 4xx that names the field, and nothing changed."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from orchestration.service.api.limits import TESTS
from orchestration.service.errors import SERVICE_ERRORS
from serve_app.errors import STATUS, problem_from

PREFIX = "urn:proctor:problem:"


def refused(answer: Any, status: int, slug: str, field: str = "") -> dict[str, Any]:
    """Check that an answer is this problem."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == PREFIX + slug
    assert problem["status"] == status
    assert problem["detail"]
    if field:
        assert field in [entry["field"] for entry in problem["errors"]], problem
    return problem


def everything(client: TestClient, agent: str, episode: str) -> list[Any]:
    """All that a wrong call could have changed."""
    paths = (f"/v1/agents/{agent}", f"/v1/agents/{agent}/episodes", f"/v1/agents/{agent}/episodes/{episode}")
    return [client.get(path).json() for path in (*paths, "/v1/agents", f"/v1/agents/{agent}/versions")]


GOOD_CASE = {"id": "a", "duration": 1.0}

WRONG_RECOMMENDATIONS: list[tuple[dict[str, Any], int, str]] = [
    ({"test_cases": []}, 422, "test_cases"),
    ({}, 422, "test_cases"),
    ({"test_cases": [{"duration": 1.0}]}, 422, "test_cases[0].id"),
    ({"test_cases": [{"id": ""}]}, 422, "test_cases[0].id"),
    ({"test_cases": [{"id": "x" * 1001}]}, 422, "test_cases[0].id"),
    ({"test_cases": [{"id": "a\nb"}]}, 422, "test_cases[0].id"),
    ({"test_cases": [{"id": 7}]}, 422, "test_cases[0].id"),
    ({"test_cases": [GOOD_CASE, GOOD_CASE]}, 422, "test_cases.id"),
    ({"test_cases": [{"id": "a", "duration": -1}]}, 422, "test_cases[0].duration"),
    ({"test_cases": [{"id": "a", "duration": "1"}]}, 422, "test_cases[0].duration"),
    ({"test_cases": [{"id": "a", "duration": True}]}, 422, "test_cases[0].duration"),
    ({"test_cases": [{"id": "a", "colour": "red"}]}, 422, "test_cases[0].colour"),
    ({"test_cases": [{"id": "a", "features": {"x": [1]}}]}, 422, "test_cases[0].features.x"),
    ({"test_cases": [{"id": "a", "features": {"x": None}}]}, 422, "test_cases[0].features.x"),
    ({"test_cases": [{"id": "a", "history": [{"verdict": "green"}]}]}, 422, "test_cases[0].history[0].verdict"),
    ({"test_cases": [GOOD_CASE], "time_budget_seconds": -1}, 422, "time_budget_seconds"),
    ({"test_cases": [GOOD_CASE], "must_run": ["z"]}, 422, "must_run"),
    ({"test_cases": [GOOD_CASE], "observe": ["nobody"]}, 404, "observe[0]"),
    ({"test_cases": [GOOD_CASE], "observe": ["nightly"]}, 422, "observe"),
    ({"test_cases": [GOOD_CASE], "job": "x" * 201}, 422, "job"),
    ({"test_cases": [GOOD_CASE], "budget": 5}, 422, "budget"),
]


@pytest.mark.parametrize(("body", "status", "field"), WRONG_RECOMMENDATIONS)
def test_wrong_recommendations(
    client: TestClient, agent: str, episode: str, body: dict[str, Any], status: int, field: str
) -> None:
    before = everything(client, agent, episode)
    answer = client.post(f"/v1/agents/{agent}/recommendations", json=body)
    refused(answer, status, "not-found" if status == 404 else "invalid-request", field)
    assert everything(client, agent, episode) == before


WRONG_RESULTS: list[tuple[dict[str, Any], str]] = [
    ({"results": []}, "results"),
    ({"results": [{"id": "unknown", "verdict": "passed"}]}, "results[0].id"),
    ({"results": [{"id": "a", "verdict": "passed"}, {"id": "unknown", "verdict": "passed"}]}, "results[1].id"),
    ({"results": [{"id": "a", "verdict": "green"}]}, "results[0].verdict"),
    ({"results": [{"id": "a"}]}, "results[0].verdict"),
    ({"results": [{"id": "a", "verdict": "passed", "duration": -0.1}]}, "results[0].duration"),
    ({"results": [{"id": "a", "verdict": "passed", "finished_at": -1}]}, "results[0].finished_at"),
    ({"results": [{"id": "a", "verdict": "passed", "note": ""}]}, "results[0].note"),
]


@pytest.mark.parametrize(("body", "field"), WRONG_RESULTS)
def test_wrong_results(client: TestClient, agent: str, episode: str, body: dict[str, Any], field: str) -> None:
    before = everything(client, agent, episode)
    refused(client.post(f"/v1/agents/{agent}/episodes/{episode}/results", json=body), 422, "invalid-request", field)
    assert everything(client, agent, episode) == before


def test_another_verdict_for_a_known_result_is_a_conflict(client: TestClient, agent: str, episode: str) -> None:
    path = f"/v1/agents/{agent}/episodes/{episode}/results"
    client.post(path, json={"results": [{"id": "a", "verdict": "passed"}]})
    before = everything(client, agent, episode)
    refused(client.post(path, json={"results": [{"id": "a", "verdict": "failed"}]}), 409, "conflict")
    twice = [{"id": "b", "verdict": "passed"}, {"id": "b", "verdict": "failed"}]
    refused(client.post(path, json={"results": twice}), 409, "conflict")
    assert everything(client, agent, episode) == before


WRONG_AGENTS: list[tuple[dict[str, Any], str]] = [
    ({"name": "a b", "kind": "random"}, "name"),
    ({"name": ".hidden", "kind": "random"}, "name"),
    ({"name": "x" * 101, "kind": "random"}, "name"),
    ({"name": "x", "kind": "oracle"}, "kind"),
    ({"name": "x", "kind": "random", "reward": "money"}, "reward"),
    ({"name": "x", "kind": "random", "exploration": "columbus"}, "exploration"),
    ({"name": "x", "kind": "network", "hyperparameters": {"colour": 1}}, "hyperparameters.colour"),
    ({"name": "x", "kind": "network", "hyperparameters": {"width": 4096, "depth": 16}}, "hyperparameters.width"),
    (
        {"name": "x", "kind": "network", "hyperparameters": {"memory": 10**6, "history_length": 1000}},
        "hyperparameters.memory",
    ),
    (
        {"name": "x", "kind": "network", "hyperparameters": {"updates": 10**5, "epochs": 1000, "width": 1024}},
        "hyperparameters.updates",
    ),
    ({"name": "x", "kind": "ppo", "hyperparameters": {"width": 4096, "depth": 3}}, "hyperparameters.width"),
    (
        {"name": "x", "kind": "dqn", "hyperparameters": {"memory": 10**5, "history_length": 1000}},
        "hyperparameters.memory",
    ),
    ({"name": "x", "kind": "random", "history_length": 0}, "history_length"),
    ({"name": "x", "kind": "random", "seed": -1}, "seed"),
    ({"name": "x", "kind": "random", "seed": 1.5}, "seed"),
    ({"name": "x", "kind": "random", "budget": {"share": 1.5}}, "budget.share"),
    ({"name": "x", "kind": "random", "budget": {"fill": "some"}}, "budget.fill"),
    ({"name": "x", "kind": "random", "version": 7}, "version"),
]


@pytest.mark.parametrize(("body", "field"), WRONG_AGENTS)
def test_wrong_agents(client: TestClient, body: dict[str, Any], field: str) -> None:
    refused(client.post("/v1/agents", json=body), 422, "invalid-request", field)
    assert client.get("/v1/agents").json()["agents"] == []


def test_what_learned_state_was_made_with_does_not_change(client: TestClient, agent: str) -> None:
    refused(client.patch(f"/v1/agents/{agent}", json={"kind": "random"}), 422, "invalid-request", "kind")
    refused(client.patch(f"/v1/agents/{agent}", json={"reward": "money"}), 422, "invalid-request")
    assert client.get(f"/v1/agents/{agent}").json()["kind"] == "bandit"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_numbers_that_json_does_not_know(client: TestClient, agent: str, episode: str, number: str) -> None:
    before = everything(client, agent, episode)
    path = f"/v1/agents/{agent}/episodes/{episode}/results"
    body = f'{{"results": [{{"id": "a", "verdict": "passed", "duration": {number}}}]}}'
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    refused(answer, 422, "invalid-request", "results[0].duration")
    assert everything(client, agent, episode) == before


@pytest.mark.parametrize("body", ["", "{", '{"test_cases": [}', "\xff", '{"a": "\\ud800"}', "[" * 100_000])
def test_broken_json(client: TestClient, agent: str, body: str) -> None:
    answer = client.post(
        f"/v1/agents/{agent}/recommendations",
        content=body.encode("latin-1"),
        headers={"content-type": "application/json"},
    )
    refused(answer, 400, "malformed-json")


def test_a_body_that_is_no_object(client: TestClient, agent: str) -> None:
    refused(client.post(f"/v1/agents/{agent}/recommendations", json=[1]), 422, "invalid-request")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_what_a_foreign_page_could_post_unasked(client: TestClient, kind: str) -> None:
    body = json.dumps({"name": "x", "kind": "random"})
    answer = client.post("/v1/agents", content=body, headers={"content-type": kind})
    refused(answer, 415, "not-json")
    assert client.get("/v1/agents").json()["agents"] == []


def test_foreign_and_unknown_episodes(client: TestClient, agent: str, episode: str) -> None:
    client.post("/v1/agents", json={"name": "other", "kind": "random"})
    results = {"results": [{"id": "a", "verdict": "passed"}]}
    before = everything(client, agent, episode)
    for name, some in (("other", episode), (agent, "0" * 32)):
        path = f"/v1/agents/{name}/episodes/{some}"
        refused(client.post(f"{path}/results", json=results), 404, "not-found")
        refused(client.post(f"{path}/reward"), 404, "not-found")
        refused(client.get(path), 404, "not-found")
        refused(client.post(f"/v1/agents/{name}/next", json={"episode_id": some}), 404, "not-found")
    assert everything(client, agent, episode) == before
    assert client.get("/v1/agents/other").json()["version"] == 0


def test_unknown_agents_and_versions(client: TestClient, agent: str) -> None:
    case = {"test_cases": [{"id": "a"}]}
    refused(client.post("/v1/agents/nobody/recommendations", json=case), 404, "not-found", "agent")
    for path in ("", "/episodes", "/metrics", "/insights", "/versions"):
        refused(client.get(f"/v1/agents/nobody{path}"), 404, "not-found", "agent")
    refused(client.patch("/v1/agents/nobody", json={}), 404, "not-found", "agent")
    refused(client.delete("/v1/agents/nobody?confirm=nobody"), 404, "not-found", "agent")
    refused(client.post(f"/v1/agents/{agent}/versions/9/restore"), 404, "not-found")
    refused(client.post(f"/v1/agents/{agent}/versions/-1/restore"), 422, "invalid-request", "version")


def test_a_million_tests(client: TestClient, agent: str, episode: str) -> None:
    before = everything(client, agent, episode)
    body = '{"test_cases":[' + ",".join(f'{{"id":"{number}"}}' for number in range(1_000_000)) + "]}"
    answer = client.post(
        f"/v1/agents/{agent}/recommendations", content=body, headers={"content-type": "application/json"}
    )
    problem = refused(answer, 413, "too-large", "test_cases")
    assert str(TESTS) in problem["detail"]
    assert everything(client, agent, episode) == before


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
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert len(answer.json().get("errors", [])) <= 1
    assert len(answer.content) < 1_000


def test_a_body_over_the_limit_is_not_read(make_client: Any) -> None:
    client = make_client(body_bytes=1000)
    client.post("/v1/agents", json={"name": "small", "kind": "random"})
    refused(client.post("/v1/agents", content=b"x" * 1001), 413, "too-large")

    def pieces() -> Any:
        yield from [b"[" * 600, b"[" * 600]

    headers = {"content-type": "application/json"}
    refused(client.post("/v1/agents", content=pieces(), headers=headers), 413, "too-large")
    assert len(client.get("/v1/agents").json()["agents"]) == 1


def test_pages_and_paths_that_do_not_exist(client: TestClient, agent: str) -> None:
    refused(client.get("/v1/agents?limit=0"), 422, "invalid-request", "limit")
    refused(client.get("/v1/agents?limit=501"), 422, "invalid-request", "limit")
    refused(client.get(f"/v1/agents/{agent}/episodes?cursor=x"), 422, "invalid-request", "cursor")
    refused(client.get("/v2/agents"), 404, "no-such-path")
    refused(client.put("/v1/agents", json={}), 405, "method-not-allowed")
    refused(client.get("/v1/agents/a%20b"), 422, "invalid-request", "agent")


def test_an_idempotency_key_of_strange_characters(client: TestClient, agent: str) -> None:
    headers = {"Idempotency-Key": "a b"}
    answer = client.post(f"/v1/agents/{agent}/recommendations", json={"test_cases": [GOOD_CASE]}, headers=headers)
    refused(answer, 422, "invalid-request")


def test_every_error_of_the_service_is_in_the_table() -> None:
    for kind in SERVICE_ERRORS:
        assert kind in STATUS
        problem = problem_from(kind("what went wrong", "field"))
        assert problem.status == STATUS[kind][0]
        assert problem.errors[0].field == "field"


def test_a_defect_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    problem = problem_from(RuntimeError("password=1234"))
    assert (problem.status, problem.type) == (500, PREFIX + "internal-error")
    assert "1234" not in str(problem)
    assert "1234" in caplog.text


def test_a_compressed_body_is_refused(client: TestClient) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = client.post("/v1/agents", content=gzip.compress(b'{"name": "a", "kind": "random"}'), headers=headers)
    assert answer.status_code == 415
    assert "content-encoding" in answer.json()["detail"]
    assert answer.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("host", ["LOCALHOST", "Localhost:8000", "localhost.", "a.LocalHost"])
def test_names_of_this_machine_have_no_case(client: TestClient, host: str) -> None:
    assert client.get("/v1/agents", headers={"host": host}).status_code == 200
