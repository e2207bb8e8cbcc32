"""One run of a job, from the order to the reward."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from types import TracebackType
from typing import Any, Callable

from proctor_client.calls import Calls
from proctor_client.errors import ClientError
from proctor_client.fallback import warn
from proctor_client.protocol import Conversation
from proctor_client.types import NextTest, RankedTest, Recommendation, Reward, TestResult, seconds_of, verdict_of


class EpisodeRecord:
    """The data of an episode; the blocking and the asynchronous episode add a way to hold conversations.

    Attributes:
        recommendation: the service's answer, or the fallback.
        reward: None before the end of the episode, and if the service could not give one.
    """

    def __init__(self, calls: Calls, opening: Conversation[Recommendation]) -> None:
        self._calls = calls
        self._opening = opening
        self._recommendation: Recommendation | None = None
        self._results: dict[str, TestResult] = {}
        self._sent: set[str] = set()
        self.reward: Reward | None = None

    @property
    def recommendation(self) -> Recommendation:
        """The service's answer, or the fallback.

        Raises:
            RuntimeError: the episode was not entered.
        """
        if self._recommendation is None:
            raise RuntimeError("an episode is used as a context manager: with client.episode(...) as episode")
        return self._recommendation

    @property
    def order(self) -> tuple[str, ...]:
        """The tests to run, in order."""
        return self.recommendation.order

    @property
    def not_selected(self) -> tuple[str, ...]:
        """The tests that do not fit the budget."""
        return self.recommendation.not_selected

    @property
    def ranking(self) -> tuple[RankedTest, ...]:
        """Every test with its position and the reasons."""
        return self.recommendation.ranking

    @property
    def id(self) -> str:
        """Of the episode; "" without the service."""
        return self.recommendation.episode_id

    @property
    def results(self) -> tuple[TestResult, ...]:
        """The results reported so far."""
        return tuple(self._results.values())

    def report(
        self, test_id: str, verdict: str, duration: float | None = None, finished_at: float | None = None
    ) -> None:
        """Report a test's result. It is sent at the episode's end or by `send`; until then a later report replaces it.

        Args:
            duration: seconds.
            finished_at: Unix time, seconds.

        Raises:
            ValueError: an unknown test or verdict, a negative or non-finite number, or a result that was already sent.
        """
        if test_id not in {test.id for test in self.ranking}:
            raise ValueError(f"{test_id!r} is not a test of this episode")
        result = TestResult(
            test_id,
            verdict_of(verdict),
            seconds_of(duration, "duration"),
            seconds_of(finished_at, "finished_at"),
        )
        if test_id in self._sent and self._results[test_id] != result:
            raise ValueError(f"the result of {test_id!r} has already been sent")
        self._results[test_id] = result

    def _pending(self) -> list[TestResult]:
        return [result for result in self._results.values() if result.id not in self._sent]

    def _open(self) -> Conversation[None]:
        self._recommendation = yield from self._opening

    def _send(self) -> Conversation[None]:
        pending = self._pending()
        receipt = yield from self._calls.submit_results(self.recommendation, pending)
        if receipt is not None:
            self._sent.update(result.id for result in pending)

    def _next(self) -> Conversation[NextTest]:
        pending = self._pending()
        answer, recorded = yield from self._calls.next_test(self.recommendation, pending, self._results)
        if recorded:
            self._sent.update(result.id for result in pending)
        return answer

    def _close(self, failure: BaseException | None) -> Conversation[None]:
        """Send the remaining results, then request the reward. An aborted run is reported, but not rewarded."""
        try:
            yield from self._send()
            if failure is None and self._all_sent():
                self.reward = yield from self._calls.assign_reward(self.recommendation)
        except ClientError as error:
            if failure is None:
                raise
            warn(str(error), "the results of the aborted run are not reported")

    def _all_sent(self) -> bool:
        """Rewarding without the results would teach the agent that the tests never ran."""
        return not self._pending()


class Episode(EpisodeRecord):
    """The blocking episode; see `SchedulerClient.episode`."""

    def __init__(
        self, calls: Calls, opening: Conversation[Recommendation], hold: Callable[[Generator[Any, Any, Any]], Any]
    ) -> None:
        super().__init__(calls, opening)
        self._hold = hold

    def __enter__(self) -> Episode:
        self._hold(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hold(self._close(error))

    def send(self) -> None:
        """Send the results reported so far; for long runs."""
        self._hold(self._send())

    def next_test(self) -> NextTest:
        """Send the results reported so far and get the next test to run: real time, instead of `order`."""
        answer: NextTest = self._hold(self._next())
        return answer


class AsyncEpisode(EpisodeRecord):
    """The asynchronous episode; see `AsyncSchedulerClient.episode`."""

    def __init__(
        self,
        calls: Calls,
        opening: Conversation[Recommendation],
        hold: Callable[[Generator[Any, Any, Any]], Awaitable[Any]],
    ) -> None:
        super().__init__(calls, opening)
        self._hold = hold

    async def __aenter__(self) -> AsyncEpisode:
        await self._hold(self._open())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._hold(self._close(error))

    async def send(self) -> None:
        """See `Episode.send`."""
        await self._hold(self._send())

    async def next_test(self) -> NextTest:
        """See `Episode.next_test`."""
        answer: NextTest = await self._hold(self._next())
        return answer
