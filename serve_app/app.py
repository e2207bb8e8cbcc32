"""The application: the calls, their edge, their errors, and what Ray Serve runs.

serve run serve_app.app:app
serve deploy serve_app/config.yaml
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from importlib import metadata
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve import Application
from ray.serve.config import BackpressureConfig

from orchestration.runtime.logs import start_logs
from orchestration.runtime.ray import spare_collector
from orchestration.runtime.serve import is_loopback
from orchestration.service.service import SchedulingService
from serve_app import errors, openapi
from serve_app.admission import RETRY_SECONDS
from serve_app.auth import Gate
from serve_app.front import Front
from serve_app.limits import BODY_BYTES, BODY_SECONDS, Edge
from serve_app.metrics import ServiceMetrics
from serve_app.routes import agents, episodes, health, recommendations
from serve_app.routes.calls import Call, add_calls
from serve_app.settings import checked_arguments

log = logging.getLogger(__name__)

MOST_ONGOING = 2_000
"""Calls that Serve hands to one replica at a time: above `admission.CALLS`, so what is too much is told at once."""

MOST_QUEUED = 1_000
"""Beyond these Serve itself answers 429, without a problem document."""

BASE_PATH = "/v1"

LOGGING: Mapping[str, Any] = {"enable_access_log": False}
"""A line for each call would cost a twentieth of it; `/metrics` counts them."""

TABLES: dict[str, tuple[Call, ...]] = {
    "recommend": recommendations.CALLS,
    "agents": agents.CALLS,
    "episodes": episodes.CALLS,
}
"""The explicit table of all calls below the base path."""


def build_api(
    open_service: Callable[[], SchedulingService],
    loopback: Callable[[], Awaitable[bool]],
    body_bytes: int = BODY_BYTES,
    body_seconds: float = BODY_SECONDS,
) -> Front:
    """The ASGI application.

    Args:
        open_service: makes the service when the application starts.
        loopback: whether only this machine can reach the application.
        body_bytes, body_seconds: largest body of a call, and how long it may take to come.
    """

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        service = open_service()
        api.state.service = service
        api.state.gate = Gate(service.tokens, await loopback())
        try:
            yield
        finally:
            await service.close()

    api = FastAPI(
        title="Proctor scheduling service",
        version=metadata.version("proctor"),
        lifespan=lifespan,
        redirect_slashes=False,
    )
    api.state.metrics = ServiceMetrics()
    for tag, calls in TABLES.items():
        add_calls(api, tag, calls, BASE_PATH)
    health.add_health(api)
    errors.install(api)
    openapi.install(api, tuple(call for calls in TABLES.values() for call in calls))
    api.add_middleware(Edge, metrics=api.state.metrics, body_bytes=body_bytes, body_seconds=body_seconds)
    return Front(api, BASE_PATH, body_bytes, body_seconds)


async def served_on_loopback() -> bool:
    """Whether Ray Serve listens on the loopback interface alone; False where it cannot be told."""
    from ray.serve.context import _get_global_client

    try:
        client: Any = _get_global_client()
        options = await client._controller.get_http_config.remote()
        return is_loopback(options.host)
    except Exception:
        log.warning("It cannot be told where Serve listens; calls without a token are refused.", exc_info=True)
        return False


def app(arguments: dict[str, Any]) -> Application:
    """What Ray Serve runs.

    Args:
        arguments: see `ServiceArguments`.

    Raises:
        InputError: an argument is not known, or of the wrong type.
    """
    checked = checked_arguments(arguments)
    settings = checked.service_settings()  # here, where paths mean something: replicas run in folders of Ray's

    def build() -> Front:
        start_logs("replica")
        front = build_api(lambda: SchedulingService(settings), served_on_loopback)
        spare_collector()
        return front

    deployment: Any = serve.deployment(
        serve.ingress(build)(),
        name="SchedulingApi",
        num_replicas=checked.replicas,
        max_ongoing_requests=MOST_ONGOING,
        max_queued_requests=MOST_QUEUED,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=RETRY_SECONDS),
        ray_actor_options={"num_cpus": 0},
        graceful_shutdown_timeout_s=10.0,
        health_check_period_s=5.0,
        logging_config=dict(LOGGING),
    )
    bound: Application = deployment.bind()
    return bound
