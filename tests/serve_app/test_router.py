"""One way in: what each call answers, what it refuses, and what is counted of it."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import serve_app
from orchestration.runtime.logs import JsonLines
from serve_app.calls import CALLS

JSON = {"content-type": "application/json"}
WITH_CHARSET = {"content-type": "application/json; charset=utf-8"}
BODY = b'{"job":"unit","test_cases":[{"id":"a","duration":2},{"id":"b","features":{"owner":"ann"}}],"must_run":["b"]}'
RESULTS = b'{"results":[{"id":"a","verdict":"failed","duration":1.5},{"id":"b","verdict":"passed"}]}'


def cycle(client: TestClient, agent: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    """The answers of a whole episode, without what differs from one to the next."""
    base = f"/v1/agents/{agent}"
    recommended = client.post(f"{base}/recommendations", content=BODY, headers=headers)
    episode = f"{base}/episodes/{recommended.json()['episode_id']}"
    reported = client.post(f"{episode}/results", content=RESULTS, headers=headers)
    again = client.post(f"{episode}/results", content=RESULTS, headers=headers)
    rewarded = client.post(f"{episode}/reward", headers={"expect": "nothing"})
    answers = [recommended, reported, again, rewarded]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert {answer.headers["content-type"] for answer in answers} == {"application/json"}
    changing = ("episode_id", "opened_at", "rewarded_at")
    return [{name: value for name, value in answer.json().items() if name not in changing} for answer in answers]


def test_calls_are_answered_and_counted(client: TestClient) -> None:
    for name in ("first", "second"):
        client.post("/v1/agents", json={"name": name, "kind": "failure_rate"})
    for _ in range(3):
        assert cycle(client, "first", JSON) == cycle(client, "second", WITH_CHARSET)
    counted = client.get("/metrics").text
    route = 'route="/v1/agents/{agent}/episodes/{episode}/results",status="200"'
    assert f'proctor_requests_total{{method="POST",{route}}} 12.0' in counted
    assert "proctor_recommendations_total 6.0" in counted
    assert "proctor_results_total 12.0" in counted
    assert "proctor_rewards_total 6.0" in counted


@pytest.mark.parametrize(
    ("path", "content", "headers", "status", "slug"),
    [
        ("nightly/recommendations", b'{"test_cases":[{"id":"a","colour":1}]}', JSON, 422, "invalid-request"),
        ("nightly/recommendations", b"{", JSON, 400, "malformed-json"),
        ("nightly/recommendations", BODY, {"content-type": "text/plain"}, 415, "not-json"),
        ("nightly/recommendations", BODY, {**JSON, "idempotency-key": "two words"}, 422, "invalid-request"),
        ("nobody/recommendations", BODY, JSON, 404, "not-found"),
        (".hidden/recommendations", BODY, JSON, 422, "invalid-request"),
        ("nightly/episodes/none/results", RESULTS, JSON, 404, "not-found"),
        ("nightly/episodes/none/reward", b"", {}, 404, "not-found"),
        ("nightly/episodes/none/recommendations", BODY, JSON, 404, "no-such-path"),
        ("nightly/results", RESULTS, JSON, 404, "no-such-path"),
        ("nightly/recommendations/", BODY, JSON, 404, "no-such-path"),
    ],
)
def test_wrong_calls_are_problems(
    client: TestClient, agent: str, path: str, content: bytes, headers: dict[str, str], status: int, slug: str
) -> None:
    answer = client.post(f"/v1/agents/{path}", content=content, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:proctor:problem:{slug}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert f'proctor_errors_total{{type="{slug}"}} 1.0' in client.get("/metrics").text


def test_a_key_finds_the_same_episode(client: TestClient, agent: str) -> None:
    path, key = f"/v1/agents/{agent}/recommendations", {"idempotency-key": "once"}
    spaced = BODY.replace(b",", b", ")
    first, again, otherwise = (
        client.post(path, content=content, headers={**JSON, **key}).json() for content in (BODY, BODY, spaced)
    )
    assert first == again == otherwise


def test_a_body_in_pieces_is_accepted(client: TestClient, agent: str) -> None:
    answer = client.post(f"/v1/agents/{agent}/recommendations", content=iter([BODY[:9], BODY[9:]]), headers=JSON)
    assert answer.status_code == 200


def test_of_two_headers_the_first_counts(client: TestClient, agent: str) -> None:
    path = f"/v1/agents/{agent}/recommendations"
    headers = [("content-type", "application/json"), ("idempotency-key", "first"), ("idempotency-key", "two words")]
    assert client.post(path, content=BODY, headers=headers).status_code == 200
    wrong = [headers[0], headers[2], headers[1]]
    assert client.post(path, content=BODY, headers=wrong).status_code == 422


@pytest.mark.parametrize(("name", "logged"), [("job-17", "job-17"), ("two words", None), ("a" * 65, None)])
def test_the_owner_logs_the_name_of_the_request(
    client: TestClient, agent: str, name: str, logged: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.setFormatter(JsonLines())
    with caplog.at_level("DEBUG", "orchestration"):
        client.post(
            f"/v1/agents/{agent}/recommendations",
            json={"test_cases": [{"id": "a"}]},
            headers={"x-request-id": name},
        )
    lines = [json.loads(line) for line in caplog.text.splitlines()]
    assert [line.get("request") for line in lines if "carried out" in line["message"]] == [logged]


def test_observers_of_others_are_found_however_the_name_is_written(client: TestClient, agent: str) -> None:
    """What the service reads of a body is what the owner reads of it."""
    path = f"/v1/agents/{agent}/recommendations"
    for body in (
        b'{"test_cases":[{"id":"a"}],"\\u006fbserve":["nobody"]}',
        b'{"observe":[],"test_cases":[{"id":"a"}],"observe":["nobody"]}',
    ):
        answer = client.post(path, content=body, headers=JSON)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (404, "observe[0]")


def test_pages_for_people(client: TestClient) -> None:
    for path in ("/docs", "/redoc"):
        answer = client.get(path)
        assert answer.headers["content-type"].startswith("text/html")
        assert "/openapi.json" in answer.text
        assert "://" not in answer.text.replace("postgresql://", ""), "it loads nothing from elsewhere"
        assert "<script" not in answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert client.post(path).status_code == 404


def test_names_of_calls_are_unique() -> None:
    calls = [call for group in CALLS.values() for call in group]
    assert len({call.name for call in calls}) == len({(call.method, call.path) for call in calls}) == len(calls)


def test_there_is_one_contract() -> None:
    """No framework with models of its own beside the structs of the service."""
    imported = set()
    for path in Path(serve_app.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
    assert not imported & {"pydantic", "fastapi", "litestar"}
    assert "starlette" in imported
