"""How many calls, and how many bytes of bodies, one replica accepts at a time; further callers get 429 and retry later.

The share of one agent and of one owner is limited further in: see `orchestration.service.owners.admission`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractContextManager

from orchestration.service.errors import OverloadedError
from serve_app.body_limits import BODY_BYTES, announced_length

CALLS = 400
"""Calls that one replica works on at a time: nearly all of them wait for an agent's owner."""

BYTES = 4 * BODY_BYTES
"""Announced bytes of the bodies of these calls. Read, a body takes several times as much memory."""

RETRY_SECONDS = 1
"""What `Retry-After` says: by then all waiting calls are answered, or the service is far beyond its capacity."""

HOLD_SECONDS = 1.0
"""A call that is refused because of too many others is answered after this time: callers who ignore `Retry-After` would
otherwise keep the replica busy with refusals."""

MOST_HELD = 1_000
"""Refused calls that wait for their answer; further ones are answered at once."""


class Capacity:
    """Counts the calls of one replica.

    Args:
        calls, size: most calls and announced bytes at a time; one call alone is always taken in.
    """

    def __init__(self, calls: int = CALLS, size: int = BYTES) -> None:
        self._most_calls, self._most_bytes = calls, size
        self._calls = self._bytes = self._held = 0

    def place(self, headers: Mapping[bytes, bytes]) -> AbstractContextManager[None]:
        """A place for this call while the context lasts.

        Raises:
            OverloadedError: there is none.
        """
        return _Place(self, headers)

    async def hold(self) -> None:
        """Let a refused caller wait for its answer, unless very many do."""
        if self._held < MOST_HELD:
            self._held += 1
            try:
                await asyncio.sleep(HOLD_SECONDS)
            finally:
                self._held -= 1

    def enter(self, size: int) -> None:
        """Take a place for a call with so many announced bytes.

        Raises:
            OverloadedError: there is none.
        """
        if self._calls >= self._most_calls or (self._calls and self._bytes + size > self._most_bytes):
            raise OverloadedError(f"{self._calls} calls with {self._bytes >> 20} MiB are already in progress")
        self._calls += 1
        self._bytes += size

    def leave(self, size: int) -> None:
        """Give it back."""
        self._calls -= 1
        self._bytes -= size


class _Place:
    __slots__ = ("_capacity", "_size")

    def __init__(self, capacity: Capacity, headers: Mapping[bytes, bytes]) -> None:
        self._capacity, self._size = capacity, _announced(headers)

    def __enter__(self) -> None:
        self._capacity.enter(self._size)

    def __exit__(self, *error: object) -> None:
        self._capacity.leave(self._size)


def _announced(headers: Mapping[bytes, bytes]) -> int:
    """Bytes of the body as announced; without a length, the most that it may have."""
    if b"content-length" in headers:
        return min(announced_length(headers[b"content-length"]), BODY_BYTES)
    return BODY_BYTES if b"transfer-encoding" in headers else 0
