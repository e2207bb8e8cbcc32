"""What is over the limits is refused at once; the agents of one owner take turns."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from orchestration.service.api.agents import CreateAgent
from orchestration.service.api.recommendations import RecommendationRequest
from orchestration.service.errors import OverloadedError
from orchestration.service.owners.admission import Admission, AdmissionLimits
from orchestration.service.owners.batching import CallBatcher
from orchestration.service.owners.owner_call import OwnerCall
from orchestration.service.service import SchedulingService, ServiceSettings
from orchestration.service.typed_calls import owner_call

SHARD = "shard 0 of 1"


def call(agent: str, number: int = 0) -> OwnerCall:
    return owner_call(agent, "reward", episode_id=str(number))


class SlowOwner:
    """Answers one batch after another, when it is told to.

    Attributes:
        order: agents of the calls, in the order in which it carried them out.
    """

    def __init__(self) -> None:
        self.order: list[str] = []
        self.open = asyncio.Event()

    async def send(self, calls: Sequence[OwnerCall]) -> Any:
        await self.open.wait()
        self.order += [entry.agent for entry in calls]
        return [f"{entry.agent} {entry.episode_id}" for entry in calls]


def test_an_agent_gets_its_places_and_no_more() -> None:
    admission = Admission(AdmissionLimits(agent=2, owner=3, least=2))
    first, second = admission.place(SHARD, "a"), admission.place(SHARD, "a")
    with first:
        with second, pytest.raises(OverloadedError, match="2 calls to agent 'a'"), admission.place(SHARD, "a"):
            pass
        with admission.place(SHARD, "a"), admission.place(SHARD, "b"):
            with pytest.raises(OverloadedError, match="3 calls to the owner"), admission.place(SHARD, "c"):
                pass
            with admission.place("another", "c"):
                pass
    assert not admission._agents
    assert not admission._owners


def test_agents_that_are_called_share_and_one_alone_has_all() -> None:
    now = 0.0
    admission = Admission(AdmissionLimits(agent=10, owner=100, least=3), lambda: now)

    def room() -> int:
        with ExitStack() as places:
            for count in range(100):
                try:
                    places.enter_context(admission.place(SHARD, "noisy"))
                except OverloadedError:
                    return count
        raise AssertionError("there is no limit")

    assert room() == 10
    with admission.place(SHARD, "calm"):
        assert room() == 5
    for number in range(20):
        with admission.place(SHARD, f"calm-{number}"):
            pass
    assert room() == 3
    now = 1.5
    assert room() == 10


def test_a_place_is_given_back_by_a_call_that_fails() -> None:
    admission = Admission(AdmissionLimits(agent=1, owner=1))
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), admission.place(SHARD, "a"):
            raise ZeroDivisionError
    with admission.place(SHARD, "a"):
        pass


def test_the_error_survives_pickling() -> None:
    assert pickle.loads(pickle.dumps(OverloadedError("full", "agent"))).args == ("full", "agent")


def test_agents_of_one_owner_take_turns() -> None:
    """A hundred calls of one agent wait; a call of another one is in the next batch, whatever the flood's length."""

    async def run() -> list[str]:
        owner = SlowOwner()
        batcher = CallBatcher(owner.send, hops=1, longest=4)
        flood = [asyncio.ensure_future(batcher.call(call("noisy", number))) for number in range(100)]
        await asyncio.sleep(0)
        others = [asyncio.ensure_future(batcher.call(call(name, n))) for n in range(2) for name in ("one", "two")]
        await asyncio.sleep(0)
        owner.open.set()
        assert await asyncio.gather(*flood) == [f"noisy {number}" for number in range(100)]
        assert await asyncio.gather(*others) == ["one 0", "two 0", "one 1", "two 1"]
        return owner.order

    order = asyncio.run(run())
    assert order.count("noisy") == 100
    assert order[:7] == ["noisy", "noisy", "one", "two", "noisy", "one", "two"]


def test_what_nobody_waits_for_any_more_is_not_sent() -> None:
    async def run() -> list[str]:
        owner = SlowOwner()
        batcher = CallBatcher(owner.send, hops=1)
        calls = [asyncio.ensure_future(batcher.call(call(name))) for name in ("first", "gone", "stays")]
        await asyncio.sleep(0)
        calls[1].cancel()
        owner.open.set()
        await asyncio.gather(*calls, return_exceptions=True)
        assert not batcher.busy
        return owner.order

    assert asyncio.run(run()) == ["first", "stays"]


def test_a_caller_does_not_wait_for_ever() -> None:
    async def run() -> list[str]:
        owner = SlowOwner()
        batcher = CallBatcher(owner.send, hops=1, seconds=0.05)
        late = [asyncio.ensure_future(batcher.call(call(name))) for name in ("hangs", "waits")]
        answers = await asyncio.gather(*late, return_exceptions=True)
        assert [type(entry) for entry in answers] == [TimeoutError, TimeoutError]
        assert batcher.busy, "the owner still has the first call"
        owner.open.set()
        assert await batcher.call(call("next")) == "next 0"
        assert not batcher.busy
        return owner.order

    assert asyncio.run(run()) == ["hangs", "next"]


def test_a_saturated_service_refuses_and_serves_what_it_let_in(tmp_path: Path) -> None:
    async def run() -> list[Any]:
        service = SchedulingService(ServiceSettings.in_folder(tmp_path, inline=True, calls_per_agent=5))
        await service.create_agent(CreateAgent("busy", "failure_rate"))
        await service.create_agent(CreateAgent("calm", "failure_rate"))
        asked = RecommendationRequest.of(("a", "b"))
        flood = [service.recommend("busy", asked) for _ in range(12)]
        answers = await asyncio.gather(*flood, service.recommend("calm", asked), return_exceptions=True)
        again = await service.recommend("busy", asked)
        assert again.ranking
        assert (await service.agent("busy")).episodes == 6
        await service.close()
        return answers

    answers = asyncio.run(run())
    refused = [entry for entry in answers if isinstance(entry, OverloadedError)]
    assert len(refused) == 7
    assert not isinstance(answers[-1], BaseException)
