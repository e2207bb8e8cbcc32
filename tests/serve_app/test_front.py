"""Calls that are answered in front of the framework: the same answers, the same errors, the same counts."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

SLOW = {"content-type": "application/json; charset=utf-8"}
"""What the front does not look at, and the framework takes."""
FAST = {"content-type": "application/json"}
BODY = b'{"job":"unit","test_cases":[{"id":"a","duration":2},{"id":"b","features":{"owner":"ann"}}],"must_run":["b"]}'
RESULTS = b'{"results":[{"id":"a","verdict":"failed","duration":1.5},{"id":"b","verdict":"passed"}]}'


def cycle(client: TestClient, agent: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    """The answers of a whole episode, without what differs from one to the next."""
    base = f"/v1/agents/{agent}"
    asked = client.post(f"{base}/recommendations", content=BODY, headers=headers)
    episode = f"{base}/episodes/{asked.json()['episode_id']}"
    told = client.post(f"{episode}/results", content=RESULTS, headers=headers)
    again = client.post(f"{episode}/results", content=RESULTS, headers=headers)
    rewarded = client.post(f"{episode}/reward", headers={"expect": "nothing"})
    answers = [asked, told, again, rewarded]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert {answer.headers["content-type"] for answer in answers} == {"application/json"}
    changing = ("episode_id", "opened_at", "rewarded_at")
    return [{name: value for name, value in answer.json().items() if name not in changing} for answer in answers]


def test_both_ways_answer_the_same(client: TestClient) -> None:
    for name in ("fast", "slow"):
        client.post("/v1/agents", json={"name": name, "kind": "failure_rate"})
    for _ in range(3):
        assert cycle(client, "fast", FAST) == cycle(client, "slow", SLOW)
    counted = client.get("/metrics").text
    route = 'route="/v1/agents/{agent}/episodes/{episode}/results",status="200"'
    assert f'proctor_requests_total{{method="POST",{route}}} 12.0' in counted
    assert "proctor_recommendations_total 6.0" in counted
    assert "proctor_results_total 12.0" in counted
    assert "proctor_rewards_total 6.0" in counted


def test_usual_calls_do_not_reach_the_framework(
    client: TestClient, agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def reached(*_: Any) -> None:
        raise AssertionError("the framework was asked")

    monkeypatch.setattr(client.app, "app", reached)
    assert len(cycle(client, agent, FAST)) == 4


@pytest.mark.parametrize(
    ("path", "content", "headers", "status", "slug"),
    [
        ("nightly/recommendations", b'{"test_cases":[{"id":"a","colour":1}]}', FAST, 422, "invalid-request"),
        ("nightly/recommendations", b"{", FAST, 400, "malformed-json"),
        ("nightly/recommendations", BODY, {"content-type": "text/plain"}, 415, "not-json"),
        ("nightly/recommendations", BODY, {**FAST, "idempotency-key": "two words"}, 422, "invalid-request"),
        ("nobody/recommendations", BODY, FAST, 404, "not-found"),
        (".hidden/recommendations", BODY, FAST, 422, "invalid-request"),
        ("nightly/episodes/none/results", RESULTS, FAST, 404, "not-found"),
        ("nightly/episodes/none/reward", b"", {}, 404, "not-found"),
        ("nightly/episodes/none/recommendations", BODY, FAST, 404, "no-such-path"),
        ("nightly/results", RESULTS, FAST, 404, "no-such-path"),
        ("nightly/recommendations/", BODY, FAST, 404, "no-such-path"),
    ],
)
def test_what_is_wrong_is_told_as_ever(
    client: TestClient, agent: str, path: str, content: bytes, headers: dict[str, str], status: int, slug: str
) -> None:
    answer = client.post(f"/v1/agents/{path}", content=content, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:proctor:problem:{slug}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert f'proctor_errors_total{{type="{slug}"}} 1.0' in client.get("/metrics").text


def test_a_key_finds_the_same_episode_on_either_way(client: TestClient, agent: str) -> None:
    path, key = f"/v1/agents/{agent}/recommendations", {"idempotency-key": "once"}
    first, again, slow = (
        client.post(path, content=BODY, headers={**headers, **key}).json() for headers in (FAST, FAST, SLOW)
    )
    assert first == again == slow


def test_a_body_in_pieces_is_taken(client: TestClient, agent: str) -> None:
    answer = client.post(f"/v1/agents/{agent}/recommendations", content=iter([BODY[:9], BODY[9:]]), headers=FAST)
    assert answer.status_code == 200
