"""The errors, as a tree.

Exception
├── ClientError
│   ├── ServiceUnavailableError    no response, or "not now", after all retries
│   ├── RefusedError               the service understood and refused (4xx)
│   │   ├── NotAllowedError            401, 403: the token
│   │   ├── NotFoundError              404: no such agent or episode
│   │   └── ConflictError              409: contradicts what is already stored
│   └── UnexpectedAnswerError      the response is not from a Proctor service
└── SchedulerWarning (a UserWarning)   the job goes on without the service
"""

from __future__ import annotations


class ClientError(Exception):
    """Root of the client's errors."""


class ServiceUnavailableError(ClientError):
    """The service did not respond, or was not able to serve the call, after all retries.

    Args:
        problem: of the last attempt.
        attempts: how many there were.
        status: of the last response; None: there was none.
        request_id: name of the call in the service's logs.
    """

    def __init__(self, problem: str, attempts: int, status: int | None = None, request_id: str = "") -> None:
        super().__init__(problem, attempts, status, request_id)
        self.problem = problem
        self.attempts = attempts
        self.status = status
        self.request_id = request_id

    def __str__(self) -> str:
        tries = "once" if self.attempts == 1 else f"{self.attempts} times"
        name = f"; request {self.request_id}" if self.request_id and self.status is not None else ""
        return f"{self.problem} (tried {tries}{name})"


class RefusedError(ClientError):
    """The service refused the call; a retry would not help.

    Args:
        detail: one line for people.
        status: the HTTP status.
        slug: a stable name of the problem ("invalid-request").
        request_id: name of the call in the service's logs.
    """

    def __init__(self, detail: str, status: int, slug: str = "", request_id: str = "") -> None:
        super().__init__(detail, status, slug, request_id)
        self.detail = detail
        self.status = status
        self.slug = slug
        self.request_id = request_id

    def __str__(self) -> str:
        return f"{self.detail} (HTTP {self.status})"


class NotAllowedError(RefusedError):
    """The token is missing, wrong, or not allowed to do this."""


class NotFoundError(RefusedError):
    """There is no such agent or episode."""


class ConflictError(RefusedError):
    """The call contradicts what is already stored; nothing was changed."""


class UnexpectedAnswerError(ClientError):
    """The response is not from a Proctor service; the URL may belong to another program."""


class SchedulerWarning(UserWarning):
    """The service could not help; the job goes on in its own order."""


REFUSALS = {401: NotAllowedError, 403: NotAllowedError, 404: NotFoundError, 409: ConflictError}


def refusal(detail: str, status: int, slug: str, request_id: str = "") -> RefusedError:
    """The error for a 4xx response."""
    return REFUSALS.get(status, RefusedError)(detail, status, slug, request_id)
