"""Owners as Ray actors: one per agent, woken and passivated, killed in mid-load; nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from msgspec.structs import replace

from orchestration.runtime.ray import RayRuntime
from orchestration.service.api.agents import CreateAgent
from orchestration.service.api.recommendations import RecommendationRequest, ResultsRequest, RewardAnswer
from orchestration.service.errors import InvalidRequestError, NotOwnerError
from orchestration.service.owners.agent_owner import AgentOwner
from orchestration.service.owners.directory import Directory
from orchestration.service.owners.state_recovery import replay_log
from orchestration.service.service import SchedulingService, ServiceSettings
from orchestration.service.store.sql import SqlStore
from orchestration.service.typed_calls import owner_call

IDS = ("a", "b", "c")

pytestmark = pytest.mark.usefixtures("ray_cluster")


@pytest.fixture
def settings(tmp_path: Path, ray_cluster: RayRuntime) -> ServiceSettings:
    """A service of its own; its owners' names derive from its folder."""
    return ServiceSettings.in_folder(tmp_path, snapshot_every=40, housekeeping_seconds=0.0)


class Fixture:
    """A service on an event loop of its own, as a Serve replica has it; usable from any thread."""

    def __init__(self, settings: ServiceSettings, *agents: str) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.service = SchedulingService(settings)
        self.store = SqlStore(settings.store_url)
        for name in agents:
            self.wait(self.service.create_agent(CreateAgent(name, "failure_rate")))

    def wait(self, call: Coroutine[Any, Any, Any]) -> Any:
        """The answer of a call."""
        return asyncio.run_coroutine_threadsafe(call, self.loop).result(120)

    def open(self, agent: str, ids: tuple[str, ...] = IDS) -> str:
        """A new episode."""
        return str(self.wait(self.service.recommend(agent, RecommendationRequest.of(ids))).episode_id)

    def cycle(self, agent: str, failing: str = "b") -> RewardAnswer:
        """A whole episode."""
        episode = self.open(agent)
        verdicts = tuple("failed" if name == failing else "passed" for name in IDS)
        self.wait(self.service.results(agent, episode, ResultsRequest.of(IDS, verdicts)))
        answer: RewardAnswer = self.wait(self.service.reward(agent, episode))
        return answer

    @property
    def directory(self) -> Directory:
        """The service's directory."""
        owners = self.service._owners
        assert isinstance(owners, Directory)
        return owners

    def actor(self, agent: str) -> Any:
        """The actor that owns the agent."""
        name = self.store.owner(self.wait(self.directory.owner_name(agent)))
        assert name is not None
        return ray.get_actor(name, namespace="proctor")

    def process(self, agent: str) -> int:
        """Process of the agent's owner."""
        return int(ray.get(self.actor(agent).process_id.remote()))

    def check_log(self, agent: str, rewards: int) -> None:
        """The state that the owner saves is the fold of the log, and every reward stands in it once."""
        self.wait(self.service.passivate(agent))
        row = self.store.agent(agent)
        assert row is not None
        assert row.version == rewards
        reported = [event.subject for event in self.store.versions(row.id, None, 100_000)]
        assert len(reported) == len(set(reported)) == rewards
        newest = self.store.snapshots(row.id)[-1]
        assert (newest.seq, newest.version) == (row.last_seq, rewards)
        saved = self.service._snapshots.newest(row.id)
        assert saved is not None
        replayed = replay_log(self.store, agent).state()
        assert saved[1].keys() == replayed.keys()
        for name, value in replayed.items():
            assert np.asarray(saved[1][name]).tobytes() == np.asarray(value).tobytes(), name

    def close(self) -> None:
        """End the owners and the loop."""
        self.wait(self.service.close(passivate=True))
        self.store.close()
        self.loop.call_soon_threadsafe(self.loop.stop)


def _together(work: list[Any]) -> list[BaseException]:
    """Run each in a thread of its own; what failed."""
    failed: list[BaseException] = []

    def guarded(item: Any) -> None:
        try:
            item()
        except BaseException as error:  # noqa: BLE001 - shown by the caller's assertion
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(item,)) for item in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


@pytest.mark.slow
def test_eight_threads_reward_one_agent(settings: ServiceSettings) -> None:
    fixture = Fixture(settings, "agent")
    numbers: list[int] = []

    def work() -> None:
        numbers.extend(fixture.cycle("agent", IDS[number % 3]).agent_version for number in range(200))

    assert _together([work] * 8) == []
    assert sorted(numbers) == list(range(1, 1601))
    fixture.check_log("agent", 1600)
    fixture.close()


@pytest.mark.slow
def test_an_owner_killed_in_mid_load_loses_nothing_and_does_nothing_twice(settings: ServiceSettings) -> None:
    fixture = Fixture(settings, "agent")
    fixture.cycle("agent")
    answers: list[RewardAnswer] = []
    killed: list[int] = []
    stop = threading.Event()

    def work() -> None:
        for number in range(60):
            answers.append(fixture.cycle("agent", IDS[number % 3]))  # noqa: PERF401 - the killer watches their number

    def kill() -> None:
        for reached in (30, 90, 150):
            while len(answers) < reached and not stop.wait(0.005):
                pass
            killed.append(fixture.process("agent"))
            os.kill(killed[-1], signal.SIGKILL)

    killer = threading.Thread(target=_together, args=([kill],))
    killer.start()
    assert _together([work] * 4) == []
    stop.set()
    killer.join()
    assert len({*killed, fixture.process("agent")}) == 4
    assert sorted(answer.agent_version for answer in answers) == list(range(2, 242))
    again = [fixture.wait(fixture.service.reward("agent", item.episode_id)) for item in answers[::20]]
    assert again == [replace(answer, repeated=True) for answer in answers[::20]]
    fixture.check_log("agent", 241)
    fixture.close()


