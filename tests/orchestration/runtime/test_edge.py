"""The edge with a real HAProxy: what it refuses, how long it waits, whom it serves meanwhile, and its files."""

from __future__ import annotations

import socket
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from envsearch.errors import InputError, ProctorError
from orchestration.runtime import edge
from orchestration.runtime.edge import Edge, fitting_connections, proxies_of, secret_of, secured
from orchestration.runtime.haproxy import make_private
from orchestration.service.owners.batching import ANSWER_SECONDS
from tests.orchestration.runtime.edge_server import (
    SECRET,
    EdgeServer,
    edge_server,
    get,
    received,
    status,
    write_configuration,
)

CHUNKED = (
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nConnection: close\r\n\r\n"
)
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
SECONDS = edge.HEAD_SECONDS
SLACK = 3.0
"""Seconds that a busy machine may add."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeServer]:
    """A running HAProxy with one trusted proxy, 127.0.0.9."""
    with edge_server(tmp_path_factory.mktemp("edge"), PROCTOR_TRUSTED_PROXIES="127.0.0.9") as running:
        yield running


def body(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (CHUNKED, 411),
        (CHUNKED.replace(b"GET", b"POST"), 411),
        (CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0"), 413),
        (CHUNKED.replace(b": chunked", b":\tCHUNKED"), 411),
        (CHUNKED.replace(b"Transfer", b"Content-Length: 5\r\nTransfer"), 411),
        (CHUNKED.replace(b"chunked", b"gzip, chunked"), 422),
        (CHUNKED.replace(b"Encoding:", b"Encoding :"), 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 400),
        (get("*", method="OPTIONS"), 400),
        (get("/x", method="TRACE"), 405),
        (get("/x", method="FOO"), 405),
        (get("/x", method="get"), 405),
        (get("a:80", method="CONNECT"), 400),
        (get("x"), 400),
        (get("http://elsewhere/x"), 400),
        (b"GET /\r\n", 400),
        (get("/x", "Host: other"), 400),
        (get("/x", "X: " + "a" * 20_000), 400),
        (get("/x", "Content-Length: 1", "Content-Length: 2"), 400),
    ],
)
def test_what_is_none_of_ours_never_reaches_a_replica(server: EdgeServer, request_bytes: bytes, expected: int) -> None:
    server.replica.seen.clear()
    assert status(server.ask(request_bytes)) == expected
    assert server.replica.seen == []


def request_id_of(answer: bytes) -> str:
    head = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    names = [line.partition(": ")[2] for line in head if line.lower().startswith("x-request-id:")]
    assert len(names) == 1, answer
    return names[0]


def test_a_request_has_one_name_in_the_replica_and_in_the_answer(server: EdgeServer) -> None:
    answer = server.ask(get("/x", "X-Request-ID: job-17.a", "Connection: close"))
    assert request_id_of(answer) == server.replica.seen[-1]["x-request-id"] == "job-17.a"


@pytest.mark.parametrize(
    "headers", [(), ("X-Request-ID: a b",), ("X-Request-ID: " + "a" * 65,), ("X-Request-ID: a",) * 2]
)
def test_a_request_without_a_proper_name_is_named_by_the_edge(server: EdgeServer, headers: tuple[str, ...]) -> None:
    names = [request_id_of(server.ask(get("/x", *headers, "Connection: close"))) for _ in range(2)]
    assert len(set(names)) == 2
    assert all(len(name) == 36 for name in names)
    assert server.replica.seen[-1]["x-request-id"] == names[-1]


def test_a_refusal_of_the_edge_is_named_too(server: EdgeServer) -> None:
    assert request_id_of(server.ask(get("/x", "X-Request-ID: mine", method="TRACE"))) == "mine"


def test_a_refusal_is_a_problem_document_and_ends_the_connection(server: EdgeServer) -> None:
    with server.connect() as caller:
        caller.sendall(CHUNKED + get("/after"))
        answer = received(caller, quiet=5.0)
    assert b"content-type: application/problem+json" in answer
    assert b'"urn:proctor:problem:length-required"' in body(answer)
    assert b"connection: close" in answer
    assert answer.count(b"HTTP/1.1") == 1
    assert b"allow: DELETE, GET" in server.ask(get("/x", method="FOO"))


def test_chunks_with_trailers_harm_no_other_caller(server: EdgeServer) -> None:
    """Found from outside: the next call on the replica's connection was never answered."""
    for port in (server.port, server.operator):
        for _ in range(5):
            assert status(server.ask(CHUNKED, port=port)) == 411
            began = time.monotonic()
            assert status(server.ask(get("/healthz", "Connection: close"), port=port)) == 200
            assert time.monotonic() - began < SLACK


