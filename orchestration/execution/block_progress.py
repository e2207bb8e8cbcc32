"""How far a block is while it is worked on: an engine's agent-steps as items with fractions."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

BlockCallback = Callable[[float, float], None]
"""Called with (items that were done before the block's work began: stored, or in a checkpoint; items done in all)."""

ProgressCallback = Callable[[float, float], None]
"""Called with the same two numbers, summed over the running blocks; the first also counts ended blocks."""

REPORT_SECONDS = 1.0
"""Seconds between two reports of one block, at least."""


class BlockProgress:
    """Counts one block's items and reports how many are done, at most once per second.

    Args:
        report: gets the counts; None: they are not reported.
        clock: seconds, monotonic.
    """

    def __init__(self, report: BlockCallback | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._clock = clock
        self._next = -math.inf
        self._done = self._resumed = 0.0

    def finished(self, items: int, resumed: bool = False) -> None:
        """Count finished items; `resumed`: they were finished before the work began."""
        self._done += items
        self._resumed += items if resumed else 0

    def steps(self, agents: int, total_steps: int, resumed: Callable[[], bool]) -> Callable[[int], None]:
        """An engine's `progress` for some agents of one recipe.

        Args:
            agents: how many are trained together.
            total_steps: of each.
            resumed: whether the first number reported is where a checkpoint had been.
        """
        first = True

        def progress(agent_steps: int) -> None:
            nonlocal first
            items = min(float(agents), agent_steps / total_steps)
            if first and resumed():
                self._resumed += items
            first = False
            self._report_if_due(self._done + items)

        return progress

    def _report_if_due(self, items: float) -> None:
        if self._report is not None and self._clock() >= self._next:
            self._next = self._clock() + REPORT_SECONDS
            self._report(self._resumed, items)


class RunningBlocks:
    """The blocks of one run, summed.

    Args:
        report: gets the sums; None: they are not reported.
    """

    def __init__(self, report: ProgressCallback | None) -> None:
        self._report = report
        self._running: dict[int, tuple[float, float]] = {}
        self._resumed = 0.0

    def update(self, block: int, resumed: float, done: float) -> None:
        """Take one block's counts; see `BlockCallback`."""
        self._running[block] = (resumed, done)
        if self._report is not None:
            running = self._running.values()
            self._report(self._resumed + sum(counts[0] for counts in running), sum(counts[1] for counts in running))

    def ended(self, block: int) -> None:
        """One block has ended; from here on its report counts it."""
        self._resumed += self._running.pop(block, (0.0, 0.0))[0]
