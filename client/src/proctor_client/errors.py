"""What can go wrong, drawn as a tree.

Exception
├── ClientError
│   ├── ServiceUnavailableError    no answer, or "not now", after all retries
│   ├── RefusedError               the service understood and refused (4xx)
│   │   ├── NotAllowedError            401, 403: the token
│   │   ├── NotFoundError              404: no such agent or episode
│   │   └── ConflictError              409: contradicts what is stored already
│   └── UnexpectedAnswerError      something answered that is no Proctor service
└── SchedulerWarning (a UserWarning)   the job goes on without the service
"""

from __future__ import annotations


class ClientError(Exception):
    """Root of the client's errors."""


class ServiceUnavailableError(ClientError):
    """The service did not answer, or could not do it now, after all retries.

    Args:
        problem: what happened last.
        attempts: how often it was tried.
        status: of the last answer; None: there was none.
    """

    def __init__(self, problem: str, attempts: int, status: int | None = None) -> None:
        super().__init__(problem, attempts, status)
        self.problem = problem
        self.attempts = attempts
        self.status = status

    def __str__(self) -> str:
        tries = "once" if self.attempts == 1 else f"{self.attempts} times"
        return f"{self.problem} (tried {tries})"


class RefusedError(ClientError):
    """The service refused the call; trying again would not help.

    Args:
        detail: one line for people.
        status: of HTTP.
        slug: what sort of problem, stable ("invalid-request").
    """

    def __init__(self, detail: str, status: int, slug: str = "") -> None:
        super().__init__(detail, status, slug)
        self.detail = detail
        self.status = status
        self.slug = slug

    def __str__(self) -> str:
        return f"{self.detail} (HTTP {self.status})"


class NotAllowedError(RefusedError):
    """No token, a wrong one, or one that may not do this."""


class NotFoundError(RefusedError):
    """No such agent or episode."""


class ConflictError(RefusedError):
    """Contradicts what is stored already; nothing was changed."""


class UnexpectedAnswerError(ClientError):
    """The answer is not what a Proctor service says: the URL may be another program's."""


class SchedulerWarning(UserWarning):
    """The service could not help; the job goes on in the order given."""


REFUSALS = {401: NotAllowedError, 403: NotAllowedError, 404: NotFoundError, 409: ConflictError}


def refusal(detail: str, status: int, slug: str) -> RefusedError:
    """The error of a 4xx answer."""
    return REFUSALS.get(status, RefusedError)(detail, status, slug)
