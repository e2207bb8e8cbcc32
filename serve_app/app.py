"""The application that Ray Serve runs.

serve run serve_app.app:app
proctor deploy serve_app/config.yaml
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from importlib import metadata
from typing import Any

from ray import serve
from ray.serve import Application
from ray.serve.config import BackpressureConfig

from orchestration.runtime.logs import start_logs
from orchestration.runtime.ray import spare_collector
from orchestration.runtime.serve import is_loopback
from orchestration.service.service import SchedulingService
from serve_app.admission import RETRY_SECONDS
from serve_app.audit import Audit
from serve_app.auth import Gate
from serve_app.body_limits import BODY_BYTES, BODY_SECONDS
from serve_app.calls import CALLS
from serve_app.http_call import State
from serve_app.openapi import pages
from serve_app.router import Api
from serve_app.settings import checked_arguments

log = logging.getLogger(__name__)

MOST_ONGOING = 2_000
"""Calls that Serve passes to one replica at a time: above `admission.CALLS`, so an overload is reported at once."""

MOST_QUEUED = 1_000
"""Beyond these Serve itself answers 429, without a problem document."""

LOGGING: Mapping[str, Any] = {"enable_access_log": False}
"""A line for each call would cost a twentieth of it; `/metrics` counts them."""


def build_api(
    open_service: Callable[[], SchedulingService],
    loopback: Callable[[], Awaitable[bool]],
    body_bytes: int = BODY_BYTES,
    body_seconds: float = BODY_SECONDS,
) -> Api:
    """The ASGI application.

    Args:
        open_service: makes the service when the application starts.
        loopback: whether only this machine can reach the application.
        body_bytes, body_seconds: largest body of a call, and how long it may take to arrive.
    """
    state = State()

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        state.service = open_service()
        state.gate = Gate(state.service.tokens, await loopback())
        state.audit = Audit(state.service.audit_log)
        try:
            yield
        finally:
            await state.service.close()

    calls = tuple(call for group in CALLS.values() for call in group)
    documents = pages(CALLS, metadata.version("proctor"))
    return Api(calls, documents, lifespan, state, body_bytes, body_seconds)


async def served_on_loopback() -> bool:
    """Whether Ray Serve listens on the loopback interface alone; False where that is unknown."""
    from ray.serve.context import _get_global_client

    try:
        client: Any = _get_global_client()
        options = await client._controller.get_http_config.remote()
        return is_loopback(options.host)
    except Exception:
        log.warning("The address that Serve listens on is unknown; calls without a token are refused.", exc_info=True)
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

    def build() -> Api:
        start_logs("replica")
        api = build_api(lambda: SchedulingService(settings), served_on_loopback)
        spare_collector()
        return api

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
