"""How far a block is while it is worked on: an engine's agent-steps as items with fractions."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

Told = Callable[[float, float], None]
"""Told (items that the block had been given when its work began: from a checkpoint; items done, those included)."""

Partly = Callable[[float, float], None]
"""Told the same two numbers, summed over the blocks that run now; the first also over those that have ended."""

EVERY = 1.0
"""Seconds between two reports of one block, at least."""


class UnderWay:
    """Counts one block's items and tells how many are done, at most once per second.

    Args:
        told: who wants to know; None: nobody.
        clock: seconds, monotonic.
    """

    def __init__(self, told: Told | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._told = told
        self._clock = clock
        self._next = -math.inf
        self._done = self._given = 0.0

    def finished(self, items: int, given: bool = False) -> None:
        """So many items are done; `given`: before the work began."""
        self._done += items
        self._given += items if given else 0

    def steps(self, agents: int, total_steps: int, given: Callable[[], bool]) -> Callable[[int], None]:
        """An engine's `progress` for some agents of one recipe.

        Args:
            agents: how many are trained together.
            total_steps: of each.
            given: whether the first number told is where a checkpoint had been.
        """
        first = True

        def progress(agent_steps: int) -> None:
            nonlocal first
            items = min(float(agents), agent_steps / total_steps)
            if first and given():
                self._given += items
            first = False
            self._tell(self._done + items)

        return progress

    def _tell(self, items: float) -> None:
        if self._told is not None and self._clock() >= self._next:
            self._next = self._clock() + EVERY
            self._told(self._given, items)


class Blocks:
    """The blocks of one run, summed for the reader.

    Args:
        partly: who wants to know; None: nobody.
    """

    def __init__(self, partly: Partly | None) -> None:
        self._partly = partly
        self._running: dict[int, tuple[float, float]] = {}
        self._given = 0.0

    def told(self, block: int, given: float, done: float) -> None:
        """One block is so far; see `Told`."""
        self._running[block] = (given, done)
        if self._partly is not None:
            running = self._running.values()
            self._partly(self._given + sum(each[0] for each in running), sum(each[1] for each in running))

    def ended(self, block: int) -> None:
        """One block is done; its report counts it from here on."""
        self._given += self._running.pop(block, (0.0, 0.0))[0]
