"""Every block is a Ray task with one CPU; a bounded number is in flight."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Iterable, Iterator
from typing import Any

from envsearch.errors import CampaignStoppedError, ProctorError
from orchestration.execution.block_progress import ProgressCallback
from orchestration.execution.executors.base import refuse_corrupt
from orchestration.execution.executors.progress_reports import (
    POLL_SECONDS,
    ProgressPoller,
    reporter_of,
    start_progress_reports,
)
from orchestration.execution.results import ResultStore
from orchestration.execution.tasks import DEFAULT_FUNCTIONS, TaskFunctions, run_block
from orchestration.execution.work import BlockReport, JobOutcome, TrainBlock, WorkBlock, item_addresses
from orchestration.runtime.ray import (
    ONE_THREAD,
    RayRuntime,
    abandon,
    extend_search_path,
    search_path,
    start_ray,
    stop_ray,
)

QUEUED = 256
"""Blocks in flight at least, where a cluster is not this process's own: waiting tasks are what makes it grow."""

CPU_CACHE_SECONDS = 1.0
"""How long the number of the cluster's CPUs is cached: asking takes as long as submitting several tasks."""


Numbered = tuple[WorkBlock, int]
"""A block and its number within its run."""


class RayExecutor:
    """Fans blocks out over a Ray cluster, which it starts on this machine unless there is one.

    Args:
        cpus: CPUs to use; all of the cluster's by default.
        address: of an existing cluster; see `start_ray`.
        ahead: blocks in flight per CPU. Two keep a worker fed while its report travels.
        max_retries: how often a block is run again after its worker died (kill, out of memory, lost node).
        functions: what does the work.

    Raises:
        InputError: see `start_ray`.
    """

    name = "ray"

    def __init__(
        self,
        cpus: int | None = None,
        address: str | None = None,
        ahead: int = 2,
        max_retries: int = 3,
        functions: TaskFunctions = DEFAULT_FUNCTIONS,
    ) -> None:
        self._runtime: RayRuntime = start_ray(cpus, address)
        self._limit = cpus
        self._ahead = ahead
        self._max_retries = max_retries
        self._functions = functions
        self._cpus = (0.0, 1)
        self._reports: Any = None

    @property
    def slots(self) -> int:
        """CPUs of the cluster now (it may grow), or fewer if fewer were requested."""
        available = self._available()
        return min(self._limit, available) if self._limit else available

    def _available(self) -> int:
        now = time.monotonic()
        if now >= self._cpus[0]:
            self._cpus = (now + CPU_CACHE_SECONDS, _cluster_cpus())
        return self._cpus[1]

    def run(
        self, blocks: Iterable[WorkBlock], store_url: str, progress: ProgressCallback | None = None
    ) -> Iterator[BlockReport]:
        """See `Executor.run`. A block whose worker dies once too often is reported as failed, with the reason."""
        store = ResultStore(store_url)
        mark = "" if self._runtime.owned else store.mark()
        submit = functools.partial(
            self._task().remote, store_url=store.url, functions=self._functions, folders=search_path(), mark=mark
        )
        source = zip(blocks, itertools.count())
        running: dict[Any, Numbered] = {}
        corrupt: list[str] = []
        poller: ProgressPoller | None = None
        try:
            while True:
                for block, number in self._some(source, len(running)):
                    if poller is None and progress is not None and isinstance(block, TrainBlock):
                        poller = self._poller(progress)
                    actor = None if poller is None else poller.actor
                    running[submit(block, actor=actor, number=number)] = (block, number)
                if not running:
                    break
                for done in _ended(running, poller):
                    block, number = running.pop(done)
                    report = _report(done, block, store)
                    corrupt.extend(report.corrupt)
                    if poller is not None:
                        poller.ended(number)
                    yield report
        finally:
            abandon(running, self._runtime)  # only after an interruption
        refuse_corrupt(corrupt)

    def close(self) -> None:
        """End Ray if it was started here."""
        self._reports = None  # an actor ends with the last handle to it
        stop_ray(self._runtime)

    def _task(self) -> Any:
        import ray

        # A local cluster's workers inherit these variables; those of an existing cluster get them with each task.
        environment = {} if self._runtime.owned else {"runtime_env": {"env_vars": ONE_THREAD}}
        return ray.remote(_run).options(num_cpus=1, max_retries=self._max_retries, name="proctor block", **environment)

    def _poller(self, progress: ProgressCallback) -> ProgressPoller:
        """Polls the executor's one actor for this run."""
        if self._reports is None:
            self._reports = start_progress_reports()
        return ProgressPoller(self._reports, progress)

    def _some(self, source: Iterator[Numbered], running: int) -> Iterator[Numbered]:
        """As many more blocks as should be in flight."""
        return itertools.islice(source, max(0, self._in_flight() - running))

    def _in_flight(self) -> int:
        """Blocks in flight. Where another number of CPUs was requested than exists now, queueing would use too many."""
        available = self._available()
        if self._limit and self._limit != available:
            return self._limit
        return available * self._ahead if self._runtime.owned or self._limit else max(available * self._ahead, QUEUED)


def _ended(running: dict[Any, Numbered], poller: ProgressPoller | None) -> list[Any]:
    """Wait for a block to end; return it and all others that have ended by then (small blocks end by the thousand)."""
    import ray

    first: list[Any] = []
    while not first:
        first, rest = ray.wait(list(running), num_returns=1, timeout=POLL_SECONDS if poller else None)
        if poller is not None:
            poller.poll({number for _, number in running.values()})
    more = ray.wait(rest, num_returns=len(rest), timeout=0)[0] if rest else []
    return [*first, *more]


def _cluster_cpus() -> int:
    import ray

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return max(1, int(resources.get("CPU", 1)))


def _run(
    block: WorkBlock,
    store_url: str,
    functions: TaskFunctions,
    folders: tuple[str, ...],
    mark: str,
    actor: Any = None,
    number: int = 0,
) -> BlockReport:
    extend_search_path(folders)
    if mark:
        ResultStore(store_url).check_mark(mark)
    return run_block(block, store_url, functions, reporter_of(actor, number) if actor is not None else None)


def _report(reference: Any, block: WorkBlock, store: ResultStore) -> BlockReport:
    import ray
    from ray import exceptions

    lost = (
        exceptions.WorkerCrashedError,
        exceptions.OutOfMemoryError,
        exceptions.NodeDiedError,
        exceptions.ObjectLostError,
    )
    try:
        report: BlockReport = ray.get(reference)
    except lost as error:
        return _lost(block, store, f"{type(error).__name__}: {error}")
    except exceptions.RayTaskError as error:
        if isinstance(error.cause, ProctorError):  # the store failed: one line, not Ray's wrapping of it
            raise error.cause from error
        raise
    except exceptions.LocalRayletDiedError as error:
        raise CampaignStoppedError(
            "Ray on this machine has ended (its raylet died: out of memory, or killed); finished work is kept, and "
            "the same command continues from there"
        ) from error
    return report


def _lost(block: WorkBlock, store: ResultStore, reason: str) -> BlockReport:
    """The report for a dead worker: what it had saved is done, the rest failed."""
    failed = []
    for address in item_addresses(block):
        if not store.done(address):
            store.save_failure(address, reason)
            failed.append((address, reason))
    return BlockReport(block, JobOutcome.FAILED if failed else JobOutcome.DONE, 0.0, tuple(failed))
