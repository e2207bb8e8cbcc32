"""Tenants over HTTP: quotas of a token, pages of bounded bytes, and the audit log."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from orchestration.runtime.edge import MARK, SECRET
from orchestration.service.api import limits
from orchestration.service.quotas import Quotas
from orchestration.service.service import ServiceSettings
from orchestration.service.store.registry import state_store
from orchestration.service.store.roles import StateStore
from orchestration.service.store.rows import AuditQuery
from orchestration.service.tokens import Scope, Tokens
from serve_app.body_limits import DisconnectedError, read_body
from serve_app.rates import KEYS, RateLimiter

CASES = {"test_cases": [{"id": "a"}, {"id": "b"}]}
RESULTS = {"results": [{"id": "a", "verdict": "passed"}]}


@pytest.fixture
def store(tmp_path: Path) -> StateStore:
    """The store of the service."""
    return state_store(ServiceSettings.in_folder(tmp_path).store_url)


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


def token(store: StateStore, prefix: str = "", scope: Scope = Scope.ADMIN, **quotas: Any) -> dict[str, str]:
    return bearer(Tokens(store).create([scope], prefix, quotas=Quotas(**quotas))[0])


def create(client: TestClient, name: str, headers: dict[str, str], **settings: Any) -> Any:
    return client.post("/v1/agents", json={"name": name, "kind": "random", **settings}, headers=headers)


def refused(answer: Any, slug: str, status: int) -> str:
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:proctor:problem:{slug}")
    return str(answer.json()["detail"])


def test_a_listing_names_exactly_the_agents_of_the_prefix(make_client: Any, store: StateStore) -> None:
    everything = token(store)
    client = make_client()
    for name in ("team-a", "TEAM-secret", "Team-b", "team_c", "teams"):
        assert create(client, name, everything).status_code == 201
    for prefix, own in (("team-", ["team-a"]), ("TEAM-", ["TEAM-secret"]), ("team_", ["team_c"])):
        listed = client.get("/v1/agents", headers=token(store, prefix))
        assert [agent["name"] for agent in listed.json()["agents"]] == own


def test_agents_of_a_tenant_are_counted(make_client: Any, store: StateStore) -> None:
    team, client = token(store, "team-", agents=2), make_client()
    create(client, "TEAM-x", token(store))
    assert [create(client, f"team-{name}", team).status_code for name in "ab"] == [201, 201]
    assert refused(create(client, "team-c", team), "quota-exceeded", 409) == (
        "the token's quota is 2 agents; delete one, or ask for a larger quota"
    )
    assert create(client, "team-a", team).status_code == 200, "a repeated call gets its answer"
    assert create(client, "other-a", token(store, "other-", agents=1)).status_code == 201


def test_open_episodes_of_a_tenant_are_counted(make_client: Any, store: StateStore) -> None:
    team, client = token(store, "team-", open_episodes=2), make_client()
    create(client, "team-a", team)
    path = "/v1/agents/team-a/recommendations"
    keys = [{**team, "idempotency-key": key} for key in ("one", "two", "three")]
    first, second, third = (client.post(path, json=CASES, headers=headers) for headers in keys)
    assert "reward the episodes whose jobs are over" in refused(third, "quota-exceeded", 409)
    again = client.post(path, json=CASES, headers=keys[1])
    assert again.json() == second.json()
    episode = f"/v1/agents/team-a/episodes/{first.json()['episode_id']}"
    assert client.post(f"{episode}/results", json=RESULTS, headers=team).status_code == 200
    assert client.post(f"{episode}/reward", headers=team).status_code == 200
    assert store.open_episodes_of("team-") == 1


def test_a_tenant_with_a_full_store_can_finish_its_jobs(make_client: Any, store: StateStore) -> None:
    team, client = token(store, "team-", stored_bytes=3000), make_client()
    create(client, "team-a", team)
    path = "/v1/agents/team-a"
    body = {"test_cases": [{"id": f"{'x' * 40}{number}"} for number in range(100)]}
    opened = client.post(f"{path}/recommendations", json=body, headers=team).json()["episode_id"]
    for answer in (
        client.post(f"{path}/recommendations", json=body, headers=team),
        create(client, "team-b", team),
        client.patch(path, json={"description": "d"}, headers=team),
    ):
        assert "3000 stored bytes; delete an agent" in refused(answer, "quota-exceeded", 409)
    result = {"results": [{"id": body["test_cases"][0]["id"], "verdict": "passed"}]}
    assert client.post(f"{path}/episodes/{opened}/results", json=result, headers=team).status_code == 200
    assert client.post(f"{path}/episodes/{opened}/reward", headers=team).status_code == 200
    assert client.delete(f"{path}?confirm=team-a", headers=team).status_code == 204


def test_requests_of_a_token_have_a_rate(make_client: Any, store: StateStore) -> None:
    slow, client = token(store, requests_per_second=0.5), make_client()
    other = token(store)
    assert client.get("/v1/agents", headers=slow).status_code == 200
    answer = client.get("/v1/agents", headers=slow)
    assert "requests per second" in refused(answer, "too-many-requests", 429)
    assert answer.headers["retry-after"] == "2"
    assert [client.get("/v1/agents", headers=other).status_code for _ in range(20)] == [200] * 20


def test_a_bucket_fills_with_time_and_memory_is_bounded() -> None:
    now = [0.0]
    limiter = RateLimiter(lambda: now[0])
    assert [limiter.wait("a", 2.0) for _ in range(5)] == [0.0] * 4 + [0.5]
    now[0] += 0.5
    assert [limiter.wait("a", 2.0), limiter.wait("b", 2.0)] == [0.0, 0.0]
    for number in range(KEYS + 5):
        limiter.wait(str(number), 1.0)
    assert len(limiter._buckets) == KEYS


def test_a_page_has_bounded_bytes(make_client: Any, store: StateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestration.service.stored_answers.PAGE_BYTES", 10_000)
    monkeypatch.setattr(limits, "PAGE_BYTES", 10_000)
    headers, client = token(store), make_client()
    budget = {"must_run": ["x" * 900 + str(number) for number in range(5)]}
    names = [f"a{number}" for number in range(7)]
    for name in names:
        assert create(client, name, headers, budget=budget).status_code == 201
    seen, cursor, sizes = [], "", []
    while cursor is not None:
        answer = client.get(f"/v1/agents?limit=500&cursor={cursor}", headers=headers)
        seen += [agent["name"] for agent in answer.json()["agents"]]
        sizes.append(len(answer.content))
        cursor = answer.json()["next_cursor"]
    assert seen == names
    assert len(sizes) == 4
    assert max(sizes) < 12_000


def test_changes_of_agents_are_in_the_audit_log(
    make_client: Any, store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET, "of the edge")
    team, client = token(store, "team-"), make_client()
    reader = token(store, "team-", Scope.READ)
    proxied = {**team, "x-forwarded-for": "203.0.113.9, 198.51.100.7", MARK: "of the edge"}
    path = "/v1/agents/team-a"
    create(client, "team-a", proxied)
    create(client, "team-a", team, seed=5)
    create(client, "other", team)
    client.patch(path, json={"description": "secret words"}, headers=team)
    client.patch(path, content=b"{", headers={**team, "content-type": "application/json"})
    client.post(f"{path}/recommendations", json=CASES, headers=team)
    client.post(f"{path}/versions/0/restore", headers=team)
    client.delete(f"{path}?confirm=team-a", headers=reader)
    client.delete(f"{path}?confirm=team-a", headers=team)
    client.delete(f"{path}?confirm=team-a", headers={"authorization": "Bearer wrong"})
    rows = [row for row in store.audit(AuditQuery()) if not row.action.startswith("token")]
    ids = [row.subject for row in store.audit(AuditQuery()) if row.action == "token create"]
    first, second = ids
    listed = [(row.token_id, row.action, row.subject, row.outcome) for row in rows]
    assert listed[0] == (first, "create_agent", "team-a", "ok")
    assert listed[1] == (first, "create_agent", "team-a", "conflict")
    assert (first, "change_agent", "team-a", "ok") in listed
    assert (first, "restore_version", "team-a", "ok") in listed
    assert listed[-2:] == [(second, "delete_agent", "team-a", "forbidden"), (first, "delete_agent", "team-a", "ok")]
    assert [row.origin for row in rows[:2]] == ["198.51.100.7", "127.0.0.1"]
    assert "secret" not in repr(rows)
    secrets = [headers["authorization"].split("_", 2)[2] for headers in (team, reader)]
    assert not any(secret in repr(rows) for secret in secrets)


def test_refusals_of_one_token_do_not_fill_the_store(make_client: Any, store: StateStore) -> None:
    reader, client = token(store, scope=Scope.READ), make_client()
    for _ in range(50):
        assert client.delete("/v1/agents/x?confirm=x", headers=reader).status_code == 403
    assert 1 <= len([row for row in store.audit(AuditQuery()) if row.action == "delete_agent"]) < 20


def test_a_change_that_cannot_be_entered_is_not_acknowledged(
    make_client: Any, store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestration.service.errors import UnavailableError
    from orchestration.service.store.sql import SqlStore

    headers, client = token(store), make_client()

    def broken(*_: Any) -> None:
        raise UnavailableError("the store cannot be used now")

    monkeypatch.setattr(SqlStore, "add_audit", broken)
    assert create(client, "a", headers).status_code == 503
    monkeypatch.undo()
    assert create(client, "a", headers).status_code == 200
    (entry,) = store.audit(AuditQuery(subject="a"))
    assert (entry.action, entry.outcome) == ("create_agent", "ok")


class GoneError(Exception):
    """What a server raises in place of the rest of a body."""


@pytest.mark.parametrize("error", [None, GoneError("the connection is closed")])
def test_a_caller_who_leaves_is_nobodys_failure(client: TestClient, agent: str, error: Exception | None) -> None:
    parts = [{"type": "http.request", "body": b'{"test', "more_body": True}]

    async def receive() -> Any:
        if parts:
            return parts.pop()
        if error is not None:
            raise error
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        raise AssertionError("nobody reads an answer")

    api: Any = client.app
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/v1/agents/{agent}/recommendations",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        "query_string": b"",
        "client": ("127.0.0.1", 1),
    }
    asyncio.run(api(scope, receive, send))
    shown = client.get("/metrics").text
    assert 'status="499"} 1.0' in shown
    assert 'status="500"' not in shown
    assert "proctor_errors_total" not in shown.replace("# HELP proctor_errors_total", "").replace(
        "# TYPE proctor_errors_total", ""
    )


def test_the_time_of_a_body_still_ends() -> None:
    async def never() -> Any:
        await asyncio.sleep(30)

    from serve_app.body_limits import BodyTooSlowError

    with pytest.raises(BodyTooSlowError):
        asyncio.run(read_body(never, 10, 0.01))

    async def broken() -> Any:
        raise GoneError

    with pytest.raises(DisconnectedError):
        asyncio.run(read_body(broken, 10, 1.0))


def test_the_settings_of_an_agent_are_bounded(client: TestClient) -> None:
    body = {"name": "a", "kind": "random", "budget": {"must_run": [f"{number:0300}" for number in range(4000)]}}
    answer = client.post("/v1/agents", content=json.dumps(body), headers={"content-type": "application/json"})
    assert "expected at most 1048576" in refused(answer, "too-large", 413)
    assert answer.json()["errors"][0]["field"] == "budget.must_run"
