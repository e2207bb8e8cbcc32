"""How many calls, and how many bytes of bodies, one replica takes in at a time; what is over is told to come later.

The part of one agent and of one owner is limited further in: see `orchestration.actors.admission`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import Scope

from orchestration.service_errors import OverloadedError
from serve_app.limits import BODY_BYTES, MOST_DIGITS

CALLS = 400
"""Calls that one replica works on at a time: nearly all of them wait for an agent's owner."""

BYTES = 4 * BODY_BYTES
"""Announced bytes of the bodies of these calls. Read, a body takes several times as much memory."""

RETRY_SECONDS = 1
"""What `Retry-After` says: by then all calls that wait now are answered, or the service is far beyond its capacity."""


class Capacity:
    """Counts the calls of one replica.

    Args:
        calls, size: most calls and announced bytes at a time; one call alone is always taken in.
    """

    def __init__(self, calls: int = CALLS, size: int = BYTES) -> None:
        self._most_calls, self._most_bytes = calls, size
        self._calls = self._bytes = 0

    @contextmanager
    def place(self, scope: Scope) -> Iterator[None]:
        """A place for this call while the context lasts.

        Raises:
            OverloadedError: there is none.
        """
        size = self._enter(scope)
        try:
            yield
        finally:
            self._calls -= 1
            self._bytes -= size

    def _enter(self, scope: Scope) -> int:
        size = _announced(scope)
        if self._calls >= self._most_calls or (self._calls and self._bytes + size > self._most_bytes):
            raise OverloadedError(f"{self._calls} calls with {self._bytes >> 20} MiB are served already")
        self._calls += 1
        self._bytes += size
        return size


def _announced(scope: Scope) -> int:
    """Bytes of the body as announced; without a length, what it may have at most."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return min(int(value[:MOST_DIGITS]), BODY_BYTES) if value.isdigit() else 0
        if name == b"transfer-encoding":
            return BODY_BYTES
    return 0
