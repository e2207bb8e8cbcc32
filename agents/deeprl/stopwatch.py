"""How long work takes: wall time and CPU time, which differ where a core is shared or the work waits."""

from __future__ import annotations

import time
from typing import NamedTuple


class StoppedTimes(NamedTuple):
    """Seconds on the clock, and of CPU time of the process."""

    wall: float
    cpu: float


class Stopwatch:
    """Runs from its creation.

    Args:
        wall, cpu: seconds that have passed before.
    """

    def __init__(self, wall: float = 0.0, cpu: float = 0.0) -> None:
        self._wall = time.perf_counter() - wall
        self._cpu = time.process_time() - cpu

    @property
    def wall(self) -> float:
        """Seconds on the clock."""
        return time.perf_counter() - self._wall

    @property
    def cpu(self) -> float:
        """Seconds of CPU time of this process, all its threads together."""
        return time.process_time() - self._cpu

    def stopped(self) -> StoppedTimes:
        """Both times now."""
        return StoppedTimes(self.wall, self.cpu)
