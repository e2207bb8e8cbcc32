"""How large a body may be and how long it may take, checked before anything is parsed."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import Message, Receive

BODY_BYTES: Final = 64 * 1024 * 1024
"""Largest body of a call, bytes: 100,000 test cases of 600 bytes each, with room."""

BODY_SECONDS: Final = 60.0
"""Time within which a body must arrive: until then it occupies a place that other calls need."""

MOST_DIGITS: Final = 18
"""Digits of an announced length that are read as a number: a longer one is too large anyway."""


class BodyTooLargeError(Exception):
    """More bytes were announced, or arrived, than a body may have.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class BodyTooSlowError(Exception):
    """A body did not arrive in time.

    Args:
        seconds: that it had.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class DisconnectedError(Exception):
    """The caller closed the connection."""


def announced_length(length: bytes | None) -> int:
    """The `content-length` of a request; 0 where it is missing or not a number."""
    return int(length[:MOST_DIGITS]) if length is not None and length.isdigit() else 0


async def read_body(receive: Receive, limit: int, seconds: float) -> bytes:
    """The whole body. Its bytes are counted whatever was announced: one that comes in chunks can announce less.

    Raises:
        BodyTooLargeError: it has more bytes than `limit`.
        BodyTooSlowError: it was not complete after `seconds`.
        DisconnectedError: the caller is gone.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _read(receive, limit)
    except TimeoutError as error:
        raise BodyTooSlowError(seconds) from error


async def _read(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await _received(receive)
        if message["type"] != "http.request":
            raise DisconnectedError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise BodyTooLargeError(limit)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def _received(receive: Receive) -> Message:
    """The next part.

    Raises:
        DisconnectedError: it cannot be received. Servers say so by errors of their own; nobody waits for an answer.
    """
    try:
        return await receive()
    except Exception as error:
        raise DisconnectedError from error
