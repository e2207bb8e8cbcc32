"""The four steps over HTTP, and what can be read afterwards."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient

from agents.scheduling.settings import DEFAULT_KIND
from orchestration.cli.smoke import run_smoke

CASES = [{"id": name, "duration": 2.0} for name in ("a", "b", "c", "d")]


def recommend(client: TestClient, agent: str, **others: Any) -> Any:
    answer = client.post(f"/v1/agents/{agent}/recommendations", json={"test_cases": CASES, **others})
    assert answer.status_code == 200, answer.text
    return answer.json()


def report(client: TestClient, agent: str, episode: str, **verdicts: str) -> Any:
    results = [{"id": name, "verdict": verdict, "duration": 1.5} for name, verdict in verdicts.items()]
    answer = client.post(f"/v1/agents/{agent}/episodes/{episode}/results", json={"results": results})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_smoke_run_passes(client: TestClient) -> None:
    reports = run_smoke(client)
    assert [(report.step, report.outcome) for report in reports if report.outcome != "ok"] == []
    assert len(reports) == 12
    assert client.get("/v1/agents").json() == {"agents": [], "next_cursor": None}


def test_a_recommendation_ranks_every_test_once_and_keeps_the_budget(client: TestClient, agent: str) -> None:
    answer = recommend(client, agent, job="unit", time_budget_seconds=5.0, must_run=["d"])
    assert set(answer) == {"episode_id", "agent_version", "opened_at", "exploration", "observers", "ranking"}
    assert sorted(entry["id"] for entry in answer["ranking"]) == ["a", "b", "c", "d"]
    assert [entry["position"] for entry in answer["ranking"]] == [1, 2, 3, 4]
    selected = [entry for entry in answer["ranking"] if entry["selected"]]
    assert answer["ranking"][0]["id"] == "d"
    assert sum(entry["expected_duration"] for entry in selected) <= 5.0
    assert all(entry["reasons"] for entry in answer["ranking"])


def test_history_features_and_whole_numbers_are_taken(client: TestClient, agent: str) -> None:
    case = {
        "id": "x",
        "duration": 3,
        "features": {"lines": 12, "owner": "core", "slow": True, "ratio": 0.5},
        "history": [{"verdict": "failed", "duration": 1}, {"verdict": "passed", "finished_at": 1_700_000_000}],
    }
    answer = client.post(f"/v1/agents/{agent}/recommendations", json={"test_cases": [case, {"id": "y"}]})
    assert answer.status_code == 200, answer.text
    by_id = {entry["id"]: entry for entry in answer.json()["ranking"]}
    assert by_id["x"]["expected_duration"] == 3.0
    assert any("failed" in reason for reason in by_id["x"]["reasons"])


def test_results_in_parts_and_a_repeated_reward(client: TestClient, agent: str, episode: str) -> None:
    assert report(client, agent, episode, a="passed")["missing"] == 2
    assert report(client, agent, episode, a="passed", b="failed") == {
        "episode_id": episode,
        "recorded": 1,
        "repeated": 1,
        "missing": 1,
    }
    path = f"/v1/agents/{agent}/episodes/{episode}/reward"
    first, again = client.post(path).json(), client.post(path).json()
    assert first["agent_version"] == 1
    assert not first["repeated"]
    assert {**again, "repeated": False} == first
    assert client.get(f"/v1/agents/{agent}").json()["version"] == 1
    assert sorted(entry["id"] for entry in first["rewards"]) == ["a", "b", "c"]


def test_the_same_idempotency_key_opens_one_episode(client: TestClient, agent: str) -> None:
    path, body = f"/v1/agents/{agent}/recommendations", {"test_cases": CASES}
    first = client.post(path, json=body, headers={"Idempotency-Key": "run-7"})
    again = client.post(path, json=body, headers={"Idempotency-Key": "run-7"})
    assert first.json() == again.json()
    other = client.post(path, json={"test_cases": CASES[:2]}, headers={"Idempotency-Key": "run-7"})
    assert other.status_code == 409
    assert client.get(f"/v1/agents/{agent}").json()["episodes"] == 1


def test_next_follows_what_has_run(client: TestClient, agent: str, episode: str) -> None:
    path, ran = f"/v1/agents/{agent}/next", []
    answer = client.post(path, json={"episode_id": episode}).json()
    while answer["test_id"] is not None:
        ran.append(answer["test_id"])
        result = {"id": answer["test_id"], "verdict": "passed"}
        answer = client.post(path, json={"episode_id": episode, "results": [result]}).json()
    assert sorted(ran) == ["a", "b", "c"]
    assert answer["remaining"] == 0


def test_shadow_agents_learn_from_the_same_episode(client: TestClient, agent: str) -> None:
    for kind in ("failure_rate", "random"):
        client.post("/v1/agents", json={"name": kind, "kind": kind})
    answer = recommend(client, agent, observe=["failure_rate", "random"])
    assert answer["observers"] == ["failure_rate", "random"]
    report(client, agent, answer["episode_id"], a="passed", b="failed", c="passed", d="passed")
    client.post(f"/v1/agents/{agent}/episodes/{answer['episode_id']}/reward")
    for name in (agent, "failure_rate", "random"):
        rows = client.get(f"/v1/agents/{name}/metrics").json()["rows"]
        assert [row["episode_id"] for row in rows] == [answer["episode_id"]]
        assert 0.0 <= rows[0]["metrics"]["napfd"] <= 1.0
    watched = client.get(f"/v1/agents/random/episodes/{answer['episode_id']}").json()
    assert watched["observed_agent"] == agent


def test_listings_are_paged(client: TestClient) -> None:
    names = [f"agent-{number}" for number in range(5)]
    for name in names:
        client.post("/v1/agents", json={"name": name, "kind": "random"})
    seen, cursor = [], ""
    while cursor is not None:
        page = client.get("/v1/agents", params={"limit": 2, "cursor": cursor}).json()
        assert len(page["agents"]) <= 2
        seen += [entry["name"] for entry in page["agents"]]
        cursor = page["next_cursor"]
    assert seen == names


def test_versions_restore_and_insights(client: TestClient, agent: str) -> None:
    for _ in range(3):
        episode = recommend(client, agent)["episode_id"]
        report(client, agent, episode, a="failed", b="failed", c="passed", d="passed")
        client.post(f"/v1/agents/{agent}/episodes/{episode}/reward")
    versions = client.get(f"/v1/agents/{agent}/versions").json()["versions"]
    assert [entry["version"] for entry in versions] == [3, 2, 1, 0]
    restored = client.post(f"/v1/agents/{agent}/versions/1/restore", headers={"Idempotency-Key": "back"})
    assert restored.json() == {"agent_version": 4, "restored": 1}
    assert client.post(f"/v1/agents/{agent}/versions/1/restore", headers={"Idempotency-Key": "back"}).json() == (
        restored.json()
    )
    insights = client.get(f"/v1/agents/{agent}/insights").json()
    assert set(insights) == {"agent_version", "clusters", "stale", "flaky"}


def test_an_agent_is_changed_and_deleted(client: TestClient, agent: str) -> None:
    path = f"/v1/agents/{agent}"
    changed = client.patch(path, json={"description": "release branch", "budget": {"share": 0.5, "fill": "prefix"}})
    assert changed.json()["budget"] == {
        "seconds": None,
        "share": 0.5,
        "fill": "prefix",
        "must_run": [],
        "new_tests_in": False,
    }
    assert client.get(path).json() == changed.json()
    assert client.delete(path).status_code == 422
    assert client.delete(path, params={"confirm": "other"}).status_code == 422
    assert client.get(path).status_code == 200
    assert client.delete(path, params={"confirm": agent, "archive": "burn"}).status_code == 422
    gone = client.delete(path, params={"confirm": agent, "archive": "remove"})
    assert (gone.status_code, gone.content) == (204, b"")
    assert client.get(path).status_code == 404


def test_creating_again_is_the_same_agent_and_another_one_a_conflict(client: TestClient, agent: str) -> None:
    same = client.post("/v1/agents", json={"name": agent, "kind": "bandit", "seed": 1})
    assert same.status_code == 200
    other = client.post("/v1/agents", json={"name": agent, "kind": "random"})
    assert other.status_code == 409
    assert other.json()["type"] == "urn:proctor:problem:conflict"


def test_health_and_metrics_tell_no_names(client: TestClient, agent: str, episode: str) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}
    report(client, agent, episode, a="passed")
    client.get("/v1/agents/unknown")
    text = client.get("/metrics").text
    assert 'proctor_requests_total{method="POST",route="/v1/agents/{agent}/recommendations",status="200"} 1.0' in text
    assert 'proctor_errors_total{type="not-found"} 1.0' in text
    assert "proctor_recommendations_total 1.0" in text
    assert "proctor_results_total 1.0" in text
    assert "proctor_agents 1.0" in text
    assert "proctor_wake_ups 1.0" in text
    assert agent not in text
    assert episode not in text


def test_an_agent_without_a_kind_is_of_the_default_one_and_takes_an_objective(client: TestClient) -> None:
    made = client.post("/v1/agents", json={"name": "plain", "objective": "time_first"})
    assert made.status_code == 201, made.text
    assert made.json()["kind"] == DEFAULT_KIND
    assert made.json()["hyperparameters"]["objective"] == "time_first"
    for verdict in ("failed", "passed"):
        answer = recommend(client, "plain")
        report(client, "plain", answer["episode_id"], a="passed", b=verdict, c="passed", d="passed")
        assert client.post(f"/v1/agents/plain/episodes/{answer['episode_id']}/reward").status_code == 200
    assert client.get("/v1/agents/plain").json()["version"] == 2
    refused = client.post("/v1/agents", json={"name": "other", "kind": "random", "objective": "time_first"})
    assert refused.status_code == 422


def test_chances_are_shown_where_the_agent_estimates_them(make_client: Any) -> None:
    """Also by a repeated call and by another process: the stored episode holds them."""
    body = {"test_cases": [{"id": name} for name in "abc"]}
    once = {"idempotency-key": "once"}
    answers: dict[str, list[Any]] = {"failure_model": [], "failure_rate": [], "random": [], "bandit": []}
    client = make_client()
    for kind, seen in answers.items():
        client.post("/v1/agents", json={"name": kind, "kind": kind, "reward": "verdict"})
        first = client.post(f"/v1/agents/{kind}/recommendations", json=body).json()["episode_id"]
        path = f"/v1/agents/{kind}/episodes/{first}"
        results = [{"id": name, "verdict": "failed" if name == "b" else "passed"} for name in "abc"]
        client.post(f"{path}/results", json={"results": results})
        client.post(f"{path}/reward")
        seen += [client.post(f"/v1/agents/{kind}/recommendations", json=body, headers=once).json() for _ in range(2)]
    woken = make_client()
    for kind, seen in answers.items():
        seen.append(woken.post(f"/v1/agents/{kind}/recommendations", json=body, headers=once).json())
        assert seen[0] == seen[1] == seen[2]
        detail = woken.get(f"/v1/agents/{kind}/episodes/{seen[0]['episode_id']}").json()
        assert detail["ranking"] == seen[0]["ranking"]
        chances = {test["id"]: test["chance"] for test in seen[0]["ranking"]}
        if kind in ("random", "bandit"):
            assert chances == dict.fromkeys("abc")
        else:
            assert 0.0 <= chances["a"] == chances["c"] < chances["b"] <= 1.0
