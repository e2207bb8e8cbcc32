"""What both clients share: checks of the arguments, and the fallback when the service cannot help."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from proctor_client.errors import ClientError
from proctor_client.fallback import given_order, next_of_order, warn
from proctor_client.protocol import Conversation, Protocol
from proctor_client.types import NextTest, Receipt, Recommendation, Reward, TestCase, TestResult, verdict_of

ON_FAILURE = ("given_order", "raise")
T = TypeVar("T")


class Calls:
    """The four steps as conversations. They do not break a job, unless `on_failure` is ``raise``.

    Args:
        protocol: the calls themselves.
        on_failure: ``given_order``: warn and go on without the service; ``raise``: raise the error.

    Raises:
        ValueError: `on_failure` is neither.
    """

    def __init__(self, protocol: Protocol, on_failure: str) -> None:
        if on_failure not in ON_FAILURE:
            raise ValueError(f"on_failure is {on_failure!r}; expected {' or '.join(ON_FAILURE)}")
        self.protocol = protocol
        self._raises = on_failure == "raise"

    def recommend(
        self,
        agent: str,
        tests: Iterable[str | TestCase],
        job: str,
        time_budget_seconds: float | None,
        must_run: Sequence[str],
        observe: Sequence[str],
        idempotency_key: str | None,
    ) -> Conversation[Recommendation]:
        """Step two; without the service, the job's own order. A job without tests sends no request."""
        cases = gathered(tests)
        if not cases:
            return Recommendation(agent, "", 0, (), fallback="there are no tests")
        try:
            return (
                yield from self.protocol.recommend(
                    agent, job, cases, time_budget_seconds, must_run, observe, idempotency_key
                )
            )
        except ClientError as error:
            if self._raises:
                raise
            warn(str(error), "the tests run in the job's own order")
            return given_order(agent, cases, time_budget_seconds, must_run, str(error))

    def submit_results(
        self, recommendation: Recommendation, results: Sequence[TestResult]
    ) -> Conversation[Receipt | None]:
        """Step three; None if there is no episode or the service could not record the results."""
        if not recommendation.episode_id or not results:
            return None
        conversation = self.protocol.results(recommendation.agent, recommendation.episode_id, results)
        return (yield from self._guarded(conversation, f"{len(results)} results are not reported"))

    def assign_reward(self, recommendation: Recommendation) -> Conversation[Reward | None]:
        """Step four; None if there is no episode or the service could not reward it."""
        if not recommendation.episode_id:
            return None
        conversation = self.protocol.reward(recommendation.agent, recommendation.episode_id)
        return (yield from self._guarded(conversation, "the agent learns nothing from this run"))

    def next_test(
        self, recommendation: Recommendation, results: Sequence[TestResult], done: Iterable[str]
    ) -> Conversation[tuple[NextTest, bool]]:
        """What to run next, and whether the service recorded the results.

        Without the service it is the next test of the order that is not in `done`.
        """
        if recommendation.episode_id:
            conversation = self.protocol.next_test(recommendation.agent, recommendation.episode_id, results)
            answer = yield from self._guarded(conversation, "the next test is the next one of the order")
            if answer is not None:
                return answer, True
        return next_of_order(recommendation, set(done)), False

    def _guarded(self, conversation: Conversation[T], consequence: str) -> Conversation[T | None]:
        try:
            return (yield from conversation)
        except ClientError as error:
            if self._raises:
                raise
            warn(str(error), consequence)
            return None


def gathered(tests: Iterable[str | TestCase]) -> list[TestCase]:
    """Names and test cases as test cases.

    Raises:
        ValueError: a name is empty or appears twice.
    """
    cases = [TestCase(test) if isinstance(test, str) else test for test in tests]
    seen: set[str] = set()
    for case in cases:
        if not case.id:
            raise ValueError("a test has an empty name")
        if case.id in seen:
            raise ValueError(f"{case.id!r} appears twice among the tests")
        seen.add(case.id)
    return cases


def checked_results(results: Iterable[TestResult]) -> list[TestResult]:
    """The results as a list.

    Raises:
        ValueError: a verdict is unknown.
    """
    checked = list(results)
    for result in checked:
        verdict_of(result.verdict)
    return checked


def checked_url(url: str) -> str:
    """The service's root.

    Raises:
        ValueError: it is not an HTTP URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not the URL of a service; expected http://host:port or https://host")
    root = url.rstrip("/")
    return root[: -len("/v1")] if root.endswith("/v1") else root


def agent_settings(name: str, kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a call that creates an agent; the service fills in what is None."""
    return {"name": name, "kind": kind, **{key: value for key, value in settings.items() if value is not None}}


def headers(token: str | None) -> dict[str, str]:
    """The headers of every request."""
    common = {"accept": "application/json", "user-agent": "proctor-client"}
    return {**common, "authorization": f"Bearer {token}"} if token else common
