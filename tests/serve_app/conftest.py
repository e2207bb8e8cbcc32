"""The application in process: its service owns the agents itself, without Ray."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from orchestration.service.service import SchedulingService, ServiceSettings
from serve_app.app import build_api

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # starlette prefers another HTTP client
    from starlette.testclient import TestClient

MakeClient = Callable[..., TestClient]


@pytest.fixture
def make_client(tmp_path: Path) -> Iterator[MakeClient]:
    """Clients of applications over one store."""
    with ExitStack() as open_clients:

        def make(loopback: bool = True, home: Path = tmp_path, **options: Any) -> TestClient:
            async def listens() -> bool:
                return loopback

            def open_service() -> SchedulingService:
                return SchedulingService(ServiceSettings.in_folder(home, inline=True))

            api = build_api(open_service, listens, **options)
            address = ("127.0.0.1", 50_000)
            client = TestClient(api, base_url="http://127.0.0.1:8000", client=address, raise_server_exceptions=False)
            return open_clients.enter_context(client)

        yield make


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    """A client of an application without tokens."""
    return make_client()


@pytest.fixture
def agent(client: TestClient) -> str:
    """An agent that learns."""
    answer = client.post("/v1/agents", json={"name": "nightly", "kind": "bandit", "seed": 1})
    assert answer.status_code == 201
    return "nightly"


@pytest.fixture
def episode(client: TestClient, agent: str) -> str:
    """An episode of that agent with the tests a, b, c, without results."""
    cases = [{"id": name, "duration": 1.0} for name in "abc"]
    answer = client.post(f"/v1/agents/{agent}/recommendations", json={"job": "unit", "test_cases": cases})
    assert answer.status_code == 200
    return str(answer.json()["episode_id"])
