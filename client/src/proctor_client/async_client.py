"""The asynchronous client, with the same conversations as the blocking one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from types import TracebackType
from typing import Any, Callable, TypeVar

import httpx

from proctor_client.calls import Calls, agent_settings, checked_results, checked_url, gathered, headers
from proctor_client.client import lost_reason, lower
from proctor_client.episode import AsyncEpisode
from proctor_client.protocol import Answer, Conversation, Lost, Pause, Protocol, Reply, Step
from proctor_client.retrying import RetryPolicy
from proctor_client.types import (
    AgentInfo,
    MetricsRow,
    NextTest,
    Receipt,
    Recommendation,
    Reward,
    TestCase,
    TestResult,
)

T = TypeVar("T")


class AsyncSchedulerClient:
    """`SchedulerClient` with every call awaited."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        timeout: float = 30.0,
        retries: int | RetryPolicy = 3,
        on_failure: str = "given_order",
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        policy = RetryPolicy(retries) if isinstance(retries, int) else retries
        self._calls = Calls(Protocol(policy), on_failure)
        self._sleep = sleep
        self._http = httpx.AsyncClient(
            base_url=checked_url(url), headers=headers(token), timeout=timeout, transport=transport
        )

    async def __aenter__(self) -> AsyncSchedulerClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    @staticmethod
    def gather(tests: Iterable[str | TestCase]) -> list[TestCase]:
        """See `SchedulerClient.gather`."""
        return gathered(tests)

    async def recommend(
        self,
        agent: str,
        tests: Iterable[str | TestCase],
        job: str = "",
        time_budget_seconds: float | None = None,
        must_run: Sequence[str] = (),
        observe: Sequence[str] = (),
        idempotency_key: str | None = None,
    ) -> Recommendation:
        """See `SchedulerClient.recommend`."""
        return await self._hold(
            self._calls.recommend(agent, tests, job, time_budget_seconds, must_run, observe, idempotency_key)
        )

    async def submit_results(self, recommendation: Recommendation, results: Iterable[TestResult]) -> Receipt | None:
        """See `SchedulerClient.submit_results`."""
        return await self._hold(self._calls.submit_results(recommendation, checked_results(results)))

    async def assign_reward(self, recommendation: Recommendation) -> Reward | None:
        """See `SchedulerClient.assign_reward`."""
        return await self._hold(self._calls.assign_reward(recommendation))

    def episode(
        self,
        agent: str,
        job: str,
        tests: Iterable[str | TestCase],
        time_budget_seconds: float | None = None,
        must_run: Sequence[str] = (),
        observe: Sequence[str] = (),
        idempotency_key: str | None = None,
    ) -> AsyncEpisode:
        """See `SchedulerClient.episode`; for ``async with``."""
        opening = self._calls.recommend(agent, tests, job, time_budget_seconds, must_run, observe, idempotency_key)
        return AsyncEpisode(self._calls, opening, self._hold)

    async def next_test(self, recommendation: Recommendation, results: Iterable[TestResult] = ()) -> NextTest:
        """See `SchedulerClient.next_test`."""
        checked = checked_results(results)
        done = [result.id for result in checked]
        answer, _ = await self._hold(self._calls.next_test(recommendation, checked, done))
        return answer

    async def create_agent(self, name: str, kind: str, **settings: Any) -> AgentInfo:
        """See `SchedulerClient.create_agent`."""
        return await self._hold(self._calls.protocol.create_agent(agent_settings(name, kind, settings)))

    async def agent(self, name: str) -> AgentInfo:
        """See `SchedulerClient.agent`."""
        return await self._hold(self._calls.protocol.agent(name))

    async def agents(self) -> list[AgentInfo]:
        """See `SchedulerClient.agents`."""
        return await self._hold(self._calls.protocol.agents())

    async def delete_agent(self, name: str, remove_archive: bool = False) -> None:
        """See `SchedulerClient.delete_agent`."""
        await self._hold(self._calls.protocol.delete_agent(name, remove_archive))

    async def metrics(self, agent: str) -> list[MetricsRow]:
        """See `SchedulerClient.metrics`."""
        return await self._hold(self._calls.protocol.metrics(agent))

    async def ready(self) -> None:
        """See `SchedulerClient.ready`."""
        await self._hold(self._calls.protocol.ready())

    async def _hold(self, conversation: Conversation[T]) -> T:
        try:
            step = next(conversation)
            while True:
                step = conversation.send(await self._perform(step))
        except StopIteration as end:
            result: T = end.value
            return result

    async def _perform(self, step: Step) -> Answer:
        if isinstance(step, Pause):
            await self._sleep(step.seconds)
            return None
        try:
            reply = await self._http.request(
                step.method, step.path, content=step.body, headers=dict(step.headers), params=dict(step.params)
            )
        except httpx.HTTPError as error:
            return Lost(lost_reason(error))
        return Reply(reply.status_code, lower(reply.headers), reply.content)
