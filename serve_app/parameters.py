"""Parameters of paths, queries and headers: their types, and how a request's are read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Annotated, Any, Final, Literal

import msgspec
from starlette.datastructures import QueryParams
from starlette.types import Scope

from orchestration.service.api import limits
from orchestration.service.api.decoding import violation
from orchestration.service.api.fields import (
    AgentName,
    ArchiveChoice,
    Count,
    Cursor,
    EpisodeId,
    IdempotencyKey,
    PageLimit,
)
from orchestration.service.errors import InvalidRequestError

PAGE_LENGTH: Final = 100
"""Length of a page by default."""

Headers = dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class CallParameter:
    """One parameter.

    Attributes:
        alias: its name in the request.
        default: of a parameter that may be left out; those of a path may not.
    """

    source: Literal["path", "query", "header"]
    alias: str
    type: Any
    default: str | int = ""


PARAMETERS: Final[dict[str, CallParameter]] = {
    "agent": CallParameter("path", "agent", AgentName),
    "episode": CallParameter("path", "episode", EpisodeId),
    "version": CallParameter("path", "version", Count),
    "limit": CallParameter("query", "limit", PageLimit, PAGE_LENGTH),
    "cursor": CallParameter("query", "cursor", Cursor),
    "confirm": CallParameter(
        "query",
        "confirm",
        Annotated[str, msgspec.Meta(max_length=limits.NAME, description="The agent's name once more.")],
    ),
    "archive": CallParameter("query", "archive", ArchiveChoice, "keep"),
    "key": CallParameter("header", "Idempotency-Key", IdempotencyKey),
}
"""The explicit table, by the names that handlers use."""


@cache
def path_names(path: str) -> tuple[str, ...]:
    """The parameters in a path's template."""
    return tuple(re.findall(r"\{(\w+)\}", path))


def read_parameters(names: tuple[str, ...], path: dict[str, str], scope: Scope, headers: Headers) -> dict[str, Any]:
    """The values of these parameters and of those in the path.

    Raises:
        InvalidRequestError: one is not of its type; `field` is its name in the request.
    """
    values: dict[str, Any] = {name: _value(name, text) for name, text in path.items()}
    query = QueryParams(scope["query_string"]) if names and scope["query_string"] else {}
    for name in names:
        parameter = PARAMETERS[name]
        text = query.get(parameter.alias)
        if parameter.source == "header":
            header = headers.get(parameter.alias.lower().encode())
            text = None if header is None else header.decode("latin-1")
        values[name] = parameter.default if text is None else _value(name, text)
    return values


@lru_cache(maxsize=1024)  # most calls name one of a few agents
def _value(name: str, text: str) -> Any:
    parameter = PARAMETERS[name]
    try:
        return msgspec.convert(text, parameter.type, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(violation(error).detail, parameter.alias) from error
