"""One block after another in this process: for the debugger, for notebooks, for one core."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from orchestration.execution.block_progress import ProgressCallback, RunningBlocks
from orchestration.execution.executors.base import refuse_corrupt
from orchestration.execution.tasks import DEFAULT_FUNCTIONS, TaskFunctions, run_block
from orchestration.execution.work import BlockReport, WorkBlock


class InlineExecutor:
    """Runs blocks in the caller's thread.

    Args:
        functions: what does the work.
    """

    name = "inline"
    slots = 1

    def __init__(self, functions: TaskFunctions = DEFAULT_FUNCTIONS) -> None:
        self._functions = functions

    def run(
        self, blocks: Iterable[WorkBlock], store_url: str, progress: ProgressCallback | None = None
    ) -> Iterator[BlockReport]:
        """See `Executor.run`. An interruption ends a training of the fleet after its next compiled call."""
        corrupt: list[str] = []
        running = RunningBlocks(progress)
        for number, block in enumerate(blocks):
            report = run_block(block, store_url, self._functions, partial(running.update, number))
            running.ended(number)
            corrupt.extend(report.corrupt)
            yield report
        refuse_corrupt(corrupt)

    def close(self) -> None:
        """Nothing is held."""
