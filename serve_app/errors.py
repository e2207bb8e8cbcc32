"""From error to answer: one explicit table, and the handlers that read it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from envsearch.errors import CorruptArtifactError, InputError, StoreUnavailableError
from orchestration.runtime.logs import about
from orchestration.service.errors import (
    ConflictError,
    ForbiddenError,
    InternalError,
    InvalidRequestError,
    NotFoundError,
    NotOwnerError,
    OverloadedError,
    ServiceError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
)
from serve_app.admission import RETRY_SECONDS
from serve_app.limits import BodyTooLargeError, BodyTooSlowError
from serve_app.metrics import ServiceMetrics
from serve_app.problems import FieldProblem, Problem, problem_response
from serve_app.throttling import ThrottledError

log = logging.getLogger(__name__)

STATUS: Final[dict[type[Exception], tuple[int, str]]] = {
    InvalidRequestError: (422, InvalidRequestError.slug),
    TooLargeError: (413, TooLargeError.slug),
    UnauthenticatedError: (401, UnauthenticatedError.slug),
    ForbiddenError: (403, ForbiddenError.slug),
    ThrottledError: (429, ThrottledError.slug),
    NotFoundError: (404, NotFoundError.slug),
    ConflictError: (409, ConflictError.slug),
    OverloadedError: (429, OverloadedError.slug),
    UnavailableError: (503, UnavailableError.slug),
    NotOwnerError: (503, UnavailableError.slug),
    InternalError: (500, InternalError.slug),
    InputError: (422, InvalidRequestError.slug),
    CorruptArtifactError: (500, "corrupt-state"),
    StoreUnavailableError: (503, UnavailableError.slug),
    TimeoutError: (503, UnavailableError.slug),
}
"""The explicit table: error -> (status, slug). The nearest class of an error counts."""

OTHER_SLUGS: Final[dict[int, str]] = {
    400: "malformed-json",
    404: "no-such-path",
    405: "method-not-allowed",
    413: "too-large",
    415: "not-json",
    422: InvalidRequestError.slug,
    500: "internal-error",
}
"""Problems of HTTP itself, and of our own."""

HEADERS: Final[dict[int, dict[str, str]]] = {
    408: {"connection": "close"},
    401: {"www-authenticate": 'Bearer realm="proctor"'},
    429: {"retry-after": str(RETRY_SECONDS)},
    503: {"retry-after": "1"},
}

UNION_BRANCHES = frozenset({"constrained-float", "constrained-int", "constrained-str", "bool"})
"""What pydantic adds to the place of a value that may be of several types."""

LONGEST_PART = 100
"""Most characters of a name that the caller chose and is told back."""

MOST_FIELDS = 20
"""Most fields that one problem names: of 100,000 wrong durations a few are enough."""


def problem_of(error: Exception) -> Problem:
    """What the caller is told; an error that is in no table is a defect of ours and says nothing more."""
    if isinstance(error, ValidationError):
        return _invalid(error.errors(include_url=False, include_input=False, include_context=False))
    if isinstance(error, RequestValidationError):
        return _invalid(error.errors())
    if isinstance(error, BodyTooLargeError):
        return Problem("too-large", 413, f"the body is larger than {error.limit} bytes")
    if isinstance(error, BodyTooSlowError):
        return Problem("too-slow", 408, f"the body was not there within {error.seconds:g} s")
    if isinstance(error, HTTPException):
        return Problem(OTHER_SLUGS.get(error.status_code, "http-error"), error.status_code, str(error.detail))
    for cls in type(error).__mro__:
        if cls in STATUS:
            return _listed(error, *STATUS[cls])
    log.error("a call failed", exc_info=error)
    return Problem("internal-error", 500, "the service failed on this call; its log says more")


def _listed(error: Exception, status: int, slug: str) -> Problem:
    if status >= 500:
        log.warning("%s: %s", type(error).__name__, error)
    if isinstance(error, InputError):
        text = f"{error.problem}; expected {error.expected}" if error.expected else error.problem
        return Problem(slug, status, str(error), (FieldProblem(error.field, text),) if error.field else ())
    if isinstance(error, ServiceError):
        return Problem(slug, status, str(error), (FieldProblem(error.field, error.detail),) if error.field else ())
    return Problem(slug, status, "it took too long; the same call again is safe")


def _invalid(errors: Sequence[Any]) -> Problem:
    first = errors[0]
    if first["type"] == "json_invalid":
        return Problem("malformed-json", 400, str(first["msg"]))
    fields = _fields(errors)
    more = f" (and {len(fields) - 1} more)" if len(fields) > 1 else ""
    detail = f"{fields[0].field}: {fields[0].problem}{more}" if fields[0].field else f"{fields[0].problem}{more}"
    if all(entry["type"] == "too_long" for entry in errors):
        return Problem(TooLargeError.slug, 413, detail, fields)
    return Problem(InvalidRequestError.slug, 422, detail, fields)


def _fields(errors: Sequence[Any]) -> tuple[FieldProblem, ...]:
    """One problem per field: a value that may be of several types has a complaint from each."""
    told: dict[str, list[str]] = {}
    for entry in errors:
        place = [part for part in entry["loc"] if part not in UNION_BRANCHES]
        told.setdefault(field_path(place), []).append(str(entry["msg"]))
        if len(told) == MOST_FIELDS:
            break
    return tuple(FieldProblem(field, " or ".join(dict.fromkeys(texts))) for field, texts in told.items())


def field_path(location: Sequence[int | str]) -> str:
    """A place in a body as people write it: test_cases[3].duration."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part not in ("path", "query", "header") or text:
            shown = part if len(part) <= LONGEST_PART else f"{part[:LONGEST_PART]}..."
            text += f".{shown}" if text else shown
    return text


async def answer_error(request: Request, error: Exception) -> Response:
    """The handler of every error."""
    names = request.path_params
    with about(str(names.get("agent", ""))[:LONGEST_PART], str(names.get("episode", ""))[:LONGEST_PART]):
        return told_as_problem(error, request.app.state.metrics)


def told_as_problem(error: Exception, metrics: ServiceMetrics) -> Response:
    """The answer that tells of an error, which is counted."""
    problem = problem_of(error)
    metrics.error(problem.slug)
    headers = {**HEADERS.get(problem.status, {})}
    if isinstance(error, ThrottledError):
        headers["retry-after"] = str(error.retry_after)
    if isinstance(error, HTTPException) and error.headers:
        headers.update(cast(dict[str, str], error.headers))
    return problem_response(problem, headers)


def install(app: FastAPI) -> None:
    """Make every error of the application a problem document."""
    for kind in (
        RequestValidationError,
        ValidationError,
        HTTPException,
        BodyTooLargeError,
        BodyTooSlowError,
        *STATUS,
        Exception,
    ):
        app.add_exception_handler(kind, answer_error)
