"""The protocol without a network, as conversations.

A conversation is a generator. It yields a `Request` and receives a `Reply` or a `Lost`; it yields a `Pause` and
receives None. The blocking client and the asynchronous one only carry out these steps.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Callable, TypeVar, Union
from urllib.parse import quote

from proctor_client.errors import ClientError, ServiceUnavailableError, UnexpectedAnswerError, refusal
from proctor_client.retrying import RetryPolicy, is_retryable, retry_after
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

BASE = "/v1"
REQUEST_ID = "x-request-id"
"""Header that names a call in the service's logs; retries keep it."""
PAGE = 500
"""Longest page of a listing."""
RESULTS_PER_CALL = 20_000
"""More results than this are sent in parts."""


@dataclass(frozen=True)
class Request:
    """One HTTP request; the path starts at the service's root."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """An HTTP response of any status. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Lost:
    """The request got no response."""

    reason: str


@dataclass(frozen=True)
class Pause:
    """Wait."""

    seconds: float


Step = Union[Request, Pause]
Answer = Union[Reply, Lost, None]
T = TypeVar("T")
Conversation = Generator[Step, Answer, T]


class Protocol:
    """The calls of the service as conversations.

    Args:
        policy: when to retry.
        rng: for the jitter; a new generator by default.
        new_key: makes the idempotency key of a call that has none.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        rng: random.Random | None = None,
        new_key: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._policy = policy
        self._rng = rng if rng is not None else random.Random()
        self._new_key = new_key

    def recommend(
        self,
        agent: str,
        job: str,
        tests: Sequence[TestCase],
        time_budget_seconds: float | None,
        must_run: Sequence[str],
        observe: Sequence[str],
        idempotency_key: str | None,
    ) -> Conversation[Recommendation]:
        """``POST /agents/{agent}/recommendations``."""
        body: dict[str, Any] = {"job": job, "test_cases": [test.to_json() for test in tests]}
        if time_budget_seconds is not None:
            body["time_budget_seconds"] = float(time_budget_seconds)
        if must_run:
            body["must_run"] = list(must_run)
        if observe:
            body["observe"] = list(observe)
        headers = {"idempotency-key": idempotency_key or self._new_key()}
        request = _post(f"{_agent(agent)}/recommendations", body, headers)
        return (yield from self._call(request, lambda answer: Recommendation.from_json(agent, answer)))

    def results(self, agent: str, episode_id: str, results: Sequence[TestResult]) -> Conversation[Receipt]:
        """``POST /agents/{agent}/episodes/{episode}/results``, in several calls if there are very many results."""
        path = f"{_episode(agent, episode_id)}/results"
        receipt = Receipt(episode_id, 0, 0, 0)
        for start in range(0, len(results), RESULTS_PER_CALL):
            some = [result.to_json() for result in results[start : start + RESULTS_PER_CALL]]
            part = yield from self._call(_post(path, {"results": some}), Receipt.from_json)
            recorded, repeated = receipt.recorded + part.recorded, receipt.repeated + part.repeated
            receipt = Receipt(part.episode_id, recorded, repeated, part.missing)
        return receipt

    def reward(self, agent: str, episode_id: str) -> Conversation[Reward]:
        """``POST /agents/{agent}/episodes/{episode}/reward``."""
        request = Request("POST", f"{_episode(agent, episode_id)}/reward")
        return (yield from self._call(request, Reward.from_json))

    def next_test(self, agent: str, episode_id: str, results: Sequence[TestResult]) -> Conversation[NextTest]:
        """``POST /agents/{agent}/next``."""
        body = {"episode_id": episode_id, "results": [result.to_json() for result in results]}
        return (yield from self._call(_post(f"{_agent(agent)}/next", body), NextTest.from_json))

    def create_agent(self, settings: Mapping[str, Any]) -> Conversation[AgentInfo]:
        """``POST /agents``; an existing agent with the same settings is returned as if it were new."""
        return (yield from self._call(_post(f"{BASE}/agents", settings), AgentInfo.from_json))

    def agent(self, name: str) -> Conversation[AgentInfo]:
        """``GET /agents/{agent}``."""
        return (yield from self._call(Request("GET", _agent(name)), AgentInfo.from_json))

    def agents(self) -> Conversation[list[AgentInfo]]:
        """``GET /agents``, all pages."""
        return (yield from self._pages(f"{BASE}/agents", "agents", AgentInfo.from_json))

    def delete_agent(self, name: str, remove_archive: bool = False) -> Conversation[None]:
        """``DELETE /agents/{agent}?confirm=name``, with ``archive=remove`` if the archive goes too."""
        params = {"confirm": name, **({"archive": "remove"} if remove_archive else {})}
        yield from self._call(Request("DELETE", _agent(name), params=params), lambda _: None)

    def metrics(self, name: str) -> Conversation[list[MetricsRow]]:
        """``GET /agents/{agent}/metrics``, all pages."""
        return (yield from self._pages(f"{_agent(name)}/metrics", "rows", MetricsRow.from_json))

    def ready(self) -> Conversation[None]:
        """``GET /readyz``."""
        yield from self._call(Request("GET", "/readyz"), lambda _: None)

    def _pages(self, path: str, name: str, read: Callable[[Mapping[str, Any]], T]) -> Conversation[list[T]]:
        entries: list[T] = []
        cursor = ""
        while True:
            params = {"limit": str(PAGE), **({"cursor": cursor} if cursor else {})}
            rows, cursor = yield from self._call(
                Request("GET", path, params=params),
                lambda page: ([read(row) for row in page[name]], page.get("next_cursor") or ""),
            )
            entries += rows
            if not cursor:
                return entries

    def _call(self, request: Request, read: Callable[[Any], T]) -> Conversation[T]:
        reply = yield from self._answered(request)
        try:
            return read(json.loads(reply.body) if reply.body else None)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            where = f"{request.method} {request.path}"
            problem = f"the answer to {where} is not from a Proctor service ({type(error).__name__}: {error})"
            raise UnexpectedAnswerError(problem) from error

    def _answered(self, request: Request) -> Conversation[Reply]:
        """Send until there is a final answer."""
        name = uuid.uuid4().hex
        request = replace(request, headers={**request.headers, REQUEST_ID: name})
        attempt = 1
        while True:
            answer = yield request
            if isinstance(answer, Reply) and not is_retryable(answer.status):
                return _accepted(answer, name)
            wait = self._wait(attempt, answer)
            if wait is None:
                raise _gave_up(answer, attempt, name)
            yield Pause(wait)
            attempt += 1

    def _wait(self, attempt: int, answer: Answer) -> float | None:
        """Seconds until the next attempt; None: do not retry."""
        if attempt > self._policy.retries:
            return None
        requested = retry_after(answer.headers.get("retry-after")) if isinstance(answer, Reply) else None
        if requested is not None and requested > self._policy.longest_wait:
            return None
        return max(requested or 0.0, self._policy.wait(attempt, self._rng))


def _agent(name: str) -> str:
    return f"{BASE}/agents/{quote(name, safe='')}"


def _episode(agent: str, episode_id: str) -> str:
    return f"{_agent(agent)}/episodes/{quote(episode_id, safe='')}"


def _post(path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Request:
    try:
        data = json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
    except ValueError as error:
        raise ValueError(f"a number is not finite, which JSON cannot express ({error})") from None
    return Request("POST", path, data, {"content-type": "application/json", **(headers or {})})


def _accepted(reply: Reply, name: str) -> Reply:
    """The reply, unless it is a refusal.

    Args:
        name: of the request.
    """
    if 200 <= reply.status < 300:
        return reply
    detail, slug = _problem(reply)
    if 400 <= reply.status < 500:
        raise refusal(detail or "the call was refused", reply.status, slug, name)
    raise UnexpectedAnswerError(f"HTTP {reply.status}{f': {detail}' if detail else ''}")


def _gave_up(answer: Answer, attempts: int, name: str) -> ClientError:
    if isinstance(answer, Reply):
        detail, _ = _problem(answer)
        suffix = f": {detail}" if detail else ""
        problem = f"the service answers HTTP {answer.status}{suffix}"
        return ServiceUnavailableError(problem, attempts, answer.status, name)
    reason = answer.reason if isinstance(answer, Lost) else "no answer"
    return ServiceUnavailableError(f"the service does not answer: {reason}", attempts, request_id=name)


def _problem(reply: Reply) -> tuple[str, str]:
    """(detail, slug) of a problem document (RFC 9457); empty strings if the body is something else."""
    try:
        problem = json.loads(reply.body)
        return str(problem.get("detail", "")), str(problem.get("type", "")).rpartition(":")[2]
    except (ValueError, AttributeError):
        return "", ""
