"""Checks of what a path, a query or a header holds."""

from __future__ import annotations

from orchestration.service.api import limits
from orchestration.service.api.fields import is_episode_id, is_key, is_name
from orchestration.service.errors import InvalidRequestError, NotFoundError


def check_agent(name: str) -> None:
    """Raise if no agent can have this name.

    Raises:
        NotFoundError: none can.
    """
    if not is_name(name):
        raise NotFoundError(f"there is no agent {name[: limits.NAME]!r}", "agent")


def check_episode(episode_id: str) -> None:
    """Raise if no episode can have this id.

    Raises:
        NotFoundError: none can.
    """
    if not is_episode_id(episode_id):
        raise NotFoundError(f"there is no episode {episode_id[: limits.EPISODE]!r} of this agent", "episode")


def check_key(key: str) -> None:
    """Raise if an idempotency key is wrong.

    Raises:
        InvalidRequestError: it is.
    """
    if not is_key(key):
        raise InvalidRequestError(f"expected at most {limits.KEY} visible ASCII characters", "idempotency_key")


def page_limit(limit: int) -> int:
    """The length of a page.

    Raises:
        InvalidRequestError: it is out of range.
    """
    if not 1 <= limit <= limits.PAGE:
        raise InvalidRequestError(f"{limit} is out of range; expected 1 to {limits.PAGE}", "limit")
    return limit


def name_cursor(cursor: str) -> str:
    """A cursor that is an agent's name; "": the first page.

    Raises:
        InvalidRequestError: no page ended with it.
    """
    if cursor and not is_name(cursor):
        raise InvalidRequestError("expected the next_cursor of the page before", "cursor")
    return cursor


def number_cursor(cursor: str) -> int | None:
    """A cursor that is a number; None: the first page.

    Raises:
        InvalidRequestError: no page ended with it.
    """
    if not cursor:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise InvalidRequestError("expected the next_cursor of the page before", "cursor")
    return int(cursor)
