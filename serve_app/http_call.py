"""What a line of the table of calls is, and what a handler gets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.responses import Response

from orchestration.service.owners.owner_call import OwnerAnswer
from orchestration.service.service import SchedulingService
from orchestration.service.tokens import Grant, Scope
from serve_app.admission import Capacity
from serve_app.auth import Gate
from serve_app.metrics import ServiceMetrics

JSON = "application/json"


class State:
    """What a running application holds; service and gate exist once it has started."""

    service: SchedulingService
    gate: Gate

    def __init__(self) -> None:
        self.metrics = ServiceMetrics()
        self.capacity = Capacity()


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request whose parameters were checked and whose caller was let in.

    Attributes:
        values: of the path, the query and the headers, by the names in `parameters`.
        grant: what the caller may do; `NOBODY` of a call without a token.
    """

    values: Mapping[str, Any]
    grant: Grant
    body: bytes

    @property
    def agent(self) -> str:
        """The agent that the path names."""
        return str(self.values["agent"])

    @property
    def page(self) -> tuple[str, int]:
        """Cursor and length of the page."""
        return self.values["cursor"], self.values["limit"]


Handler = Callable[[State, HttpRequest], Awaitable[OwnerAnswer | msgspec.Struct | Response]]
Count = Callable[[ServiceMetrics, Mapping[str, float]], None]


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One line of the table.

    Attributes:
        name: unique; the operation's id in the OpenAPI document.
        scope: that a token needs; None: no token is read.
        answer: struct of the answer's body; None: the answer is not JSON.
        request: struct of the call's body; None: it takes none.
        parameters: of the query and the headers, by their names in `parameters`; those of the path are in it.
        problems: statuses of the problems that are its own, besides those of every call.
        status, repeated: of the answer; of the same answer to the same call again, None: the same.
        count: counts the numbers of an owner's answer.
        anonymous: a token is checked only where the request has one.
    """

    name: str
    method: str
    path: str
    scope: Scope | None
    handler: Handler
    summary: str
    description: str
    answer: type[msgspec.Struct] | None = None
    request: type[msgspec.Struct] | None = None
    parameters: tuple[str, ...] = ()
    problems: tuple[int, ...] = ()
    status: int = 200
    repeated: int | None = None
    count: Count | None = None
    anonymous: bool = False
