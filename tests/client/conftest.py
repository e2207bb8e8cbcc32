"""A service without a network: it follows the protocol and fails on request."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest


class FakeService:
    """Orders tests backwards, selects all of them, and keeps every request.

    Attributes:
        failures: what the next requests get instead of an answer, in order: a status, a response, an exception.
    """

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.failures: list[Any] = []
        self.results: dict[str, Any] = {}
        self.rewarded = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            if isinstance(failure, httpx.Response):
                return failure
            detail = {"type": "urn:proctor:problem:some-slug", "detail": f"scripted failure {failure}"}
            return httpx.Response(failure, json=detail)
        return self._answer(request.method, request.url.path, json.loads(request.content or b"null"))

    def _answer(self, method: str, path: str, body: Any) -> httpx.Response:
        last = path.rpartition("/")[2]
        if last == "recommendations":
            ids = [case["id"] for case in body["test_cases"]][::-1]
            ranking = [
                {"id": name, "position": place, "priority": 0.5, "selected": True, "expected_duration": 1.0}
                | {"reasons": ["new"]}
                for place, name in enumerate(ids, start=1)
            ]
            return httpx.Response(200, json={"episode_id": "e1", "agent_version": 3, "ranking": ranking})
        if last == "results":
            new = {entry["id"]: entry for entry in body["results"]}
            repeated = len(new.keys() & self.results.keys())
            self.results.update(new)
            answer = {"episode_id": "e1", "recorded": len(new) - repeated, "repeated": repeated, "missing": 0}
            return httpx.Response(200, json=answer)
        if last == "reward":
            self.rewarded += 1
            rewards = [{"id": name, "reward": 1.0} for name in self.results]
            answer = {
                "episode_id": "e1",
                "agent_version": 4,
                "total": 2.5,
                "rewards": rewards,
                "metrics": {"apfd": 0.75},
            }
            return httpx.Response(200, json={**answer, "repeated": self.rewarded > 1})
        if last == "next":
            for entry in body["results"]:
                self.results[entry["id"]] = entry
            answer = {"episode_id": "e1", "test_id": "b", "position": 1, "reasons": [], "remaining": 1}
            return httpx.Response(200, json=answer)
        if path == "/v1/agents" and method == "GET":
            return httpx.Response(200, json={"agents": [agent("a")], "next_cursor": None})
        if method == "DELETE":
            return httpx.Response(204)
        return httpx.Response(201, json=agent("nightly"))

    def paths(self) -> list[str]:
        """Last parts of the requested paths."""
        return [request.url.path.rpartition("/")[2] for request in self.requests]

    def body(self, place: int) -> Any:
        """The body of a request."""
        return json.loads(self.requests[place].content)


def agent(name: str) -> dict[str, Any]:
    return {"name": name, "kind": "network", "reward": "time_ranked", "version": 0, "episodes": 0, "seed": 7}


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def waits() -> list[float]:
    """Seconds that the client of the same test waited between attempts."""
    return []


@pytest.fixture
def make_client(service: FakeService, waits: list[float]) -> Callable[..., Any]:
    """A client of the fake service that never really waits."""
    from proctor_client import SchedulerClient

    def make(**options: Any) -> SchedulerClient:
        transport = httpx.MockTransport(service)
        return SchedulerClient("http://proctor.test", transport=transport, sleep=waits.append, **options)

    return make


@pytest.fixture
def make_async_client(service: FakeService, waits: list[float]) -> Callable[..., Any]:
    """The asynchronous `make_client`."""
    from proctor_client import AsyncSchedulerClient

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    def make(**options: Any) -> AsyncSchedulerClient:
        return AsyncSchedulerClient(
            "http://proctor.test", transport=httpx.MockTransport(service), sleep=sleep, **options
        )

    return make