def test_episodes_in_flight_at_once_do_not_mix(settings: ServiceSettings) -> None:
    fixture = Fixture(settings, "agent")
    item, other = fixture.open("agent", ("a", "b")), fixture.open("agent", ("b", "c"))
    service = fixture.service
    with pytest.raises(InvalidRequestError):
        fixture.wait(service.results("agent", item, ResultsRequest.of(("c",), ("passed",))))
    fixture.wait(service.results("agent", other, ResultsRequest.of(("b", "c"), ("failed", "passed"))))
    fixture.wait(service.results("agent", item, ResultsRequest.of(("a", "b"), ("passed", "passed"))))
    later = fixture.wait(service.reward("agent", other))
    first = fixture.wait(service.reward("agent", item))
    assert {test.id for test in later.rewards} == {"b", "c"}
    assert {test.id for test in first.rewards} == {"a", "b"}
    assert later.metrics["failed"] == 1.0
    assert first.metrics["failed"] == 0.0
    fixture.close()


def test_a_passivated_agent_wakes_with_its_state(settings: ServiceSettings) -> None:
    fixture = Fixture(settings, "agent")
    first = fixture.cycle("agent")
    process = fixture.process("agent")
    fixture.wait(fixture.service.passivate("agent"))
    assert fixture.wait(fixture.directory.live()) == {}
    assert fixture.wait(fixture.service.reward("agent", first.episode_id)) == replace(first, repeated=True)
    assert fixture.process("agent") != process
    fixture.cycle("agent")
    fixture.check_log("agent", 2)
    fixture.close()


def test_only_so_many_owners_live_and_the_least_recently_used_sleeps(tmp_path: Path) -> None:
    names = ("one", "two", "three")
    fixture = Fixture(ServiceSettings.in_folder(tmp_path, max_live=2, housekeeping_seconds=0.0), *names)
    for name in names:
        fixture.cycle(name)
        assert len(fixture.wait(fixture.directory.live())) <= 2
    live = fixture.wait(fixture.directory.live())
    assert set(live) == {fixture.wait(fixture.directory.owner_name(name)) for name in ("two", "three")}
    assert _together([lambda name=name: fixture.cycle(name) for name in names * 2]) == []
    for name in names:
        fixture.check_log(name, 3)
    fixture.close()


def test_owners_of_shards_hold_many_agents(tmp_path: Path) -> None:
    names = tuple(f"agent-{number}" for number in range(12))
    settings = ServiceSettings.in_folder(tmp_path, shards=2, agents_in_memory=3, housekeeping_seconds=0.0)
    fixture = Fixture(settings, *names)
    assert _together([lambda name=name: fixture.cycle(name) for name in names * 2]) == []
    assert len(fixture.wait(fixture.directory.live())) == 2
    reported = fixture.wait(fixture.service.statistics())
    assert (reported.agents, reported.owners) == (12, 2)
    assert reported.awake <= 6
    for name in names:
        fixture.check_log(name, 2)
    fixture.close()


@pytest.mark.slow
def test_agents_that_need_torch_share_few_processes(tmp_path: Path) -> None:
    settings = ServiceSettings.in_folder(tmp_path, torch_shards=1, housekeeping_seconds=0.0)
    fixture = Fixture(settings, "light")
    names = ("one", "two", "three")
    for name in names:
        fixture.wait(fixture.service.create_agent(CreateAgent(name, "network")))
    assert _together([lambda name=name: fixture.cycle(name) for name in (*names, "light")]) == []
    assert len({fixture.process(name) for name in names}) == 1
    assert fixture.process("light") != fixture.process("one")
    for name in names:
        fixture.check_log(name, 1)
    fixture.close()


def test_an_owner_that_was_cut_off_cannot_write(settings: ServiceSettings) -> None:
    """Another owner takes the agent over behind the actor's back, as after a lost connection to its node."""
    fixture = Fixture(settings, "agent")
    fixture.cycle("agent")
    zombie = fixture.actor("agent")
    usurper = AgentOwner(fixture.service._owner_settings)
    request = RecommendationRequest.of(IDS)
    (opened,) = usurper.execute([owner_call("agent", "recommend", request, episode_id="behind")])
    assert not isinstance(opened, Exception)
    stale = pickle.dumps([owner_call("agent", "recommend", request, episode_id="stale")])
    (refused,) = pickle.loads(ray.get(zombie.execute.remote(stale)))
    assert isinstance(refused, NotOwnerError)
    assert [item.number for item in fixture.wait(fixture.service.episodes("agent")).episodes] == [1, 0]
    fixture.cycle("agent")
    fixture.check_log("agent", 2)
    fixture.close()


def test_two_replicas_agree_on_one_owner(settings: ServiceSettings) -> None:
    item, other = Fixture(settings, "agent"), Fixture(settings)
    work = [lambda: [item.cycle("agent") for _ in range(10)], lambda: [other.cycle("agent") for _ in range(10)]]
    assert _together(work) == []
    assert len(item.wait(item.directory.live())) == 1
    row = item.store.agent("agent")
    assert row is not None
    assert row.owner_epoch == 1
    item.check_log("agent", 20)
    item.close()
    other.close()
