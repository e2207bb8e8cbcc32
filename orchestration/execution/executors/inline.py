"""One block after another in this process: for the debugger, for notebooks, for one core."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from orchestration.execution.block_progress import Blocks, Partly
from orchestration.execution.executors.base import refuse_corrupt
from orchestration.execution.tasks import DEFAULT_PARTS, Parts, run_block
from orchestration.execution.work import BlockReport, WorkBlock


class InlineExecutor:
    """Runs blocks in the caller's thread.

    Args:
        parts: what the work is done with.
    """

    name = "inline"
    slots = 1

    def __init__(self, parts: Parts = DEFAULT_PARTS) -> None:
        self._parts = parts

    def run(self, blocks: Iterable[WorkBlock], store_url: str, partly: Partly | None = None) -> Iterator[BlockReport]:
        """See `Executor.run`. An interruption ends a training of the fleet after its next compiled call."""
        corrupt: list[str] = []
        running = Blocks(partly)
        for number, block in enumerate(blocks):
            report = run_block(block, store_url, self._parts, partial(running.told, number))
            running.ended(number)
            corrupt.extend(report.corrupt)
            yield report
        refuse_corrupt(corrupt)

    def close(self) -> None:
        """Nothing is held."""