def test_a_protocol_is_never_switched(server: EdgeServer) -> None:
    server.replica.seen.clear()
    answer = server.ask(get("/x", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", KEY))
    assert status(answer) == 200
    assert "upgrade" not in server.replica.seen[0]


@pytest.mark.parametrize("start", [b"", b"GET /x HTTP/1.1\r\nHost: localhost\r\nX"])
def test_a_slow_head_has_a_time_limit(server: EdgeServer, start: bytes) -> None:
    with server.connect() as caller:
        began = time.monotonic()
        caller.sendall(start)
        assert status(received(caller)) == 408
    assert SECONDS - 1 < time.monotonic() - began < SECONDS + SLACK


def test_a_slow_body_has_a_time_limit_and_occupies_no_replica(server: EdgeServer) -> None:
    server.replica.seen.clear()
    with server.connect() as caller:
        began = time.monotonic()
        caller.sendall(b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nX")
        answer = received(caller)
    assert status(answer) == 408
    assert b"urn:proctor:problem:too-slow" in answer
    assert time.monotonic() - began < SECONDS + SLACK
    assert server.replica.seen == []


def test_a_dripping_head_has_the_same_limit(server: EdgeServer) -> None:
    with server.connect() as caller:
        began = time.monotonic()
        with suppress(OSError):
            for byte in get("/x", "X: " + "a" * 1000):
                caller.sendall(bytes([byte]))
                time.sleep(0.1)
        assert time.monotonic() - began < SECONDS + 2 * SLACK


def test_a_silent_replica_is_answered_504(tmp_path: Path) -> None:
    with edge_server(tmp_path, answer_seconds=1) as quick, quick.connect() as caller:
        began = time.monotonic()
        caller.sendall(get("/silent"))
        answer = received(caller)
        assert time.monotonic() - began < 1 + SLACK
    assert status(answer) == 504
    assert b"urn:proctor:problem:timed-out" in answer


def test_owners_report_their_own_timeout_first(server: EdgeServer) -> None:
    assert f"timeout server {edge.ANSWER_SECONDS}s" in server.configuration.read_text()
    assert edge.ANSWER_SECONDS > ANSWER_SECONDS


def silent_connections(server: EdgeServer, source: str, count: int) -> list[socket.socket]:
    """Connections that send half a head; those that are refused are not in the list."""
    opened = []
    for _ in range(count):
        with suppress(OSError):
            caller = server.connect(source)
            opened.append(caller)
            caller.sendall(b"GET /x HTTP/1.1\r\nX")
    return opened


def test_silent_connections_of_one_address_take_nothing_from_another(server: EdgeServer) -> None:
    opened = silent_connections(server, "127.0.0.2", 4000)
    try:
        worst, began = 0.0, time.monotonic()
        while time.monotonic() - began < SECONDS + 1:
            asked = time.monotonic()
            assert status(server.ask(get("/x", "Connection: close"))) == 200
            worst = max(worst, time.monotonic() - asked)
        assert worst < SLACK
        assert status(server.ask(get("/x", "Connection: close"), source="127.0.0.2")) == 200, "given back after 408"
    finally:
        for caller in opened:
            caller.close()


def test_a_crowded_address_gets_429_and_still_sees_health(tmp_path: Path) -> None:
    """With 1,024 open files: 307 connections, of one address 76 politely and 153 at all."""
    with edge_server(tmp_path, open_files=1024) as small:
        opened = silent_connections(small, "127.0.0.2", 100)
        end, answer = time.monotonic() + SLACK, b""
        while status(answer) != 429 and time.monotonic() < end:  # the system accepts connections before HAProxy does
            answer = small.ask(get("/x", "Connection: close"), source="127.0.0.2")
        assert status(answer) == 429
        assert b"retry-after: 1" in answer
        assert status(small.ask(get("/healthz", "Connection: close"), source="127.0.0.2")) == 200
        assert status(small.ask(get("/x", "Connection: close"))) == 200
        for caller in opened:
            caller.close()


def test_health_is_reachable_while_the_edge_is_full(tmp_path: Path) -> None:
    with edge_server(tmp_path, open_files=1024) as small:
        opened = [c for host in range(2, 8) for c in silent_connections(small, f"127.0.0.{host}", 150)]
        assert status(small.ask(get("/healthz", "Connection: close"), port=small.operator)) == 200
        assert status(small.ask(get("/metrics", "Connection: close"), port=small.operator)) == 200
        for caller in opened:
            caller.close()


def test_a_callers_address_is_what_the_edge_saw(server: EdgeServer) -> None:
    claims = ("X-Forwarded-For: 198.51.100.7", f"{edge.MARK}: forged")
    for source, expected in (("127.0.0.1", "127.0.0.1"), ("127.0.0.9", "198.51.100.7")):
        server.replica.seen.clear()
        server.ask(get("/x", *claims), source=source)
        assert server.replica.seen[0]["x-forwarded-for"] == expected
        assert server.replica.seen[0][edge.MARK] == SECRET
    server.ask(get("/x"), source="127.0.0.9")
    assert server.replica.seen[-1]["x-forwarded-for"] == "127.0.0.9"


def test_files_and_sockets_are_private(server: EdgeServer) -> None:
    folder = server.configuration.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes["admin.sock"] == 0o600
    assert modes["haproxy.cfg"] == 0o600, "it holds the secret"


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "edge").mkdir()
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    with pytest.raises(InputError, match="another user"):
        make_private(tmp_path / "edge")


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", "::1"])
def test_an_open_address_opens_http_alone(tmp_path: Path, host: str) -> None:
    file = write_configuration(tmp_path / "edge", host, (1001, 1002, 1003), replica=1004)
    text = secured(file.read_text(), Edge(4096, (), "", tmp_path))
    shown = "*" if host == "0.0.0.0" else host
    binds = [line.split()[1] for line in text.splitlines() if line.strip().startswith("bind ")]
    assert binds == ["127.0.0.1:1002", f"{shown}:1001", "127.0.0.1:1003"]


def test_without_an_application_callers_shall_try_again(tmp_path: Path) -> None:
    file = write_configuration(tmp_path / "edge", "127.0.0.1", (1001, 1002, 1003), replica=0)
    text = secured(file.read_text(), Edge(4096, (), "", tmp_path))
    assert "status 404" not in text.partition("frontend http_frontend")[2]
    assert "status 503" in text.partition("backend default_backend")[2]


def test_a_configuration_of_another_ray_is_refused(tmp_path: Path) -> None:
    file = write_configuration(tmp_path / "edge", "127.0.0.1", (1001, 1002, 1003), replica=1004)
    text = file.read_text()
    own = Edge(4096, (), "", tmp_path)
    for known in (
        "mode 666",
        "    maxconn",
        "errorfile",
        "bind :",
        "bind *:",
        "status 404",
        "listen",
    ):
        with pytest.raises(ProctorError, match=r"Ray 2\.60"):
            secured(text.replace(known, "other"), own)


def test_as_many_connections_as_open_files_allow() -> None:
    assert fitting_connections(10**6) == edge.CONNECTIONS
    assert fitting_connections(4096) == 1536
    assert fitting_connections(1024) == 307
    assert fitting_connections(100) == 0


def test_the_secret_is_shared_by_a_cluster_and_follows_from_its_token(tmp_path: Path) -> None:
    file = tmp_path / "auth_token"
    file.write_text("a token\n")
    derived = secret_of({"RAY_AUTH_TOKEN_PATH": str(file)})
    assert derived == secret_of({"RAY_AUTH_TOKEN": "a token"})
    assert "token" not in derived
    assert len(derived) == 64
    assert secret_of({"PROCTOR_EDGE_SECRET": "own", "RAY_AUTH_TOKEN": "a token"}) == "own"
    assert secret_of({"HOME": str(tmp_path)}) == ""


def test_a_wrong_network_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="PROCTOR_TRUSTED_PROXIES"):
        proxies_of({"PROCTOR_TRUSTED_PROXIES": "10.0.0.0/8,here"})
