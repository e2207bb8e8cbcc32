"""Requests per second of each token, in bounded memory. Each replica counts for itself."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from serve_app.throttling import RateError

BURST_SECONDS: Final = 2.0
"""A token that was idle may make the requests of so many seconds at once, and one in any case."""

KEYS: Final = 10_000
"""Tokens that are remembered; the least recent is forgotten first."""


class RateLimiter:
    """A bucket for each key: every request takes one out, time fills it.

    Args:
        clock: monotonic, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str, per_second: float) -> float:
        """Count a request that may be made now, and return 0; otherwise the seconds until one may be."""
        now, most = self._clock(), max(1.0, per_second * BURST_SECONDS)
        left, at = self._buckets.get(key, (most, now))
        left = min(most, left + (now - at) * per_second)
        allowed = left >= 1.0
        self._buckets[key] = (left - allowed, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > KEYS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - left) / per_second

    def take(self, key: str, per_second: float | None) -> None:
        """Count a request; None: there is no limit.

        Raises:
            RateError: it may not be made now.
        """
        if per_second is not None and (seconds := self.wait(key, per_second)) > 0:
            raise RateError(seconds)
