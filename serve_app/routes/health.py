"""Is it alive, is it ready, what has it counted: outside the base path, without a token no agent's data."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from orchestration.service.tokens import Scope
from serve_app.bodies import answered
from serve_app.metrics import CONTENT_TYPE, queues_exposition
from serve_app.routes.calls import Call, add_calls, gate_of, metrics_of, service_of


class HealthOut(TypedDict):
    """How it is."""

    status: str


async def healthz(request: Request) -> Response:
    """The process answers."""
    return answered(HealthOut, {"status": "alive"})


async def readyz(request: Request) -> Response:
    """The store can be read: calls will be served."""
    await service_of(request).ready()
    return answered(HealthOut, {"status": "ready"})


async def metrics(request: Request) -> Response:
    """Counters for Prometheus; each replica counts for itself. With a token also the queue of each agent."""
    counted, caller = metrics_of(request), None
    if "authorization" in request.headers:
        caller = await gate_of(request).admit(request, Scope.READ)
    told = await service_of(request).statistics()
    counted.owners(told)
    text = counted.exposition()
    if caller is not None:
        text += queues_exposition(told, caller.grant.sees)
    return Response(text, media_type=CONTENT_TYPE)


CALLS: tuple[Call, ...] = (
    Call("GET", "/healthz", healthz, "Liveness", HealthOut),
    Call("GET", "/readyz", readyz, "Readiness", HealthOut),
)


def add_health(app: FastAPI) -> None:
    """Put these at the root."""
    add_calls(app, "health", CALLS)
    app.add_api_route(
        "/metrics",
        metrics,
        methods=["GET"],
        tags=["health"],
        operation_id="metrics",
        summary="Prometheus",
        response_class=Response,
        response_model=None,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
