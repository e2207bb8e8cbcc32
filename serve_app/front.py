"""The three calls of every CI job, answered in front of the framework: their bodies go to the agent's owner as bytes.

Routing, middlewares and reading the body into values cost several times what the owner takes to rank 100 tests. A call
that is unusual in any way, or wrong, is handed on to the framework as if nobody had looked at it, so what can be called
and how errors are told is written down there alone.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from orchestration.runtime.logs import about
from orchestration.service.errors import OverloadedError
from orchestration.service.owners.wire import NotPlainError, RawAnswer
from orchestration.service.service import SchedulingService
from orchestration.service.tokens import Scope as TokenScope
from serve_app.admission import Capacity
from serve_app.bodies import JSON
from serve_app.errors import told_as_problem
from serve_app.limits import MOST_DIGITS, BodyTooLargeError, BodyTooSlowError
from serve_app.metrics import ServiceMetrics

log = logging.getLogger(__name__)

_AGENT: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_EPISODE: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_KEY: Final = re.compile(r"[\x21-\x7e]{0,64}")
_HEADERS: Final = (
    b"authorization",
    b"content-length",
    b"content-type",
    b"host",
    b"idempotency-key",
    b"transfer-encoding",
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A call that is answered here."""

    agent: str
    episode: str
    headers: dict[bytes, str]
    body: bytes


Answer = Callable[[SchedulingService, _Asked], Awaitable[RawAnswer]]
Count = Callable[[ServiceMetrics, RawAnswer], None]


async def _recommend(service: SchedulingService, asked: _Asked) -> RawAnswer:
    return await service.recommend_raw(asked.agent, asked.body, asked.headers.get(b"idempotency-key", ""))


async def _results(service: SchedulingService, asked: _Asked) -> RawAnswer:
    return await service.results_raw(asked.agent, asked.episode, asked.body)


async def _reward(service: SchedulingService, asked: _Asked) -> RawAnswer:
    return await service.reward_raw(asked.agent, asked.episode)


def _count_recommendation(metrics: ServiceMetrics, answer: RawAnswer) -> None:
    metrics.recommendation(dict(answer.numbers))


def _count_results(metrics: ServiceMetrics, answer: RawAnswer) -> None:
    metrics.results(answer.count)


def _count_reward(metrics: ServiceMetrics, answer: RawAnswer) -> None:
    if answer.count:
        metrics.reward(dict(answer.numbers))


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of the table: the call's route below the base path, whether it has a body, and what answers it."""

    route: str
    body: bool
    answer: Answer
    count: Count


CALLS: Final = {
    "recommendations": _Line("/agents/{agent}/recommendations", True, _recommend, _count_recommendation),
    "results": _Line("/agents/{agent}/episodes/{episode}/results", True, _results, _count_results),
    "reward": _Line("/agents/{agent}/episodes/{episode}/reward", False, _reward, _count_reward),
}
"""The explicit table, by the last part of the path."""


