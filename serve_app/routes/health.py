"""Is it alive, is it ready, what has it counted: outside the base path, without a token, without any agent's data."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from serve_app.bodies import answered
from serve_app.metrics import CONTENT_TYPE
from serve_app.routes.calls import Call, add_calls, metrics_of, service_of


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
    """Counters for Prometheus. With several replicas each counts for itself."""
    counted = metrics_of(request)
    told = await service_of(request).statistics()
    counted.owners(told.agents, told.wake_ups)
    return Response(counted.exposition(), media_type=CONTENT_TYPE)


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
