"""Both clients against the real application, in this process: no server, no Ray."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from proctor_client import (
    AsyncSchedulerClient,
    ConflictError,
    NotAllowedError,
    NotFoundError,
    PastRun,
    RefusedError,
    SchedulerClient,
    TestCase,
    TestResult,
)

from orchestration.service.service import SchedulingService, ServiceSettings
from serve_app.app import build_api

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # starlette prefers another HTTP client
    from starlette.testclient import TestClient

URL = "http://127.0.0.1:8000"


def application(home: Path, loopback: bool = True):
    async def listens() -> bool:
        return loopback

    return build_api(lambda: SchedulingService(ServiceSettings.in_folder(home, inline=True)), listens)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[SchedulerClient]:
    with TestClient(application(tmp_path), base_url=URL, raise_server_exceptions=False) as running:
        yield SchedulerClient(URL, transport=running._transport, on_failure="raise", retries=0)


def test_the_protocol(client):
    client.ready()
    client.create_agent("live", "failure_rate", reward="failure_count", seed=1, description="of a test")
    client.create_agent("shadow", "random")
    tests = [TestCase("a", 2.0, {"loc": 10, "area": "ui", "new": True}, [PastRun("failed", 1.0)]), "b", "c"]
    with client.episode("live", "unit", tests, must_run=["c"], observe=["shadow"]) as episode:
        assert episode.order[0] == "c"
        for name in episode.order:
            episode.report(name, "failed" if name == "b" else "passed", 1.0, 1.7e9)
    assert episode.reward.agent_version == 1
    assert set(episode.reward.rewards) == {"a", "b", "c"}
    assert 0 < episode.reward.metrics["napfd"] < 1
    assert [len(client.metrics(name)) for name in ("live", "shadow")] == [1, 1]
    assert [info.name for info in client.agents()] == ["live", "shadow"]
    assert client.agent("live").episodes == 1
    client.delete_agent("live")
    with pytest.raises(NotFoundError):
        client.agent("live")


def test_a_budget_and_real_time(client):
    client.create_agent("live", "file_order")
    tests = [TestCase(name, 10.0) for name in "abcd"]
    with client.episode("live", "unit", tests, time_budget_seconds=25) as episode:
        assert (episode.order, episode.not_selected) == (("a", "b"), ("c", "d"))
        seen = []
        while (answer := episode.next_test()).test_id is not None:
            seen.append(answer.test_id)
            episode.report(answer.test_id, "passed", 10.0)
    assert seen == ["a", "b"]


def test_a_retry_gets_the_same_episode_and_the_same_reward(client):
    client.create_agent("live", "random")
    first = client.recommend("live", ["a", "b", "c"], idempotency_key="build-17")
    assert client.recommend("live", ["a", "b", "c"], idempotency_key="build-17") == first
    assert client.recommend("live", ["a", "b", "c"]).episode_id != first.episode_id
    results = [TestResult(name, "passed", 1.0) for name in "abc"]
    assert client.submit_results(first, results[:2]).missing == 1
    assert client.submit_results(first, results).repeated == 2
    reward = client.assign_reward(first)
    again = client.assign_reward(first)
    assert again.repeated
    assert (again.total, again.rewards, again.agent_version) == (reward.total, reward.rewards, reward.agent_version)


def test_refusals_have_their_class(client):
    client.create_agent("live", "random", seed=1)
    with pytest.raises(ConflictError):
        client.create_agent("live", "random", seed=2)
    with pytest.raises(RefusedError) as caught:
        client.create_agent("other", "no-such-kind")
    assert caught.value.status == 422
    assert caught.value.slug == "invalid-request"
    with pytest.raises(NotFoundError):
        client.recommend("nobody", ["a"])
    answer = client.recommend("live", ["a"])
    with pytest.raises(RefusedError):
        client.submit_results(answer, [TestResult("z", "passed")])


def test_a_wrong_token(tmp_path):
    with TestClient(application(tmp_path, loopback=False), base_url=URL) as running:
        client = SchedulerClient(URL, "wrong", transport=running._transport, on_failure="raise")
        with pytest.raises(NotAllowedError):
            client.agents()


def test_the_twin(tmp_path):
    api = application(tmp_path)

    async def twin() -> tuple[tuple[str, ...], int]:
        transport = httpx.ASGITransport(api)
        async with api.router.lifespan_context(api), AsyncSchedulerClient(URL, transport=transport) as client:
            await client.create_agent("live", "file_order")
            async with client.episode("live", "unit", ["a", "b"]) as episode:
                for name in episode.order:
                    episode.report(name, "passed", 1.0)
                await episode.send()
            return episode.order, episode.reward.agent_version

    assert asyncio.run(twin()) == (("a", "b"), 1)
