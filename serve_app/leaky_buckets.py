"""Leaky buckets, one for each key, in bounded memory: what is counted fills a bucket, and time empties it."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable


class LeakyBuckets:
    """The level of each key's bucket; an unknown key's is empty.

    Args:
        keys: that are remembered; the least recent is forgotten first.
        clock: monotonic, seconds.
    """

    def __init__(self, keys: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys, self._clock = keys, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def level(self, key: str, per_second: float) -> float:
        """The level now, if so much leaks out per second."""
        level, at = self._buckets.get(key, (0.0, 0.0))
        return max(0.0, level - (self._clock() - at) * per_second)

    def fill(self, key: str, level: float) -> None:
        """Set the level of now."""
        self._buckets[key] = (level, self._clock())
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._keys:
            self._buckets.popitem(last=False)
