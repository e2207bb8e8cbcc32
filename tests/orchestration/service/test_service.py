"""The service in one process: the whole protocol, shadows, limits, many callers at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from agents.scheduling.scheduler import Scheduler
from agents.scheduling.testcase import Verdict
from orchestration.service.api.agents import AgentBudget, CreateAgent, PatchAgent, RestoreRequest
from orchestration.service.api.recommendations import (
    Candidate,
    NextRequest,
    PastRun,
    RecommendationRequest,
    ReportedResult,
    ResultsRequest,
    RewardAnswer,
)
from orchestration.service.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    ServiceError,
    TooLargeError,
)
from orchestration.service.owners.state_recovery import replay_log
from orchestration.service.service import SchedulingService, ServiceSettings
from orchestration.service.store.sql import SqlStore

IDS = ("a", "b", "c")
NAN, INFINITE = float("nan"), float("inf")


def same_bits(scheduler: Scheduler, other: Scheduler) -> bool:
    """Whether two schedulers are the same bit for bit."""
    left, right = scheduler.state(), other.state()
    return left.keys() == right.keys() and all(
        np.asarray(left[name]).tobytes() == np.asarray(right[name]).tobytes() for name in left
    )


@pytest.fixture
def settings(tmp_path: Path) -> ServiceSettings:
    """Everything in one folder, without Ray."""
    return ServiceSettings.in_folder(tmp_path, inline=True)


@asynccontextmanager
async def opened(settings: ServiceSettings, *kinds: str) -> AsyncIterator[SchedulingService]:
    """A service with one agent of each of these kinds, named after it."""
    service = SchedulingService(settings)
    for kind in kinds:
        await service.create_agent(CreateAgent(kind, kind))
    try:
        yield service
    finally:
        await service.close()


async def cycle(service: SchedulingService, agent: str, failing: str = "b", **request: Any) -> RewardAnswer:
    """A whole episode."""
    answer = await service.recommend(agent, RecommendationRequest.of(IDS, **request))
    verdicts = tuple("failed" if name == failing else "passed" for name in IDS)
    await service.results(agent, answer.episode_id, ResultsRequest.of(IDS, verdicts, (1.0,) * 3))
    return await service.reward(agent, answer.episode_id)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test that waits."""
    asyncio.run(test())


def test_an_agent_from_its_birth_to_its_end(settings: ServiceSettings) -> None:
    async def test() -> None:
        async with opened(settings) as service:
            request = CreateAgent("nightly", "bandit", seed=3, description="of the night")
            info, created = await service.create_agent(request)
            assert created
            assert (await service.create_agent(request)) == (info, False)
            assert info == await service.agent("nightly")
            with pytest.raises(ConflictError):
                await service.create_agent(replace(request, seed=4))
            await cycle(service, "nightly")
            patched = await service.patch_agent("nightly", PatchAgent(budget=AgentBudget(share=0.5)))
            assert patched.budget.share == 0.5
            assert (await service.create_agent(request))[0].budget.share == 0.5
            answer = await service.recommend("nightly", RecommendationRequest.of(IDS))
            assert sum(test.selected for test in answer.ranking) == 1
            assert (await service.statistics()).agents == 1
            await service.delete_agent("nightly")
            for call in (service.agent("nightly"), service.delete_agent("nightly"), cycle(service, "nightly")):
                with pytest.raises(NotFoundError):
                    await call
            assert list((Path(settings.artifact_url)).rglob("*.npz")) == []

    run(test)


def test_shadows_rank_and_learn_from_the_same_episode(settings: ServiceSettings) -> None:
    async def test() -> None:
        async with opened(settings, "bandit", "random", "failure_rate") as service:
            for number in range(4):
                answer = await cycle(service, "bandit", IDS[number % 3], observe=("random", "failure_rate"))
                shown = await service.episode("bandit", answer.episode_id)
                assert shown.observers == ("random", "failure_rate")
            for shadow in ("random", "failure_rate"):
                page = await service.metrics(shadow)
                main = await service.metrics("bandit")
                assert [row.episode_id for row in page.rows] == [row.episode_id for row in main.rows]
                assert [row.metrics["failed"] for row in page.rows] == [1.0] * 4
                (newest, *_) = (await service.episodes(shadow)).episodes
                assert newest.observed_agent == "bandit"
                assert (await service.agent(shadow)).version == 4
            with pytest.raises(NotFoundError) as error:
                await cycle(service, "bandit", observe=("random", "nobody"))
            assert error.value.field == "observe[1]"
            assert (await service.agent("bandit")).episodes == 4
            assert (await service.agent("random")).episodes == 4

    run(test)


def test_a_shadow_that_is_deleted_in_mid_episode_stops_nobody(settings: ServiceSettings) -> None:
    async def test() -> None:
        async with opened(settings, "bandit", "random") as service:
            answer = await service.recommend("bandit", RecommendationRequest.of(IDS, observe=("random",)))
            await service.delete_agent("random")
            results = ResultsRequest.of(IDS, ("failed",) * 3)
            assert (await service.results("bandit", answer.episode_id, results)).recorded == 3
            assert (await service.reward("bandit", answer.episode_id)).agent_version == 1

    run(test)


