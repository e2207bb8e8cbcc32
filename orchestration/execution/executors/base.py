"""What an executor is: blocks of work -> reports, as they complete."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from envsearch.errors import CorruptArtifactError
from orchestration.execution.block_progress import ProgressCallback
from orchestration.execution.work import BlockReport, WorkBlock


class Executor(Protocol):
    """Runs blocks somewhere. Results go to the store; the reports only say whether it worked.

    Attributes:
        name: in the table of executors.
        slots: blocks that run at once.
    """

    name: str

    @property
    def slots(self) -> int:
        """Blocks that run at once."""
        ...

    def run(
        self, blocks: Iterable[WorkBlock], store_url: str, progress: ProgressCallback | None = None
    ) -> Iterator[BlockReport]:
        """Run every block once and yield its report when it ends, in any order.

        `blocks` is drawn lazily, a bounded number ahead. A failing item is in its block's report, the others go on.
        When the iterator is closed or interrupted, running blocks are cancelled; what they had saved stays.

        Args:
            progress: between two reports it gets, every few seconds, the progress of the running blocks where known.

        Raises:
            CorruptArtifactError: after the last report, if stored files could not be read back.
            StoreUnavailableError: the store itself fails.
            KeyboardInterrupt: Ctrl-C or SIGTERM.
        """
        ...

    def close(self) -> None:
        """Release the executor's resources; it is not used afterwards."""
        ...


def refuse_corrupt(corrupt: list[str]) -> None:
    """End a run in which stored files could not be read back, with one line.

    Raises:
        CorruptArtifactError: there was one.
    """
    if corrupt:
        others = len(set(corrupt)) - 1
        raise CorruptArtifactError(corrupt[0] + (f" (and {others} more)" if others else ""))
