"""Failed authentications are limited by address, tokens rotate without a gap, and no token is ever logged."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from envsearch.errors import InputError
from orchestration.runtime.edge import MARK, SECRET
from orchestration.service.store.sql import SqlStore
from orchestration.service.tokens import Scope, Tokens
from serve_app import throttling
from serve_app.throttling import BURST, SECONDS_EACH, FailureCounter, client_address, trusted_networks

WRONG = "proctor_000000000000_" + "A" * 43


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def bearer(text: str, **others: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}", **others}


def test_a_burst_is_looked_at_and_then_one_at_a_time() -> None:
    clock = Clock()
    counted = FailureCounter(clock)
    for _ in range(BURST):
        assert counted.wait("a") == 0
        counted.note("a")
    assert counted.wait("a") == pytest.approx(SECONDS_EACH)
    assert counted.wait("b") == 0
    clock.now += SECONDS_EACH
    assert counted.wait("a") == 0
    counted.note("a")
    assert counted.wait("a") > 0
    clock.now += BURST * SECONDS_EACH
    assert counted.wait("a") == 0


def test_memory_is_bounded_however_many_addresses_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "ADDRESSES", 10)
    counted = FailureCounter(Clock())
    for number in range(1000):
        counted.note(str(number))
    assert len(counted) == 10
    for _ in range(BURST):
        counted.note("999")
    assert counted.wait("999") > 0


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),  # a caller's own claim
        ("127.0.0.1", ["198.51.100.7"], "127.0.0.1"),  # that of a caller on this machine
        ("10.1.2.3", ["198.51.100.7"], "198.51.100.7"),
        ("10.1.2.3", ["10.0.0.1", "198.51.100.7"], "198.51.100.7"),
        ("10.1.2.3", ["10.0.0.1, 198.51.100.7"], "198.51.100.7"),
        ("fd00::1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", [], "192.0.2.1"),
        ("", ["x" * 1000], ""),
    ],
)
def test_the_address_is_the_peers_or_what_a_trusted_proxy_adds(peer: str, forwarded: list[str], expected: str) -> None:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    scope: dict[str, Any] = {"client": (peer, 1) if peer else None, "headers": headers}
    assert client_address(scope, trusted_networks("10.0.0.0/8, fd00::/8")) == expected


@pytest.mark.parametrize(
    ("mark", "secret", "expected"),
    [(b"good", "good", "198.51.100.7"), (b"bad", "good", "10.0.0.5"), (b"", "", "10.0.0.5"), (b"\xff", "", "10.0.0.5")],
)
def test_the_edge_is_believed_by_its_mark_on_any_node(mark: bytes, secret: str, expected: str) -> None:
    headers = [(b"x-forwarded-for", b"198.51.100.7"), (MARK.encode(), mark)]
    assert client_address({"client": ("10.0.0.5", 1), "headers": headers}, (), secret) == expected


def test_a_wrong_network_is_told() -> None:
    with pytest.raises(InputError, match="PROCTOR_TRUSTED_PROXIES"):
        trusted_networks("10.0.0.0/8,here")


@pytest.fixture
def token(tmp_path: Path) -> str:
    return Tokens(SqlStore(str(tmp_path / "service.db"))).create([Scope.ADMIN])[0]


def test_guessing_is_answered_429_and_others_go_on(
    make_client: Any, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET, "of the edge")
    client: TestClient = make_client()
    client.headers[MARK] = "of the edge"
    other = {"x-forwarded-for": "198.51.100.9"}
    assert client.get("/v1/agents", headers=bearer(token, **{"x-forwarded-for": "198.51.100.7"})).status_code == 200
    guess = bearer(WRONG, **{"x-forwarded-for": "198.51.100.7"})
    paths = [("GET", "/v1/agents"), ("POST", "/v1/agents/nightly/episodes/e/reward")]  # also the short way
    forwarded = [client.request(*paths[turn % 2], headers=guess) for turn in range(BURST + 4)]
    assert [answer.status_code for answer in forwarded] == [401] * BURST + [429] * 4
    assert forwarded[-1].json()["type"] == "urn:proctor:problem:too-many-failures"
    assert forwarded[-1].headers["content-type"] == "application/problem+json"
    assert 1 <= int(forwarded[-1].headers["retry-after"]) <= 60
    assert client.get("/v1/agents", headers=bearer(WRONG, **other)).status_code == 401
    assert client.get("/v1/agents", headers=bearer(token, **other)).status_code == 200
    assert client.get("/v1/agents", headers=guess | bearer(token)).status_code == 200, "it was good before"


def test_a_token_rotates_without_a_gap(make_client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("orchestration.service.tokens", "serve_app.auth"):
        monkeypatch.setattr(f"{module}.TRUSTED_SECONDS", -1.0)
    tokens = Tokens(SqlStore(str(tmp_path / "service.db")))
    old, row = tokens.create([Scope.RECOMMEND], "team-", "ci")
    client: TestClient = make_client()

    def status(text: str) -> int:
        return client.get("/v1/agents", headers=bearer(text)).status_code

    assert status(old) == 200
    new, made = tokens.rotate(row.id, 3600.0)
    assert (made.scopes, made.agent_prefix, made.note) == (row.scopes, row.agent_prefix, row.note)
    assert (status(old), status(new)) == (200, 200)
    with pytest.raises(InputError, match="already revoked"):
        tokens.rotate(row.id, 3600.0)
    tokens.revoke(row.id)  # brings the end forward
    assert (status(old), status(new)) == (401, 200)
    last, _ = tokens.rotate(made.id, 0.0)
    assert (status(new), status(last)) == (401, 200)


@pytest.mark.parametrize("overlap", [-1.0, float("nan"), 1e12])
def test_an_overlap_is_a_time(tmp_path: Path, overlap: float) -> None:
    tokens = Tokens(SqlStore(str(tmp_path / "service.db")))
    _, row = tokens.create([Scope.READ])
    with pytest.raises(InputError):
        tokens.rotate(row.id, overlap)
    assert len(tokens.all()) == 1


def test_no_token_is_ever_logged(
    make_client: Any, token: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    client: TestClient = make_client()
    assert client.post("/v1/agents", json={"name": "a", "kind": "random"}, headers=bearer(token)).status_code == 201
    for text in (token, WRONG, token[:-1]):
        client.get("/v1/agents", headers=bearer(text))
        client.post("/v1/agents/a/recommendations", content=b"{", headers=bearer(text))
        client.get("/v1/agents", headers={"authorization": f"Basic {text}"})

    def fails(*_: object) -> None:
        raise RuntimeError("the store is on fire")

    monkeypatch.setattr(SqlStore, "agents", fails)
    assert client.get("/v1/agents", headers=bearer(token)).status_code == 500
    assert any("failed" in record.getMessage() for record in caplog.records)
    formatter = logging.Formatter()
    logged = "\n".join(formatter.format(record) + repr(record.__dict__) for record in caplog.records)
    for text in (token, WRONG):
        assert text.split("_", 2)[2] not in logged
