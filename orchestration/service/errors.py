"""The errors of the scheduling service, as a tree.

    ProctorError
    └── ServiceError               has a stable slug, for the `type` of a problem document
        ├── InvalidRequestError        the request itself is wrong; nothing was changed
        │   └── TooLargeError              more tests, results or text than the limits allow
        ├── MalformedBodyError         the body is not valid JSON
        ├── UnauthenticatedError       no token, or one that is not valid
        ├── ForbiddenError             a valid token that does not cover the call
        ├── NotFoundError              no such agent, episode, version or token
        ├── ConflictError              contradicts what is already stored
        ├── QuotaError                 would exceed a quota of the caller's token; nothing was changed
        ├── OverloadedError            too many calls are already waiting; nothing was done
        ├── UnavailableError           could not be done now; the same call again is safe
        │   └── NotOwnerError              this owner was replaced by a newer one; the directory asks that one
        └── InternalError              a defect of the program; nothing of the call was kept

Every class survives pickling: all arguments are positional and handed to ``Exception.__init__``.
"""

from __future__ import annotations

from typing import ClassVar

from envsearch.errors import InputError, ProctorError


class ServiceError(ProctorError):
    """Root of the service's errors.

    Args:
        detail: one line for people: what is wrong.
        field: the field of the request that holds it (``results[3].id``); "" if it is none.
    """

    slug: ClassVar[str] = "service-error"

    def __init__(self, detail: str, field: str = "") -> None:
        super().__init__(detail, field)
        self.detail = detail
        self.field = field

    def __str__(self) -> str:
        return f"{self.field}: {self.detail}" if self.field else self.detail


class InvalidRequestError(ServiceError):
    """The request is wrong; nothing was changed."""

    slug = "invalid-request"


class TooLargeError(InvalidRequestError):
    """More than the limits allow."""

    slug = "too-large"


class MalformedBodyError(ServiceError):
    """The body of the request is not valid JSON."""

    slug = "malformed-json"


class UnauthenticatedError(ServiceError):
    """No token, or one that is not valid."""

    slug = "unauthenticated"


class ForbiddenError(ServiceError):
    """A valid token whose scope or agent prefix does not cover the call."""

    slug = "forbidden"


class NotFoundError(ServiceError):
    """No such agent, episode, version or token."""

    slug = "not-found"


class ConflictError(ServiceError):
    """Contradicts what is stored already; nothing was changed."""

    slug = "conflict"


class QuotaError(ServiceError):
    """Would exceed a quota of the caller's token; nothing was changed."""

    slug = "quota-exceeded"


class OverloadedError(ServiceError):
    """Too many calls wait already. Nothing was done; the same call a second later is right."""

    slug = "overloaded"


class UnavailableError(ServiceError):
    """Could not be done now. Every call is idempotent, so the same call again is safe."""

    slug = "unavailable"


class NotOwnerError(UnavailableError):
    """This owner was replaced: another one has taken over the agent, and nothing of this call was written."""

    slug = "not-owner"


class InternalError(ServiceError):
    """A defect of the program. Nothing of the call was kept; the service's log has the traceback."""

    slug = "internal-error"


SERVICE_ERRORS: tuple[type[ServiceError], ...] = (
    InvalidRequestError,
    TooLargeError,
    MalformedBodyError,
    UnauthenticatedError,
    ForbiddenError,
    NotFoundError,
    ConflictError,
    QuotaError,
    OverloadedError,
    UnavailableError,
    NotOwnerError,
    InternalError,
)
"""Every error that a call of the service can raise."""


def invalid(error: InputError) -> InvalidRequestError:
    """A library's complaint about what the user gave, as an error of the service."""
    text = " ".join(error.problem.split())
    return InvalidRequestError(f"{text}; expected {error.expected}" if error.expected else text, error.field)
