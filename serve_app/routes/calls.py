"""What a line of a routes table is, and what every handler needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import FastAPI, Header, Path, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from orchestration.service.service import SchedulingService
from serve_app.auth import Gate
from serve_app.metrics import ServiceMetrics
from serve_app.problems import MEDIA_TYPE
from serve_app.routes.direct import DirectRoute
from serve_app.schemas.common import NAME, Cursor, PageLimit

AgentPath = Annotated[str, Path(pattern=NAME, description="Name of the agent.", examples=["nightly"])]
EpisodePath = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9._:-]{1,64}$", description="Id of the episode, as the recommendation told it.")
]
VersionPath = Annotated[int, Path(ge=0, le=2**53, description="Number of the version.")]
LimitQuery = Annotated[PageLimit, Query()]
CursorQuery = Annotated[Cursor, Query()]
IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{0,64}$",
        description="A retry with the same key gets the first call's answer, and nothing happens twice.",
    ),
]

PAGE_LENGTH = 100
"""Length of a page where none is asked for."""

Handler = Callable[..., Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Call:
    """One line of a table.

    Attributes:
        answer: type of the answer's body; None: it has none.
        body: model of the call's body; None: it takes none.
        problems: statuses of the problems that are its own, besides those of every call.
        repeated: status of the same answer to the same call again; None: the status is the same too.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answer: Any
    status: int = 200
    body: type[BaseModel] | None = None
    problems: tuple[int, ...] = ()
    repeated: int | None = None


def service_of(request: Request) -> SchedulingService:
    """The service behind the application."""
    return cast(SchedulingService, request.app.state.service)


def gate_of(request: Request) -> Gate:
    """Who lets callers in."""
    return cast(Gate, request.app.state.gate)


def metrics_of(request: Request) -> ServiceMetrics:
    """The counters."""
    return cast(ServiceMetrics, request.app.state.metrics)


def add_calls(app: FastAPI, tag: str, calls: tuple[Call, ...], base: str = "") -> None:
    """Put a table under a base path."""
    for call in calls:
        app.router.add_api_route(
            base + call.path,
            call.handler,
            methods=[call.method],
            tags=[tag],
            summary=call.summary,
            name=call.handler.__name__,
            operation_id=call.handler.__name__,
            status_code=call.status,
            response_model=None,
            responses=_responses(call),
            openapi_extra=_request_body(call.body),
            route_class_override=DirectRoute,
        )


PROBLEMS = {
    400: "The body is no JSON.",
    401: "No token, or one that is not valid.",
    403: "The token may not do this.",
    404: "No such agent, episode or version.",
    408: "The body was not there in time.",
    409: "Contradicts what is stored already; nothing was changed.",
    413: "Larger than the limits.",
    415: "The body does not say that it is JSON.",
    422: "The call is wrong; the problem names the field.",
    429: "Too many calls wait, or too many with wrong tokens came from this address; see `retry-after`.",
    503: "Not now; the same call again is safe.",
}


def _responses(call: Call) -> dict[int | str, dict[str, Any]]:
    told: dict[int | str, dict[str, Any]] = {}
    if call.answer is not None:
        told[call.status] = {"model": call.answer}
        if call.repeated is not None:
            told[call.repeated] = {"model": call.answer, "description": "It was there already."}
    statuses = {401, 403, 422, 429, 503, *call.problems}
    if call.body is not None:
        statuses |= {400, 408, 413, 415}
    if "{" in call.path:
        statuses.add(404)
    for status in sorted(statuses):
        told[status] = {
            "description": PROBLEMS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemOut"}}},
        }
    return told


def _request_body(body: type[BaseModel] | None) -> dict[str, Any] | None:
    if body is None:
        return None
    schema = {"$ref": f"#/components/schemas/{body.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
