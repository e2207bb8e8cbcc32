"""The OpenAPI document: what FastAPI knows of the routes, and the bodies, problems and tokens it does not."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from serve_app.routes.calls import Call
from serve_app.schemas.common import ProblemOut

REFERENCE = "#/components/schemas/{model}"

DESCRIPTION = """Agents that order the test cases of CI jobs, and learn.

Create an agent once. Then, for every job: ask for an order (`recommendations`), run the tests, report their results
(`results`), ask for the reward (`reward`). Every call can be repeated: nothing happens twice. What is acknowledged is
stored. Errors are problem documents (RFC 9457) with a stable `type`.
"""


def install(app: FastAPI, calls: tuple[Call, ...]) -> None:
    """Make the application tell this document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, calls)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI, calls: tuple[Call, ...]) -> dict[str, Any]:
    schema = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
    components = schema.setdefault("components", {})
    components.setdefault("schemas", {}).update(_bodies(calls), ProblemOut=_problem())
    components["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "proctor token create --scope SCOPE; without any token this machine alone is let in.",
        }
    }
    schema["security"] = [{"token": []}, {}]
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            if not path.startswith("/v1/"):
                operation["security"] = [{}, {"token": []}] if path == "/metrics" else []
    return schema


def _bodies(calls: tuple[Call, ...]) -> dict[str, Any]:
    models = {call.body: None for call in calls if call.body is not None}
    _, defined = models_json_schema([(model, "validation") for model in models], ref_template=REFERENCE)
    found: dict[str, Any] = defined["$defs"]
    return found


def _problem() -> dict[str, Any]:
    schema = TypeAdapter(ProblemOut).json_schema(ref_template=REFERENCE)
    field_problem = schema.pop("$defs")["FieldProblemOut"]
    schema["properties"]["errors"]["items"] = field_problem
    schema["required"] = ["type", "title", "status", "detail"]
    return schema
