"""The blocking client."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Callable, TypeVar

import httpx

from proctor_client.calls import Calls, agent_settings, checked_results, checked_url, gathered, headers
from proctor_client.episode import Episode
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


class SchedulerClient:
    """A client of a Proctor service, safe to share between threads. Close it, or use it as a context manager.

    Args:
        url: root of the service ("https://proctor.example:8000").
        token: bearer token, if the service requires one.
        timeout: seconds of one attempt.
        retries: further attempts after no response, 408, 429 or 5xx; or a `RetryPolicy`.
        on_failure: ``given_order``: if the service cannot help, the four steps warn (`SchedulerWarning`) and the job
            goes on in its own order; ``raise``: they raise a `ClientError`. Calls about agents always raise.
        transport: an httpx transport, for tests and special networks.
        sleep: how to wait between attempts.

    Raises:
        ValueError: the URL or `on_failure` is wrong.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        timeout: float = 30.0,
        retries: int | RetryPolicy = 3,
        on_failure: str = "given_order",
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        policy = RetryPolicy(retries) if isinstance(retries, int) else retries
        self._calls = Calls(Protocol(policy), on_failure)
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=checked_url(url), headers=headers(token), timeout=timeout, transport=transport
        )

    def __enter__(self) -> SchedulerClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # -- the four steps --

    @staticmethod
    def gather(tests: Iterable[str | TestCase]) -> list[TestCase]:
        """Step one: the job's candidates, as names or as test cases with metadata.

        Raises:
            ValueError: a name is empty or appears twice.
        """
        return gathered(tests)

    def recommend(
        self,
        agent: str,
        tests: Iterable[str | TestCase],
        job: str = "",
        time_budget_seconds: float | None = None,
        must_run: Sequence[str] = (),
        observe: Sequence[str] = (),
        idempotency_key: str | None = None,
    ) -> Recommendation:
        """Step two: the order in which to run them, and the episode to report results for.

        Args:
            time_budget_seconds: tests that do not fit are not selected; None: the agent's own budget.
            must_run: tests that are always selected.
            observe: shadow agents, which rank the same tests and learn from the same results.
            idempotency_key: your own key: a restarted job that sends it again gets the same episode.
        """
        return self._hold(
            self._calls.recommend(agent, tests, job, time_budget_seconds, must_run, observe, idempotency_key)
        )

    def submit_results(self, recommendation: Recommendation, results: Iterable[TestResult]) -> Receipt | None:
        """Step three: report results, all at once or in parts. None: the service could not record them."""
        return self._hold(self._calls.submit_results(recommendation, checked_results(results)))

    def assign_reward(self, recommendation: Recommendation) -> Reward | None:
        """Step four: reward the agent, which learns. A repeated call gets the first answer. None: it failed."""
        return self._hold(self._calls.assign_reward(recommendation))

    def episode(
        self,
        agent: str,
        job: str,
        tests: Iterable[str | TestCase],
        time_budget_seconds: float | None = None,
        must_run: Sequence[str] = (),
        observe: Sequence[str] = (),
        idempotency_key: str | None = None,
    ) -> Episode:
        """All steps as a context manager: it requests the order, and at its end sends the results and the reward call.

        A run that ends with an exception is reported but not rewarded.
        """
        opening = self._calls.recommend(agent, tests, job, time_budget_seconds, must_run, observe, idempotency_key)
        return Episode(self._calls, opening, self._hold)

    def next_test(self, recommendation: Recommendation, results: Iterable[TestResult] = ()) -> NextTest:
        """Real time: report these results and get the test to run next."""
        checked = checked_results(results)
        done = [result.id for result in checked]
        answer, _ = self._hold(self._calls.next_test(recommendation, checked, done))
        return answer

    # -- agents --

    def create_agent(self, name: str, kind: str, **settings: Any) -> AgentInfo:
        """Create an agent; an existing one with the same settings is fine.

        Args:
            settings: reward, exploration, hyperparameters, exploration_settings, history_length, seed, budget,
                description.

        Raises:
            ClientError: the service refused (`ConflictError`: an agent with other settings has the name) or is away.
        """
        return self._hold(self._calls.protocol.create_agent(agent_settings(name, kind, settings)))

    def agent(self, name: str) -> AgentInfo:
        """One agent; raises as `create_agent`."""
        return self._hold(self._calls.protocol.agent(name))

    def agents(self) -> list[AgentInfo]:
        """All agents by name; raises as `create_agent`."""
        return self._hold(self._calls.protocol.agents())

    def delete_agent(self, name: str, remove_archive: bool = False) -> None:
        """Delete an agent and everything it learned; raises as `create_agent`.

        Args:
            remove_archive: also what the service off-loaded to its archive, which stays otherwise.
        """
        self._hold(self._calls.protocol.delete_agent(name, remove_archive))

    def metrics(self, agent: str) -> list[MetricsRow]:
        """The agent's curve, one row per rewarded episode; raises as `create_agent`."""
        return self._hold(self._calls.protocol.metrics(agent))

    def ready(self) -> None:
        """Return if the service can serve calls; raises as `create_agent`."""
        self._hold(self._calls.protocol.ready())

    # -- the network --

    def _hold(self, conversation: Conversation[T]) -> T:
        try:
            step = next(conversation)
            while True:
                step = conversation.send(self._perform(step))
        except StopIteration as end:
            result: T = end.value
            return result

    def _perform(self, step: Step) -> Answer:
        if isinstance(step, Pause):
            self._sleep(step.seconds)
            return None
        try:
            reply = self._http.request(
                step.method, step.path, content=step.body, headers=dict(step.headers), params=dict(step.params)
            )
        except httpx.HTTPError as error:
            return Lost(lost_reason(error))
        return Reply(reply.status_code, lower(reply.headers), reply.content)


def lost_reason(error: httpx.HTTPError) -> str:
    """One line about a request without a response."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def lower(names: Mapping[str, str]) -> dict[str, str]:
    """Headers under their names in lower case."""
    return {name.lower(): value for name, value in names.items()}
