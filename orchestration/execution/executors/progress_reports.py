"""How the driver learns the progress of the blocks that Ray tasks work on: one small actor holds each block's latest.

Workers report to it about once a second and do not wait. The driver polls it every few seconds and does not wait for
the answer either. If the actor is slow, dead or not yet started, the display lags; the run is not affected.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from typing import Any

from orchestration.execution.block_progress import BlockCallback, ProgressCallback, RunningBlocks

POLL_SECONDS = 2.0
"""Seconds between two polls."""

PENDING_REPORTS = 8
"""Reports of one worker that may wait for the actor; more are dropped."""


class ProgressReports:
    """The actor: block -> its latest counts, see `BlockCallback`."""

    def __init__(self) -> None:
        self._latest: dict[int, tuple[float, float]] = {}

    def report(self, block: int, resumed: float, done: float) -> None:
        """Keep a block's counts."""
        self._latest[block] = (resumed, done)

    def take(self) -> dict[int, tuple[float, float]]:
        """The counts reported since the last call."""
        latest, self._latest = self._latest, {}
        return latest


class ProgressPoller:
    """The driver's side, for one run.

    Args:
        actor: handle of `ProgressReports`.
        callback: gets the progress of the running blocks.
        clock: seconds, monotonic.
    """

    def __init__(self, actor: Any, callback: ProgressCallback, clock: Callable[[], float] = time.monotonic) -> None:
        self.actor = actor
        self._blocks = RunningBlocks(callback)
        self._clock = clock
        self._next = clock() + POLL_SECONDS
        self._pending: Any = None

    def poll(self, running: Container[int]) -> None:
        """Ask the actor, or pass its answer on if it has arrived."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + POLL_SECONDS
        try:
            if self._pending is not None and not self._pass_on(running):
                return
            self._pending = self.actor.take.remote()
        except Exception:  # noqa: BLE001 - the actor died with its node; Ray restarts it, and reports may be lost
            self._pending = None

    def _pass_on(self, running: Container[int]) -> bool:
        """Whether the answer has arrived."""
        import ray

        if not ray.wait([self._pending], timeout=0)[0]:
            return False
        answer, self._pending = self._pending, None
        for block, (resumed, done) in ray.get(answer).items():
            if block in running:
                self._blocks.update(block, resumed, done)
        return True

    def ended(self, block: int) -> None:
        """A block's final report has arrived."""
        self._blocks.ended(block)


def start_progress_reports() -> Any:
    """A new actor, which needs no CPU of its own and survives its node."""
    import ray

    actor = ray.remote(ProgressReports)
    return actor.options(num_cpus=0, max_restarts=-1, max_pending_calls=PENDING_REPORTS, name=None).remote()


def reporter_of(actor: Any, block: int) -> BlockCallback:
    """A worker's callback: sends the counts and does not wait."""

    def report(resumed: float, done: float) -> None:
        try:
            actor.report.remote(block, resumed, done)
        except Exception:  # noqa: BLE001 - too many are pending, or the actor is gone: this report is not needed
            return

    return report
