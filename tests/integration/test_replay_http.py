"""The whole protocol over HTTP with the client: the same numbers as in the library, shadows, the demo."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from proctor_client import (
    AsyncSchedulerClient,
    ConflictError,
    NotFoundError,
    RefusedError,
    SchedulerClient,
    TestCase,
    TestResult,
)

from agents.scheduling.history_replay import replay as library_replay
from agents.scheduling.loaders.recorded import write_recorded
from agents.scheduling.settings import AgentSettings
from agents.scheduling.synthetic import flaky_history
from orchestration.cli import main
from orchestration.cli.demo_service import run_service_demo, service

pytestmark = pytest.mark.slow

HISTORY = flaky_history(np.random.default_rng(5), tests=15, flaky=4, cycles=12)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real service on this machine, in processes of its own."""
    with service(tmp_path_factory.mktemp("service")) as client:
        yield str(client._http.base_url)


@pytest.fixture(scope="module")
def history_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("history") / "small.parquet"
    write_recorded(HISTORY, path)
    return path


@pytest.mark.parametrize("kind", ["failure_rate", "bandit", "network"])
def test_over_http_an_agent_does_what_it_does_in_the_library(kind, url, history_file, tmp_path, capsys):
    """Where everything fits the budget, the service and the library must give the same orders to the last bit."""
    options = ["--agent", kind, "--seeds", "1", "--budget", "1.0", "--home", str(tmp_path)]
    with pytest.raises(SystemExit) as left:
        main(["replay", str(history_file), "--url", url, *options, "--tracking-uri", "none", "--format", "json"])
    assert left.value.code == 0
    (row,) = json.loads(capsys.readouterr().out)
    expected = library_replay(HISTORY, AgentSettings(kind), budget_share=1.0).summary()
    names = ("napfd", "apfd", "apfdc", "ttff", "recall", "failing_cycles", "cycles")
    assert {name: row[name] for name in names} == {name: expected[name] for name in names}
    with SchedulerClient(url) as client:
        assert [agent.name for agent in client.agents() if agent.name.startswith("replay-")] == []


def test_the_four_steps_and_a_shadow(url):
    with SchedulerClient(url, on_failure="raise") as client:
        for name, kind in (("steps", "failure_rate"), ("steps-shadow", "random")):
            client.create_agent(name, kind, reward="failure_count", seed=1)
        tests = client.gather([TestCase("a", 2.0, {"loc": 10, "area": "ui"}), "b", "c"])
        answer = client.recommend(
            "steps", tests, "unit", must_run=["c"], observe=["steps-shadow"], idempotency_key="k1"
        )
        again = client.recommend("steps", tests, "unit", must_run=["c"], observe=["steps-shadow"], idempotency_key="k1")
        assert answer == again
        assert answer.order[0] == "c"
        assert answer.observers == ("steps-shadow",)
        results = [
            TestResult("a", "passed", 1.0),
            TestResult("b", "failed", 2.0, 1.7e9),
            TestResult("c", "passed", 0.5),
        ]
        assert client.submit_results(answer, results[:2]).missing == 1
        receipt = client.submit_results(answer, results)
        assert (receipt.recorded, receipt.repeated, receipt.missing) == (1, 2, 0)
        reward = client.assign_reward(answer)
        assert client.assign_reward(answer).repeated
        assert reward.agent_version == client.agent("steps").version == 1
        assert set(reward.rewards) == {"a", "b", "c"}
        assert [len(client.metrics(name)) for name in ("steps", "steps-shadow")] == [1, 1]
        with pytest.raises(ConflictError):
            client.submit_results(answer, [TestResult("b", "passed")])
        with pytest.raises(RefusedError):
            client.create_agent("steps", "no-such-kind")
        with pytest.raises(NotFoundError):
            client.recommend("nobody", ["a"])


def test_real_time(url):
    with SchedulerClient(url, on_failure="raise") as client:
        client.create_agent("next", "file_order")
        with client.episode("next", "unit", ["a", "b", "c"]) as episode:
            seen = []
            while (upcoming := episode.next_test()).test_id is not None:
                seen.append(upcoming.test_id)
                episode.report(upcoming.test_id, "passed", 1.0)
        assert seen == ["a", "b", "c"]
        assert episode.reward is not None


def test_the_twin(url):
    async def twin() -> tuple[tuple[str, ...], int]:
        async with AsyncSchedulerClient(url, on_failure="raise") as client:
            await client.create_agent("twin", "file_order")
            async with client.episode("twin", "unit", ["a", "b"]) as episode:
                for name in episode.order:
                    episode.report(name, "passed", 1.0)
            return episode.order, episode.reward.agent_version

    assert asyncio.run(twin()) == (("a", "b"), 1)


def test_the_demo(history_file, tmp_path, capsys):
    picture = run_service_demo(tmp_path, 6, history_file)
    assert picture.stat().st_size > 10_000
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines() if " shadow " in line] == [
        "bandit",
        "failure-rate",
        "random",
    ]
    assert "4. Stop the service." in printed
