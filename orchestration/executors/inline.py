"""One block after another in this process: for the debugger, for notebooks, for one core."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestration.executors.base import refuse_corrupt
from orchestration.tasks import DEFAULT_PARTS, Parts, run_block
from orchestration.work import BlockReport, WorkBlock


class InlineExecutor:
    """Runs blocks in the caller's thread.

    Args:
        parts: what the work is done with.
    """

    name = "inline"
    slots = 1

    def __init__(self, parts: Parts = DEFAULT_PARTS) -> None:
        self._parts = parts

    def run(self, blocks: Iterable[WorkBlock], store_url: str) -> Iterator[BlockReport]:
        """See `Executor.run`."""
        corrupt: list[str] = []
        for block in blocks:
            report = run_block(block, store_url, self._parts)
            corrupt.extend(report.corrupt)
            yield report
        refuse_corrupt(corrupt)

    def close(self) -> None:
        """Nothing is held."""
