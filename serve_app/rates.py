"""Requests per second of each token, in bounded memory. Each replica counts for itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from serve_app.leaky_buckets import LeakyBuckets
from serve_app.throttling import RateError

BURST_SECONDS: Final = 2.0
"""A token that was idle may make the requests of so many seconds at once, and one in any case."""

KEYS: Final = 10_000
"""Tokens that are remembered; the least recent is forgotten first."""


class RateLimiter:
    """A leaky bucket of requests for each key.

    Args:
        clock: monotonic, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets = LeakyBuckets(KEYS, clock)

    def wait(self, key: str, per_second: float) -> float:
        """Count a request that may be made now, and return 0; otherwise the seconds until one may be."""
        level = self._buckets.level(key, per_second)
        beyond = level + 1.0 - max(1.0, per_second * BURST_SECONDS)
        self._buckets.fill(key, level if beyond > 0 else level + 1.0)
        return max(0.0, beyond) / per_second

    def take(self, key: str, per_second: float | None) -> None:
        """Count a request; None: there is no limit.

        Raises:
            RateError: it may not be made now.
        """
        if per_second is not None and (seconds := self.wait(key, per_second)) > 0:
            raise RateError(seconds)