def test_a_shadow_that_cannot_be_told_is_not_named(settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with opened(settings, "bandit", "random") as service:
            answer = await service.recommend("bandit", RecommendationRequest.of(IDS, observe=("random",)))
            owners: Any = service._all_owners()
            ask = owners.call

            async def full(call: Any) -> Any:
                if call.agent == "random":
                    raise OverloadedError(f"100 calls to agent {call.agent!r} wait already")
                return await ask(call)

            monkeypatch.setattr(owners, "call", full)
            results = ResultsRequest.of(("a",), ("passed",))
            with pytest.raises(OverloadedError) as refused:
                await service.results("bandit", answer.episode_id, results)
            assert "random" not in str(refused.value)
            monkeypatch.undo()
            assert (await service.results("bandit", answer.episode_id, results)).repeated == 1

    asyncio.run(run())


def test_an_idempotency_key_opens_one_episode(settings: ServiceSettings) -> None:
    async def test() -> None:
        async with opened(settings, "bandit", "random") as service:
            request = RecommendationRequest.of(IDS, observe=("random",))
            first = await service.recommend("bandit", request, "build-9")
            assert await service.recommend("bandit", request, "build-9") == first
            assert [(await service.agent(name)).episodes for name in ("bandit", "random")] == [1, 1]
            with pytest.raises(ConflictError):
                await service.recommend("bandit", replace(request, job="other"), "build-9")
            other = await service.recommend("random", replace(request, observe=()), "build-9")
            assert other.episode_id != first.episode_id

    run(test)


def test_what_was_seen_chosen_and_rewarded_can_be_read(settings: ServiceSettings) -> None:
    async def test() -> None:
        async with opened(settings, "bandit") as service:
            answers = [await cycle(service, "bandit", IDS[number % 3], job="job") for number in range(5)]
            page = await service.episodes("bandit", limit=2)
            assert [entry.number for entry in page.episodes] == [4, 3]
            rest = await service.episodes("bandit", page.next_cursor or "", limit=3)
            assert [entry.number for entry in rest.episodes] == [2, 1, 0]
            assert rest.next_cursor is None
            detail = await service.episode("bandit", answers[0].episode_id)
            assert detail.reward == answers[0]
            assert detail.job == "job"
            assert [result.verdict for result in detail.results] == ["failed", "passed", "passed"]
            assert sorted(test.id for test in detail.ranking) == sorted(IDS)
            curve = await service.metrics("bandit", limit=3)
            more = await service.metrics("bandit", curve.next_cursor or "", limit=3)
            assert [row.agent_version for row in (*curve.rows, *more.rows)] == [1, 2, 3, 4, 5]
            insights = await service.insights("bandit")
            assert insights.agent_version == 5
            versions = await service.versions("bandit", limit=4)
            assert [entry.version for entry in versions.versions] == [5, 4, 3, 2]
            older = await service.versions("bandit", versions.next_cursor or "", limit=4)
            assert [entry.version for entry in older.versions] == [1, 0]
            await service.restore("bandit", RestoreRequest(2))
            (newest, *_) = (await service.versions("bandit")).versions
            assert (newest.version, newest.restored_from) == (6, 2)
            agents = await service.list_agents(prefix="ba")
            assert [entry.name for entry in agents.agents] == ["bandit"]
            assert (await service.list_agents("bandit")).agents == []

    run(test)


def test_clusters_flaky_and_stale_tests_show(settings: ServiceSettings) -> None:
    async def test() -> None:
        ids = ("x", "y", "flaky", "fine", "old")
        async with opened(settings, "failure_rate") as service:
            for number in range(24):
                now = ids if number == 0 else ids[:4]
                answer = await service.recommend("failure_rate", RecommendationRequest.of(now))
                failing = {"x", "y"} if number in (16, 17, 18) else set()
                failing |= {"flaky"} if number % 2 else set()
                verdicts = tuple("failed" if name in failing else "passed" for name in now)
                await service.results("failure_rate", answer.episode_id, ResultsRequest.of(now, verdicts))
            shown = await service.insights("failure_rate")
            assert [cluster.ids for cluster in shown.clusters] == [("x", "y")]
            assert shown.clusters[0].strength == 1.0
            assert (shown.flaky[0].id, shown.flaky[0].flips, shown.flaky[0].runs) == ("flaky", 9, 10)
            assert [(entry.id, entry.since_run) for entry in shown.stale] == [("old", 24)]

    run(test)


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (RecommendationRequest.of(()), InvalidRequestError),
        (RecommendationRequest.of(("a", "a")), InvalidRequestError),
        (RecommendationRequest.of(("",)), InvalidRequestError),
        (RecommendationRequest.of(("x" * 1001,)), InvalidRequestError),
        (RecommendationRequest.of(map(str, range(100_001))), TooLargeError),
        (RecommendationRequest([Candidate("a", -1.0)]), InvalidRequestError),
        (RecommendationRequest([Candidate("a", NAN)]), InvalidRequestError),
        (RecommendationRequest([Candidate("a", features={"f": INFINITE})]), InvalidRequestError),
        (RecommendationRequest([Candidate("a", history=[PastRun("odd")])]), InvalidRequestError),  # type: ignore[arg-type]
        (RecommendationRequest.of(IDS, time_budget_seconds=NAN), InvalidRequestError),
        (RecommendationRequest.of(IDS, time_budget_seconds=-1.0), InvalidRequestError),
        (RecommendationRequest.of(IDS, must_run=("z",)), InvalidRequestError),
        (RecommendationRequest.of(IDS, job="j" * 201), InvalidRequestError),
        (RecommendationRequest.of(IDS, observe=("bandit",)), InvalidRequestError),
    ],
)
def test_a_wrong_recommendation_changes_nothing(
    settings: ServiceSettings, request_: RecommendationRequest, kind: type[ServiceError]
) -> None:
    async def test() -> None:
        async with opened(settings, "bandit") as service:
            with pytest.raises(kind):
                await service.recommend("bandit", request_)
            assert (await service.agent("bandit")).episodes == 0

    run(test)


