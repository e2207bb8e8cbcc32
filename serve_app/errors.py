"""From an error to the answer: one explicit table, and the function that reads it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from envsearch.errors import CorruptArtifactError, InputError, StoreUnavailableError
from orchestration.runtime.edge import TYPE_PREFIX
from orchestration.service.errors import (
    ConflictError,
    ForbiddenError,
    InternalError,
    InvalidRequestError,
    MalformedBodyError,
    NotFoundError,
    NotOwnerError,
    OverloadedError,
    QuotaError,
    ServiceError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
)
from serve_app.admission import RETRY_SECONDS
from serve_app.body_limits import BodyTooLargeError, BodyTooSlowError
from serve_app.metrics import ServiceMetrics
from serve_app.problems import FieldProblem, Problem, problem, problem_response
from serve_app.throttling import RateError, ThrottledError

log = logging.getLogger(__name__)

STATUS: Final[dict[type[Exception], tuple[int, str]]] = {
    InvalidRequestError: (422, InvalidRequestError.slug),
    TooLargeError: (413, TooLargeError.slug),
    MalformedBodyError: (400, MalformedBodyError.slug),
    UnauthenticatedError: (401, UnauthenticatedError.slug),
    ForbiddenError: (403, ForbiddenError.slug),
    ThrottledError: (429, ThrottledError.slug),
    RateError: (429, RateError.slug),
    NotFoundError: (404, NotFoundError.slug),
    ConflictError: (409, ConflictError.slug),
    QuotaError: (409, QuotaError.slug),
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

HTTP_SLUGS: Final[dict[int, str]] = {404: "no-such-path", 405: "method-not-allowed", 415: "not-json"}
"""Problems of HTTP itself."""

HEADERS: Final[dict[int, dict[str, str]]] = {
    408: {"connection": "close"},
    401: {"www-authenticate": 'Bearer realm="proctor"'},
    429: {"retry-after": str(RETRY_SECONDS)},
    503: {"retry-after": "1"},
}


def slug_of(error: Exception) -> str:
    """The sort of an error; of one that is in no table, that of a defect."""
    if isinstance(error, BodyTooLargeError):
        return TooLargeError.slug
    if isinstance(error, BodyTooSlowError):
        return "too-slow"
    if isinstance(error, HTTPException):
        return HTTP_SLUGS.get(error.status_code, "http-error")
    return next((STATUS[cls][1] for cls in type(error).__mro__ if cls in STATUS), InternalError.slug)


def problem_from(error: Exception) -> Problem:
    """What the caller sees; an error that is in no table is a defect of the program and reveals nothing more."""
    if isinstance(error, BodyTooLargeError):
        return problem(slug_of(error), 413, f"the body is larger than {error.limit} bytes")
    if isinstance(error, BodyTooSlowError):
        return problem(slug_of(error), 408, f"the body did not arrive within {error.seconds:g} s")
    if isinstance(error, HTTPException):
        return problem(slug_of(error), error.status_code, str(error.detail))
    for cls in type(error).__mro__:
        if cls in STATUS:
            return _listed(error, *STATUS[cls])
    log.error("a call failed", exc_info=error)
    return problem("internal-error", 500, "the service failed on this call; its log says more")


def _listed(error: Exception, status: int, slug: str) -> Problem:
    if status >= 500:
        log.warning("%s: %s", type(error).__name__, error)
    fields: Sequence[FieldProblem] = ()
    if isinstance(error, InputError) and error.field:
        text = f"{error.problem}; expected {error.expected}" if error.expected else error.problem
        fields = (FieldProblem(error.field, text),)
    elif isinstance(error, ServiceError) and error.field:
        fields = (FieldProblem(error.field, error.detail),)
    elif isinstance(error, TimeoutError):
        return problem(slug, status, "it took too long; the same call again is safe")
    return problem(slug, status, str(error), tuple(fields))


def problem_answer(error: Exception, metrics: ServiceMetrics) -> Response:
    """The answer that reports an error, which is counted."""
    document = problem_from(error)
    metrics.error(document.type.removeprefix(TYPE_PREFIX))
    headers = dict(HEADERS.get(document.status, {}))
    if isinstance(error, ThrottledError):
        headers["retry-after"] = str(error.retry_after)
    if isinstance(error, BodyTooLargeError):
        headers["connection"] = "close"
    if isinstance(error, HTTPException):
        headers.update(error.headers or {})
    return problem_response(document, headers)
