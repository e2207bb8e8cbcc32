"""The OpenAPI document, made from the table of calls and the structs of their bodies; the pages that show it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import msgspec
from starlette.responses import Response

from serve_app.docs_page import docs_page
from serve_app.http_call import JSON, HttpCall
from serve_app.parameters import PARAMETERS, path_names
from serve_app.problems import MEDIA_TYPE, Problem
from serve_app.router import Page

TITLE: Final = "Proctor scheduling service"
DESCRIPTION: Final = """Agents that order the test cases of CI jobs, and learn.

Create an agent once. Then, for every job: request an order (`recommendations`), run the tests, report their results
(`results`), request the reward (`reward`). Every call can be repeated: nothing happens twice. What is acknowledged is
stored. Errors are problem documents (RFC 9457) with a stable `type`. The answer's `x-request-id` names the request in
the service's logs; a request may bring its own (1 to 64 letters, digits and `._-`).
"""
PROBLEMS: Final = {
    400: "The body is not valid JSON.",
    401: "No token, or one that is not valid.",
    403: "The token lacks the scope.",
    404: "No such agent, episode or version.",
    408: "The body did not arrive in time.",
    409: "Contradicts what is already stored, or would exceed a quota of the token; nothing was changed.",
    411: "The body comes in chunks; send it with a content-length.",
    413: "Larger than the limits.",
    415: "The body does not say that it is JSON.",
    422: "The call is wrong; the problem names the field.",
    429: "Too many calls are waiting or came with this token, or too many connections or wrong tokens came from this "
    "address; see `retry-after`.",
    500: "A defect, or damaged state; the service's log says more.",
    503: "Not possible now; the same call again is safe.",
    504: "No answer in time; the same call again is safe.",
}
_REFERENCE: Final = "#/components/schemas/"
_SCHEME: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "proctor token create --scope SCOPE; without tokens only this machine may call the service.",
}


def pages(calls: Mapping[str, tuple[HttpCall, ...]], version: str) -> dict[str, Page]:
    """The document as JSON, and for people, by path."""
    whole = document(calls, version)
    page = docs_page(whole)
    return {
        "/openapi.json": partial(Response, msgspec.json.encode(whole), media_type=JSON),
        "/docs": lambda: page,
        "/redoc": lambda: page,
    }


def document(calls: Mapping[str, tuple[HttpCall, ...]], version: str) -> dict[str, Any]:
    """The document.

    Args:
        calls: by the group that they are shown in.
    """
    paths: dict[str, dict[str, Any]] = {}
    structs: dict[type[msgspec.Struct], None] = {}
    for tag, group in calls.items():
        for call in group:
            paths.setdefault(call.path, {})[call.method.lower()] = {"tags": [tag], **_operation(call)}
            structs |= {kind: None for kind in (call.answer, call.request) if kind is not None}
    _, schemas = msgspec.json.schema_components([*structs, Problem], ref_template=_REFERENCE + "{name}")
    components = {"schemas": schemas, "securitySchemes": {"token": _SCHEME}}
    whole = {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "description": DESCRIPTION, "version": version},
        "paths": paths,
        "components": components,
        "security": [{"token": []}, {}],
    }
    # The end of a text is \Z in the patterns of Python, and $ in those of JSON Schema.
    readable: dict[str, Any] = json.loads(json.dumps(whole).replace("\\\\Z", "$"))
    return readable


def _operation(call: HttpCall) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": call.summary,
        "description": call.description,
        "operationId": call.name,
        "responses": _responses(call),
    }
    if names := path_names(call.path) + call.parameters:
        operation["parameters"] = list(map(_parameter, names))
    if call.request is not None:
        operation["requestBody"] = {"required": True, "content": _content(JSON, call.request)}
    if call.scope is None or call.anonymous:
        operation["security"] = [{}, {"token": []}] if call.anonymous else []
    return operation


def _parameter(name: str) -> dict[str, Any]:
    parameter = PARAMETERS[name]
    schema = msgspec.json.schema(parameter.type)
    required = parameter.source == "path"
    if not required:
        schema["default"] = parameter.default
    return {"name": parameter.alias, "in": parameter.source, "required": required, "schema": schema}


def _responses(call: HttpCall) -> dict[str, Any]:
    content = {"text/plain": {"schema": {"type": "string"}}} if call.answer is None else _content(JSON, call.answer)
    answer: dict[str, Any] = {"description": HTTPStatus(call.status).phrase}
    if call.status != HTTPStatus.NO_CONTENT:
        answer["content"] = content
    responses = {str(call.status): answer}
    if call.repeated is not None:
        responses[str(call.repeated)] = {**answer, "description": "It already existed."}
    for status in _problems(call):
        responses[str(status)] = {"description": PROBLEMS[status], "content": _content(MEDIA_TYPE, Problem)}
    return responses


def _problems(call: HttpCall) -> list[int]:
    statuses = {500, 503, 504, *call.problems}
    if call.scope is not None:
        statuses |= {401, 403, 429}
    if call.scope is not None and not call.anonymous:
        statuses |= {422}
    if call.request is not None:
        statuses |= {400, 408, 411, 413, 415}
    if path_names(call.path):
        statuses.add(404)
    return sorted(statuses)


def _content(media_type: str, kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": _REFERENCE + kind.__name__}}}