@pytest.mark.parametrize(
    "result",
    [
        ReportedResult("nobody", Verdict.PASSED),
        ReportedResult("a", "fine"),  # type: ignore[arg-type]
        ReportedResult("a", None),  # type: ignore[arg-type]
        ReportedResult("a", Verdict.PASSED, -1.0),
        ReportedResult("a", Verdict.PASSED, NAN),
        ReportedResult("a", Verdict.PASSED, 1.0, INFINITE),
    ],
)
def test_wrong_results_change_nothing(settings: ServiceSettings, result: ReportedResult) -> None:
    async def test() -> None:
        async with opened(settings, "bandit") as service:
            answer = await service.recommend("bandit", RecommendationRequest.of(IDS))
            for call in (
                service.results("bandit", answer.episode_id, ResultsRequest([result])),
                service.next("bandit", NextRequest(answer.episode_id, (result,))),
            ):
                with pytest.raises(InvalidRequestError):
                    await call
            assert (await service.episode("bandit", answer.episode_id)).results == []

    run(test)


@pytest.mark.parametrize(
    "request_",
    [
        CreateAgent(".hidden", "bandit"),
        CreateAgent("a/b", "bandit"),
        CreateAgent("x" * 101, "bandit"),
        CreateAgent("x", "nonsense"),
        CreateAgent("x", "bandit", reward="nonsense"),
        CreateAgent("x", "bandit", hyperparameters={"nonsense": 1}),
        CreateAgent("x", "bandit", budget=AgentBudget(must_run=("t" * 1001,))),
        CreateAgent("x", "bandit", description="d" * 2001),
    ],
)
def test_a_wrong_agent_is_not_made(settings: ServiceSettings, request_: CreateAgent) -> None:
    async def test() -> None:
        async with opened(settings) as service:
            with pytest.raises(InvalidRequestError):
                await service.create_agent(request_)
            assert (await service.statistics()).agents == 0

    run(test)


@pytest.mark.parametrize("call", ["episodes", "metrics", "versions"])
def test_a_wrong_page_is_refused(settings: ServiceSettings, call: str) -> None:
    async def test() -> None:
        async with opened(settings, "bandit") as service:
            for cursor, limit in (("x", 10), ("-1", 10), ("9" * 30, 10), ("", 0), ("", 501)):
                with pytest.raises(InvalidRequestError):
                    await getattr(service, call)("bandit", cursor, limit)
            with pytest.raises(NotFoundError):
                await getattr(service, call)("nobody")

    run(test)


@pytest.mark.slow
def test_eight_threads_reward_one_agent(settings: ServiceSettings) -> None:
    """Nothing lost, nothing twice, and the state is that of the same events one after another."""
    threads, rewards = 8, 200
    numbers: list[int] = []
    failed: list[BaseException] = []

    def work(service: SchedulingService, thread: int) -> None:
        async def all_of_it() -> None:
            for number in range(rewards):
                answer = await cycle(service, "bandit", IDS[(thread + number) % 3])
                assert (await service.reward("bandit", answer.episode_id)) == replace(answer, repeated=True)
                numbers.append(answer.agent_version)

        try:
            asyncio.run(all_of_it())
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failed.append(error)

    async def make() -> SchedulingService:
        service = SchedulingService(settings)
        await service.create_agent(CreateAgent("bandit", "bandit"))
        return service

    service = asyncio.run(make())
    workers = [threading.Thread(target=work, args=(service, thread)) for thread in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failed == []
    assert sorted(numbers) == list(range(1, threads * rewards + 1))
    asyncio.run(service.close())
    store = SqlStore(settings.store_url)
    row = store.agent("bandit")
    assert row is not None
    assert (row.version, row.episodes, row.last_seq) == (1600, 1600, 1 + 2 * 1600)
    replayed = replay_log(store, "bandit")
    assert replayed.version == 1600
    again = SchedulingService(settings)
    woken = asyncio.run(again.insights("bandit"))
    assert woken.agent_version == 1600
    assert same_bits(again._owners._owner._live["bandit"].scheduler, replayed)  # type: ignore[union-attr]
    asyncio.run(again.close())
    store.close()
