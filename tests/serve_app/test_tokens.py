"""Bearer tokens: scopes, prefixes, and the service without any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from orchestration.service.service import ServiceSettings
from orchestration.service.store.registry import state_store
from orchestration.service.tokens import Scope, Tokens

CASES = {"test_cases": [{"id": "a"}, {"id": "b"}]}


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    """A token of each scope, and one for the agents whose name begins with "team-"."""
    own = Tokens(state_store(ServiceSettings.in_folder(tmp_path).store_url))
    texts = {scope.value: own.create([scope])[0] for scope in Scope}
    texts["team"] = own.create([Scope.ADMIN], agent_prefix="team-")[0]
    revoked, row = own.create([Scope.ADMIN])
    own.revoke(row.id)
    return {**texts, "revoked": revoked}


@pytest.fixture
def guarded(tokens: dict[str, str], make_client: Any) -> TestClient:
    """A service with tokens and the agent "nightly"."""
    client: TestClient = make_client()
    body = {"name": "nightly", "kind": "random"}
    assert client.post("/v1/agents", json=body, headers=bearer(tokens["admin"])).status_code == 201
    return client


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer proctor_000000000000_" + "A" * 43},
        {"authorization": "Bearer \xff"},
        {"authorization": "Basic dXNlcjpwYXNz"},
        {"authorization": "proctor_"},
    ],
)
def test_without_a_valid_token_nothing_is_told(guarded: TestClient, headers: dict[str, str]) -> None:
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    for method, path in (("GET", "/v1/agents"), ("GET", "/v1/agents/nightly"), ("GET", "/v1/agents/nobody")):
        answer = guarded.request(method, path, headers=encoded)
        assert answer.status_code == 401
        assert answer.json()["type"] == "urn:proctor:problem:unauthenticated"
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_revoked_token_is_none(guarded: TestClient, tokens: dict[str, str]) -> None:
    assert guarded.get("/v1/agents", headers=bearer(tokens["revoked"])).status_code == 401


def test_each_scope_includes_those_before_it(guarded: TestClient, tokens: dict[str, str]) -> None:
    def status(scope: str, method: str, path: str, **body: Any) -> int:
        return guarded.request(method, f"/v1/agents{path}", headers=bearer(tokens[scope]), **body).status_code

    recommend = ("POST", "/nightly/recommendations")
    assert [status(scope, "GET", "/nightly") for scope in ("read", "recommend", "admin")] == [200, 200, 200]
    assert [status(scope, *recommend, json=CASES) for scope in ("read", "recommend", "admin")] == [403, 200, 200]
    new = {"name": "new", "kind": "random"}
    assert [status(scope, "POST", "", json=new) for scope in ("read", "recommend", "admin")] == [403, 403, 201]
    delete = ("DELETE", "/new?confirm=new")
    assert [status(scope, *delete) for scope in ("read", "recommend", "admin")] == [403, 403, 204]
    restore = ("POST", "/nightly/versions/0/restore")
    assert [status(scope, *restore) for scope in ("read", "recommend")] == [403, 403]
    assert [status(scope, "PATCH", "/nightly", json={}) for scope in ("read", "recommend")] == [403, 403]


def test_foreign_agents_look_as_if_they_did_not_exist(guarded: TestClient, tokens: dict[str, str]) -> None:
    team = bearer(tokens["team"])
    calls: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("PATCH", "", {}),
        ("DELETE", "?confirm={name}", None),
        ("POST", "/recommendations", CASES),
        ("POST", "/episodes/e1/results", {"results": [{"id": "a", "verdict": "passed"}]}),
        ("POST", "/episodes/e1/reward", None),
        ("GET", "/metrics", None),
        ("POST", "/versions/0/restore", None),
    ]
    for method, rest, body in calls:
        answers = []
        for name in ("nightly", "team-x"):
            path = f"/v1/agents/{name}{rest.replace('{name}', name)}"
            answer = guarded.request(method, path, headers=team, **({} if body is None else {"json": body}))
            answers.append((answer.status_code, answer.text.replace(name, "NAME")))
        assert answers[0] == answers[1], "an agent of others and one that is not there must look the same"
        assert answers[0][0] == 404
    assert guarded.get("/v1/agents/nightly", headers=bearer(tokens["read"])).status_code == 200


def test_a_prefix_holds_for_creating_listing_and_observing(guarded: TestClient, tokens: dict[str, str]) -> None:
    team = bearer(tokens["team"])
    assert guarded.post("/v1/agents", json={"name": "mine", "kind": "random"}, headers=team).status_code == 403
    for name in ("team-a", "team-b"):
        assert guarded.post("/v1/agents", json={"name": name, "kind": "random"}, headers=team).status_code == 201
    listed = guarded.get("/v1/agents", headers=team).json()["agents"]
    assert [entry["name"] for entry in listed] == ["team-a", "team-b"]
    path = "/v1/agents/team-a/recommendations"
    assert guarded.post(path, json={**CASES, "observe": ["team-b"]}, headers=team).status_code == 200
    answers = [guarded.post(path, json={**CASES, "observe": [name]}, headers=team) for name in ("nightly", "nobody")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].text.replace("nightly", "X") == answers[1].text.replace("nobody", "X")


def test_without_tokens_only_this_machine_is_let_in(make_client: Any) -> None:
    assert make_client(loopback=True).get("/v1/agents").status_code == 200
    answer = make_client(loopback=False).get("/v1/agents")
    assert answer.status_code == 401
    assert "proctor token create" in answer.json()["detail"]


def test_a_foreign_name_of_this_machine_is_refused(make_client: Any) -> None:
    client = make_client(loopback=True)
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000", "app.localhost"):
        assert client.get("/v1/agents", headers={"host": host}).status_code == 200
    for host in ("evil.example", "192.0.2.7:8000", "localhost.evil.example"):
        assert client.get("/v1/agents", headers={"host": host}).status_code == 401


def test_health_needs_no_token(guarded: TestClient) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"):
        assert guarded.get(path).status_code == 200
