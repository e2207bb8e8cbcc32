"""What a line of the table of calls is, and what a handler gets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.responses import Response

from orchestration.service.api.fields import is_name
from orchestration.service.owners.owner_call import OwnerAnswer
from orchestration.service.quotas import Occupied
from orchestration.service.service import SchedulingService
from orchestration.service.tokens import Grant, Scope
from serve_app.admission import Capacity
from serve_app.audit import Audit
from serve_app.auth import Gate
from serve_app.metrics import ServiceMetrics

JSON = "application/json"


class State:
    """What a running application holds; service, gate and audit log exist once it has started."""

    service: SchedulingService
    gate: Gate
    audit: Audit

    def __init__(self) -> None:
        self.metrics = ServiceMetrics()
        self.capacity = Capacity()


@dataclass(slots=True)
class HttpRequest:
    """A request whose parameters were checked and whose caller was let in.

    Attributes:
        values: of the path, the query and the headers, by the names in `parameters`.
        grant: what the caller may do; `NOBODY` of a call without a token.
        body: b"" until it is read.
    """

    values: Mapping[str, Any]
    grant: Grant
    body: bytes = b""

    @property
    def agent(self) -> str:
        """The agent that the path names."""
        return str(self.values["agent"])

    @property
    def subject(self) -> str:
        """The agent that the call is for or creates; "": none, or the body does not name one."""
        if "agent" in self.values:
            return self.agent
        try:
            name = _named.decode(self.body).name
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return ""
        return name if is_name(name) else ""

    @property
    def page(self) -> tuple[str, int]:
        """Cursor and length of the page."""
        return self.values["cursor"], self.values["limit"]


class _Named(msgspec.Struct):
    name: str = ""


_named = msgspec.json.Decoder(_Named)

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
        begins: quotas of which the call uses something up.
        audited: the call is entered into the audit log, also where it is refused to the bearer of a token.
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
    begins: tuple[Occupied, ...] = ()
    audited: bool = False
