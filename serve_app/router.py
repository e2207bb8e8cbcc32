"""The ASGI application: finds the call, checks the request, answers it, and counts it. Every call goes this way."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route, Router
from starlette.types import Receive, Scope, Send

from orchestration.runtime.edge import REQUEST_ID, REQUEST_ID_FORM
from orchestration.runtime.logs import about
from orchestration.service.api.decoding import encode
from orchestration.service.api.limits import NAME
from orchestration.service.errors import OverloadedError
from orchestration.service.owners.owner_call import OwnerAnswer
from orchestration.service.quotas import UNLIMITED
from serve_app.audit import OK
from serve_app.auth import NOBODY, check_grant
from serve_app.body_limits import BodyTooLargeError, DisconnectedError, announced_length, read_body
from serve_app.errors import problem_answer, slug_of
from serve_app.http_call import JSON, HttpCall, HttpRequest, State
from serve_app.parameters import Headers, read_parameters

log = logging.getLogger(__name__)

_REQUEST_ID: Final = REQUEST_ID.encode()
_NAMED: Final = re.compile(REQUEST_ID_FORM)
_JSON_HEADER: Final = (b"content-type", JSON.encode())
Page = Callable[[], Response]
Answer = OwnerAnswer | msgspec.Struct | Response

LEFT: Final = 499
"""Counted as the status of a request whose caller left before the answer: nobody failed, and nobody reads it."""


class Api:
    """See the module.

    Args:
        calls: the table.
        pages: documents for people and tools, by path.
        lifespan: opens the service into the state, and closes it.
        body_bytes, body_seconds: largest body of a call, and how long it may take.
    """

    def __init__(
        self,
        calls: tuple[HttpCall, ...],
        pages: dict[str, Page],
        lifespan: Callable[[Any], AbstractAsyncContextManager[None]],
        state: State,
        body_bytes: int,
        body_seconds: float,
    ) -> None:
        self.state = state
        self.router = Router(lifespan=lifespan)
        self._pages = pages
        self._limit, self._seconds = body_bytes, body_seconds
        self._routes = [(_route(call), call) for call in calls]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.router(scope, receive, send)
            return
        path, call, names = self._match(scope)
        with about(names.get("agent", "")[:NAME], names.get("episode", "")[:NAME], _request_id(scope)):
            await self._serve(path, call, names, scope, receive, send)

    def _match(self, scope: Scope) -> tuple[str, HttpCall | None, dict[str, str]]:
        """The template of the path, the call, and what the path names; None: not with this method, or no such path."""
        partial: tuple[str, None, dict[str, str]] = ("unknown", None, {})
        for route, call in self._routes:
            match, child = route.matches(scope)
            if match is Match.FULL:
                return route.path, call, child["path_params"]
            if match is Match.PARTIAL and partial[0] == "unknown":
                partial = (route.path, None, child["path_params"])
        return partial

    async def _serve(
        self, path: str, call: HttpCall | None, names: dict[str, str], scope: Scope, receive: Receive, send: Send
    ) -> None:
        started, status = time.perf_counter(), LEFT
        try:
            status, headers, body = await self._answer(path, call, names, scope, receive)
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        except DisconnectedError:
            return
        except Exception:
            status = 500
            raise
        finally:
            elapsed = time.perf_counter() - started
            log.debug("%s %s: %d in %.1f ms", scope["method"], path, status, 1000 * elapsed)
            self.state.metrics.request(path, scope["method"], status, elapsed)

    async def _answer(
        self, path: str, call: HttpCall | None, names: dict[str, str], scope: Scope, receive: Receive
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, headers and body."""
        try:
            headers = dict(reversed(list(scope["headers"])))  # of two with one name the first counts
            if announced_length(headers.get(b"content-length")) > self._limit:
                raise BodyTooLargeError(self._limit)
            if call is None:
                answer: Answer = self._page(path, scope)
            else:
                answer = await self._checked(call, names, scope, headers, receive)
        except DisconnectedError:
            raise
        except Exception as error:  # noqa: BLE001 - every error becomes a problem document
            if isinstance(error, OverloadedError):
                await self.state.capacity.hold()
            answer = problem_answer(error, self.state.metrics)
        if isinstance(answer, Response):
            return answer.status_code, answer.raw_headers, bytes(answer.body)
        body = answer.body if isinstance(answer, OwnerAnswer) else encode(answer)
        return 200, [(b"content-length", b"%d" % len(body)), _JSON_HEADER], body

    async def _checked(
        self, call: HttpCall, names: dict[str, str], scope: Scope, headers: Headers, receive: Receive
    ) -> Answer:
        """The call's own answer, after its parameters, its token, its place and its body were checked."""
        values = read_parameters(call.parameters, names, scope, headers)
        grant, token = NOBODY, headers.get(b"authorization")
        if call.scope is not None and not (call.anonymous and token is None):
            authorization = None if token is None else token.decode("latin-1")
            host = headers.get(b"host", b"").decode("latin-1")
            grant = await self.state.gate.identify(authorization, host, scope)
        request = HttpRequest(values, grant)
        if not call.audited:
            return await self._carried_out(call, request, headers, receive)
        # A caller who leaves ends the wait for the call, not the call: what was changed is entered in any case.
        work = self._audited(call, request, headers, receive, self.state.gate.address(scope))
        return await asyncio.shield(asyncio.ensure_future(work))

    async def _audited(
        self, call: HttpCall, request: HttpRequest, headers: Headers, receive: Receive, origin: str
    ) -> Answer:
        outcome = ""
        try:
            answer = await self._carried_out(call, request, headers, receive)
            outcome = OK
        except DisconnectedError:
            raise
        except Exception as error:
            outcome = slug_of(error)
            raise
        finally:
            if outcome:
                entered = (request.grant.token_id, call.name, request.subject, origin, outcome)
                await self.state.audit.note(*entered)
        return answer

    async def _carried_out(self, call: HttpCall, request: HttpRequest, headers: Headers, receive: Receive) -> Answer:
        if request.grant is not NOBODY and call.scope is not None:
            check_grant(request.grant, call.scope, request.values.get("agent", ""))
        if call.scope is None or call.anonymous:  # operators look in, however busy it is
            return await call.handler(self.state, request)
        with self.state.capacity.place(headers):
            if call.request is not None:
                _check_content_type(headers)
                request.body = await read_body(receive, self._limit, self._seconds)
            if call.begins and request.grant.quotas != UNLIMITED:
                await asyncio.to_thread(self._take_quotas, call, request)
            answer = await call.handler(self.state, request)
        if call.count is not None and isinstance(answer, OwnerAnswer):
            call.count(self.state.metrics, dict(answer.numbers))
        return answer

    def _take_quotas(self, call: HttpCall, request: HttpRequest) -> None:
        key = request.values.get("key", "")
        self.state.service.tenants.take(request.grant, call.begins, request.subject, key, len(request.body))

    def _page(self, path: str, scope: Scope) -> Response:
        """What is not a call.

        Raises:
            HTTPException: 404, no such path; 405, the path has other methods.
        """
        page = self._pages.get(scope["path"])
        if page is not None and scope["method"] == "GET":
            return page()
        if path == "unknown":
            raise HTTPException(404)
        allowed = next(call.method for _, call in self._routes if call.path == path)
        raise HTTPException(405, headers={"Allow": allowed})


def _request_id(scope: Scope) -> str:
    """The request's name, which the edge has checked or made; "" without an edge, or of another form."""
    name = next((value for header, value in scope["headers"] if header == _REQUEST_ID), b"").decode("latin-1")
    return name if _NAMED.fullmatch(name) else ""


def _route(call: HttpCall) -> Route:
    """What finds the call. The library adds HEAD to each GET; no call of the table has it."""
    route = Route(call.path, call.handler, methods=[call.method])
    route.methods = {call.method}
    return route


def _check_content_type(headers: Headers) -> None:
    """Raise unless the body says that it is JSON.

    A page in a browser can post a form or plain text to a service on the same machine, but not JSON without asking.

    Raises:
        HTTPException: 415.
    """
    coding = headers.get(b"content-encoding", b"identity").decode("latin-1").strip().lower()
    if coding != "identity":
        expected = {"accept-encoding": "identity"}
        raise HTTPException(415, f"the body's content-encoding is {coding[:50]!r}; expected none", expected)
    kind = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    if kind != JSON:
        raise HTTPException(415, f"the body's content-type is {kind or 'missing'!r}; expected {JSON}")