class Front:
    """See the module. An ASGI application around another one.

    Args:
        base: path in front of all calls.
        body_bytes, body_seconds: largest body of a call, and how long it may take to come.
    """

    def __init__(self, app: FastAPI, base: str, body_bytes: int, body_seconds: float) -> None:
        self.app = app
        self._state = app.state  # service, gate and metrics
        self._base = base
        self._start = f"{base}/agents/"
        self._limit, self._seconds = body_bytes, body_seconds
        self.capacity = Capacity()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] == "POST":
            path: str = scope["path"]
            line = CALLS.get(path[path.rfind("/") + 1 :])
            if line is not None and path.startswith(self._start) and not scope.get("root_path"):
                await self._serve(line, path[len(self._start) :].split("/"), scope, receive, send)
                return
        await self._framework(scope, receive, send)

    async def _serve(self, line: _Line, parts: list[str], scope: Scope, receive: Receive, send: Send) -> None:
        names = _names(parts)
        headers = _told(scope)
        if names is None or headers is None or not self._usual(line, headers):
            await self._framework(scope, receive, send)
            return
        with about(*names):
            await self._answer(line, names, headers, scope, receive, send)

    async def _answer(
        self,
        line: _Line,
        names: tuple[str, str],
        headers: dict[bytes, str],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        started, status, body = time.perf_counter(), 500, b""
        try:
            state = self._state
            authorization, host = headers.get(b"authorization"), headers.get(b"host", "")
            await state.gate.admit_headers(authorization, host, TokenScope.RECOMMEND, names[0], scope)
            with self.capacity.place(scope):
                if line.body:
                    read = await _body(receive, self._limit, self._seconds)
                    if read is None:
                        status = 0
                        return
                    body = read
                answer = await line.answer(state.service, _Asked(*names, headers, body))
            line.count(state.metrics, answer)
            status = 200
            await send({"type": "http.response.start", "status": 200, "headers": _answered(answer.body)})
            await send({"type": "http.response.body", "body": answer.body})
        except NotPlainError:
            status = 0
            await self._framework(scope, _again(body, receive), send)
        except Exception as error:
            if status == 200:
                raise
            if isinstance(error, OverloadedError):
                await self.capacity.hold()
            response = told_as_problem(error, self._state.metrics)
            status = response.status_code
            await response(scope, receive, send)
        finally:
            if status:
                elapsed = time.perf_counter() - started
                log.debug("POST %s: %d in %.1f ms", line.route, status, 1000 * elapsed)
                self._state.metrics.request(self._base + line.route, "POST", status, elapsed)

    async def _framework(self, scope: Scope, receive: Receive, send: Send) -> None:
        """All other calls; those outside the base path (health, metrics, documentation) are always taken in."""
        if scope["type"] != "http" or not scope["path"].startswith(f"{self._base}/"):
            await self.app(scope, receive, send)
            return
        try:
            with self.capacity.place(scope):
                await self.app(scope, receive, send)
        except OverloadedError as error:  # the framework answers its own
            response = told_as_problem(error, self._state.metrics)
            self._state.metrics.request("unknown", scope["method"], response.status_code, 0.0)
            await response(scope, receive, send)

    def _usual(self, line: _Line, headers: dict[bytes, str]) -> bool:
        length = headers.get(b"content-length", "" if line.body else "0")
        if not (length.isascii() and length.isdigit() and int(length[:MOST_DIGITS]) <= self._limit):
            return False
        if len(length) > MOST_DIGITS or b"transfer-encoding" in headers:
            return False
        return not line.body or (
            headers.get(b"content-type") == JSON and _KEY.fullmatch(headers.get(b"idempotency-key", "")) is not None
        )


def _names(parts: list[str]) -> tuple[str, str] | None:
    """Agent and episode of {agent}/recommendations or {agent}/episodes/{episode}/...; None: another path."""
    if _AGENT.fullmatch(parts[0]) is None:
        return None
    if len(parts) == 2:
        return (parts[0], "") if parts[1] == "recommendations" else None
    if len(parts) != 4 or parts[1] != "episodes" or parts[3] == "recommendations":
        return None
    return (parts[0], parts[2]) if _EPISODE.fullmatch(parts[2]) else None


def _told(scope: Scope) -> dict[bytes, str] | None:
    """The headers that matter; None: one of them stands twice."""
    found = [(name, value.decode("latin-1")) for name, value in scope["headers"] if name in _HEADERS]
    told = dict(found)
    return told if len(told) == len(found) else None


async def _body(receive: Receive, limit: int, seconds: float) -> bytes | None:
    """The whole body; None: the caller has gone away.

    Raises:
        BodyTooLargeError: more came than was announced, and than a body may have.
        BodyTooSlowError: it was not there in time.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _parts(receive, limit)
    except TimeoutError as error:
        raise BodyTooSlowError(seconds) from error


async def _parts(receive: Receive, limit: int) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise BodyTooLargeError(limit)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """What `receive` was before the body was read."""
    told = False

    async def replayed() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _answered(body: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
