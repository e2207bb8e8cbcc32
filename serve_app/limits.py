"""Limits of what one call may carry, and the edge of the application that holds them before anything is parsed."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestration.runtime.logs import about
from serve_app.metrics import ServiceMetrics
from serve_app.problems import Problem, problem_response

log = logging.getLogger(__name__)

BODY_BYTES: Final = 64 * 1024 * 1024
"""Largest body of a call, bytes: 100,000 test cases of 600 bytes each, with room."""

BODY_SECONDS: Final = 60.0
"""A body must be there so long after its first part was waited for: until then it has a place that others want."""

MOST_DIGITS: Final = 18
"""Of an announced length that is read as a number: a longer one is too large anyway."""

TESTS: Final = 100_000
"""Most test cases, and most results, of one call."""

TEXT: Final = 2_000
"""Longest text that has no closer limit, characters."""

ID_TEXT: Final = 1_000
"""Longest id of a test case, characters: a path and a name with its parameters."""

NAME_TEXT: Final = 100
"""Longest name of an agent, characters."""

FEATURES: Final = 64
"""Most features of one test case."""

HISTORY: Final = 1_000
"""Most past executions told with one test case."""

SETTINGS: Final = 64
"""Most hyper-parameters, and most settings of an exploration, of one agent."""

OBSERVERS: Final = 16
"""Most shadow agents of one recommendation."""

PAGE: Final = 500
"""Longest page of a listing."""


class BodyTooLargeError(Exception):
    """More bytes arrived than a body may have.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class BodyTooSlowError(Exception):
    """A body was not there in time.

    Args:
        seconds: that it had.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Edge:
    """The outermost layer: counts and times every request, and stops a body at its limit, of bytes and of time.

    A body whose announced length is over the limit is refused unread. Every body is counted while it comes, whatever
    was announced: one that comes in chunks may say another length besides, and not every server refuses that.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: ServiceMetrics,
        body_bytes: int = BODY_BYTES,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._limit = body_bytes
        self._seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        started = time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._within_limit(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            elapsed = time.perf_counter() - started
            names = scope.get("path_params", {})
            with about(str(names.get("agent", ""))[:NAME_TEXT], str(names.get("episode", ""))[:NAME_TEXT]):
                log.debug("%s %s: %d in %.1f ms", scope["method"], route, status, 1000 * elapsed)
            self._metrics.request(route, scope["method"], status, elapsed)

    async def _within_limit(self, scope: Scope, receive: Receive, send: Send) -> None:
        announced = _content_length(scope)
        if announced is not None and announced > self._limit:
            problem = Problem("too-large", 413, f"the body is larger than {self._limit} bytes")
            self._metrics.error(problem.slug)
            response = problem_response(problem, {"connection": "close"})
            await response(scope, receive, send)
        else:
            await self._app(scope, _counted(receive, self._limit, self._seconds), send)


def _content_length(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value[:MOST_DIGITS]) if value.isdigit() else None
    return None


def _counted(receive: Receive, limit: int, seconds: float) -> Receive:
    seen, whole, end = 0, False, 0.0

    async def counted() -> Message:
        nonlocal seen, whole, end
        if whole:  # what is waited for now is that the caller goes away
            return await receive()
        end = end or asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(end):
                message = await receive()
        except TimeoutError as error:
            raise BodyTooSlowError(seconds) from error
        if message["type"] == "http.request":
            whole = not message.get("more_body", False)
            seen += len(message.get("body", b""))
            if seen > limit:
                raise BodyTooLargeError(limit)
        return message

    return counted
