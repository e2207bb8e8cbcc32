"""What the steps of a campaign run with: an executor, a store, and counts of what was done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from orchestration.execution.executors.base import Executor
from orchestration.execution.results import ResultStore
from orchestration.execution.work import BlockReport, WorkBlock, item_addresses
from orchestration.runtime.progress import Phase, Progress


def _discard(_text: str) -> None:
    """The log of a campaign that keeps none."""


@dataclass
class RunContext:
    """Where work is done, where results are kept and where progress is shown.

    Attributes:
        log: takes one entry for the campaign's log.
        failures: content address -> last line of the traceback, of every item that failed in this run.
        computed: items computed in this run (the others were in the store).
        reused: items that were in the store already.
        seconds: wall time of this run's tasks, summed over workers.
    """

    executor: Executor
    store: ResultStore
    progress: Progress
    log: Callable[[str], None] = _discard
    failures: dict[str, str] = field(default_factory=dict)
    computed: int = 0
    reused: int = 0
    seconds: float = 0.0
    _open: Phase | None = None

    def run(self, phase: str, blocks: Sequence[WorkBlock], earlier: int = 0) -> None:
        """Run the blocks of a phase; what fails is kept in `failures`, the rest is in the store afterwards.

        Args:
            earlier: items of the phase that were in the store already.
        """
        self.reused += earlier
        items = sum(len(item_addresses(block)) for block in blocks)
        if not items:
            return
        self.log(f"{phase}: {items} items in {len(blocks)} tasks, {earlier} already done")
        for block in blocks:
            for address in item_addresses(block):
                self.failures.pop(address, None)
        with self._bar(phase, items, earlier) as bar:
            for report in self.executor.run(blocks, self.store.url, bar.update_running):
                self._count(phase, bar, report)

    @contextmanager
    def as_one_phase(self, phase: str) -> Iterator[None]:
        """Show all runs inside as one phase, whose length is not known yet."""
        with self.progress.phase(phase, None) as bar:
            self._open = bar
            try:
                yield
            finally:
                self._open = None

    @contextmanager
    def _bar(self, phase: str, items: int, earlier: int) -> Iterator[Phase]:
        if self._open is not None:
            yield self._open
            return
        with self.progress.phase(phase, items + earlier, earlier) as bar:
            yield bar

    def _count(self, phase: str, bar: Phase, report: BlockReport) -> None:
        size = len(item_addresses(report.block))
        bar.advance(size, len(report.failed))
        self.seconds += report.seconds
        self.computed += size - len(report.failed)
        for note in report.notes:
            self.log(f"{phase}: {note}")
        for address, traceback in report.failed:
            self.failures[address] = last_line(traceback)  # the log has all of it
            self.log(f"{phase}: item {address[:12]} failed\n{traceback}")


def last_line(traceback: str) -> str:
    """The last line of a traceback: the error and its text."""
    lines = [line.strip() for line in traceback.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "failed"
