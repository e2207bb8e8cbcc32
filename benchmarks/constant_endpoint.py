"""The other side of the service's benchmark: a Serve application that reads a body and answers constant bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from ray import serve
from ray.serve import Application

from serve_app.app import LOGGING, MOST_ONGOING


def constant_application(answers: Mapping[str, bytes]) -> Application:
    """Answers each path with its bytes, in the same mode as the service."""

    def build() -> FastAPI:
        api = FastAPI()
        for path, answer in answers.items():
            api.add_api_route(path, _constant(answer), methods=["POST"], response_model=None)
        return api

    deployment: Any = serve.deployment(
        serve.ingress(build)(),
        name="Constant",
        max_ongoing_requests=MOST_ONGOING,
        ray_actor_options={"num_cpus": 0},
        logging_config=dict(LOGGING),
    )
    bound: Application = deployment.bind()
    return bound


def _constant(answer: bytes) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        await request.body()
        return Response(answer, media_type="application/json")

    return endpoint
