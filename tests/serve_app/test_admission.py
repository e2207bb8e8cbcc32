"""Past capacity a call is answered 429 with Retry-After, and the client comes back by itself."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import pytest
from proctor_client import RetryPolicy, SchedulerClient
from starlette.testclient import TestClient

from orchestration.service.errors import OverloadedError
from serve_app import admission
from serve_app.admission import BYTES, Capacity

URL = "http://127.0.0.1:8000"


def announced(length: int) -> dict[bytes, bytes]:
    return {b"content-length": b"%d" % length}


def test_a_replica_takes_in_so_many_calls() -> None:
    capacity, small = Capacity(calls=2), announced(1)
    with capacity.place(small):
        with (
            capacity.place(announced(1)),
            pytest.raises(OverloadedError, match="2 calls"),
            capacity.place(announced(1)),
        ):
            pass
        with capacity.place(announced(1)):
            pass


def test_a_replica_takes_in_so_many_bytes() -> None:
    capacity = Capacity(size=100)
    alone, unknown = announced(500), {b"transfer-encoding": b"chunked"}
    with capacity.place(alone), pytest.raises(OverloadedError, match="MiB"), capacity.place(announced(1)):
        pass
    with (
        capacity.place(announced(60)),
        capacity.place(announced(40)),
        pytest.raises(OverloadedError),
        capacity.place(unknown),
    ):
        pass
    with capacity.place(announced(BYTES)):
        pass


@pytest.fixture
def full(client: TestClient, agent: str, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """An application whose places are all taken."""
    client.app.state.capacity = Capacity(calls=0)
    monkeypatch.setattr(admission, "HOLD_SECONDS", 0.0)
    return client


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/agents/nightly/recommendations", {"test_cases": [{"id": "a"}]}),
        ("POST", "/v1/agents/nightly/episodes/none/reward", None),
        ("POST", "/v1/agents/nightly/next", {"episode_id": "none"}),
        ("GET", "/v1/agents", None),
    ],
)
def test_what_is_too_much_is_told_with_the_time_to_come_back(
    full: TestClient, method: str, path: str, body: Any
) -> None:
    answer = full.request(method, path, json=body)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:proctor:problem:overloaded"
    assert 'proctor_errors_total{type="overloaded"} 1.0' in full.get("/metrics").text


def test_health_is_told_however_full_it_is(full: TestClient) -> None:
    assert [full.get(path).status_code for path in ("/healthz", "/readyz", "/metrics")] == [200, 200, 200]


def test_the_client_comes_back(full: TestClient) -> None:
    """It waits as long as it is told to, and is served once there is room."""
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            full.app.state.capacity = Capacity()

    client = SchedulerClient(URL, transport=full._transport, retries=RetryPolicy(3), on_failure="raise", sleep=wait)
    assert client.recommend("nightly", ["a", "b"]).order
    assert waits == [1.0, 1.0]


def test_a_flooded_agent_answers_429_and_another_one_is_served(
    client: TestClient, agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More calls at a time than one agent may have, while its owner stands still; then all that were let in."""
    assert client.post("/v1/agents", json={"name": "calm", "kind": "failure_rate"}).status_code == 201
    owners = client.app.state.service._owners
    gate = threading.Event()
    really = owners.call_now

    def held(call: Any) -> Any:
        if call.agent == agent:
            gate.wait(60)
        return really(call)

    monkeypatch.setattr(owners, "call_now", held)
    limit = owners._admission._limits.agent

    async def run() -> tuple[list[httpx.Response], httpx.Response]:
        transport = httpx.ASGITransport(client.app, client=("127.0.0.1", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url=URL, timeout=60) as http:
            path, body = "/v1/agents/{}/recommendations", {"test_cases": [{"id": "a"}]}
            flood = [asyncio.ensure_future(http.post(path.format(agent), json=body)) for _ in range(limit + 20)]
            while sum(task.done() for task in flood) < 20:  # the owner answers nobody: these were refused
                await asyncio.sleep(0.01)
            calm = asyncio.ensure_future(http.post(path.format("calm"), json=body))
            gate.set()
            return await asyncio.gather(*flood), await calm

    answers, calm = asyncio.run(run())
    codes = [answer.status_code for answer in answers]
    assert codes.count(429) >= 20
    assert codes.count(200) == len(codes) - codes.count(429) > 0
    assert {answer.headers.get("retry-after") for answer in answers} == {None, "1"}
    assert calm.status_code == 200
