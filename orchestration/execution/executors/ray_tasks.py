"""Every block is a Ray task with one CPU; a bounded number is in flight."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Iterable, Iterator
from typing import Any

from envsearch.errors import CampaignStoppedError, ProctorError
from orchestration.execution.block_progress import Partly
from orchestration.execution.executors.base import refuse_corrupt
from orchestration.execution.executors.block_reports import ASKED_EVERY, Watch, last_words, teller
from orchestration.execution.results import ResultStore
from orchestration.execution.tasks import DEFAULT_PARTS, Parts, run_block
from orchestration.execution.work import BlockReport, JobOutcome, TrainBlock, WorkBlock, item_addresses
from orchestration.runtime.ray import ONE_THREAD, RayRuntime, extend_search_path, search_path, start_ray, stop_ray

QUEUED = 256
"""Blocks in flight at least, where a cluster is not this process's own: waiting tasks are what makes it grow."""

CPUS_KNOWN_SECONDS = 1.0
"""How long the number of the cluster's CPUs is believed: asking takes as long as submitting several tasks."""


Numbered = tuple[WorkBlock, int]
"""A block and its number within its run."""


class RayExecutor:
    """Fans blocks out over a Ray cluster, which it starts on this machine unless there is one.

    Args:
        cpus: CPUs to use; all of the cluster's by default.
        address: of an existing cluster; see `start_ray`.
        ahead: blocks in flight per CPU. Two keep a worker fed while its report travels.
        max_retries: how often a block is run again after its worker died (kill, out of memory, lost node).
        parts: what the work is done with.

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
        parts: Parts = DEFAULT_PARTS,
    ) -> None:
        self._runtime: RayRuntime = start_ray(cpus, address)
        self._limit = cpus
        self._ahead = ahead
        self._max_retries = max_retries
        self._parts = parts
        self._cpus = (0.0, 1)
        self._last_words: Any = None

    @property
    def slots(self) -> int:
        """CPUs of the cluster now (it may grow), or the fewer that were asked for."""
        available = self._available()
        return min(self._limit, available) if self._limit else available

    def _available(self) -> int:
        now = time.monotonic()
        if now >= self._cpus[0]:
            self._cpus = (now + CPUS_KNOWN_SECONDS, _cluster_cpus())
        return self._cpus[1]

    def run(self, blocks: Iterable[WorkBlock], store_url: str, partly: Partly | None = None) -> Iterator[BlockReport]:
        """See `Executor.run`. A block whose worker dies once too often is reported as failed, with the reason."""
        import ray

        store = ResultStore(store_url)
        mark = "" if self._runtime.owned else store.mark()
        submit = functools.partial(
            self._task().remote, store_url=store.url, parts=self._parts, folders=search_path(), mark=mark
        )
        source = zip(blocks, itertools.count())
        running: dict[Any, Numbered] = {}
        corrupt: list[str] = []
        watch: Watch | None = None
        try:
            while True:
                for block, number in self._some(source, len(running)):
                    if watch is None and partly is not None and isinstance(block, TrainBlock):
                        watch = self._watch(partly)
                    actor = None if watch is None else watch.actor
                    running[submit(block, actor=actor, number=number)] = (block, number)
                if not running:
                    break
                for done in _ended(running, watch):
                    block, number = running.pop(done)
                    report = _report(done, block, store)
                    corrupt.extend(report.corrupt)
                    if watch is not None:
                        watch.ended(number)
                    yield report
        finally:
            for reference in running:  # only after an interruption; a plain cancel would wait for the item's end
                ray.cancel(reference, force=True)
        refuse_corrupt(corrupt)

    def close(self) -> None:
        """End Ray if it was started here."""
        self._last_words = None  # an actor ends with the last handle to it
        stop_ray(self._runtime)

    def _task(self) -> Any:
        import ray

        # A local cluster's workers inherit these variables; those of an existing one must be told.
        environment = {} if self._runtime.owned else {"runtime_env": {"env_vars": ONE_THREAD}}
        return ray.remote(_run).options(num_cpus=1, max_retries=self._max_retries, name="proctor block", **environment)

    def _watch(self, partly: Partly) -> Watch:
        """The executor's one actor, watched for this run."""
        if self._last_words is None:
            self._last_words = last_words()
        return Watch(self._last_words, partly)

    def _some(self, source: Iterator[Numbered], running: int) -> Iterator[Numbered]:
        """As many more blocks as are wanted in flight."""
        return itertools.islice(source, max(0, self._wanted() - running))

    def _wanted(self) -> int:
        """Blocks in flight. Where other CPUs were asked for than there are (now), queueing would use more of them."""
        available = self._available()
        if self._limit and self._limit != available:
            return self._limit
        return available * self._ahead if self._runtime.owned or self._limit else max(available * self._ahead, QUEUED)


def _ended(running: dict[Any, Numbered], watch: Watch | None) -> list[Any]:
    """Wait for a block to end; it, and all others that have ended by then (thousands of small ones end at once)."""
    import ray

    first: list[Any] = []
    while not first:
        first, rest = ray.wait(list(running), num_returns=1, timeout=ASKED_EVERY if watch else None)
        if watch is not None:
            watch.listen({number for _, number in running.values()})
    more = ray.wait(rest, num_returns=len(rest), timeout=0)[0] if rest else []
    return [*first, *more]


def _cluster_cpus() -> int:
    import ray

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return max(1, int(resources.get("CPU", 1)))


def _run(
    block: WorkBlock,
    store_url: str,
    parts: Parts,
    folders: tuple[str, ...],
    mark: str,
    actor: Any = None,
    number: int = 0,
) -> BlockReport:
    extend_search_path(folders)
    if mark:
        ResultStore(store_url).check_mark(mark)
    return run_block(block, store_url, parts, teller(actor, number) if actor is not None else None)


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
            "Ray on this machine has ended (its raylet died: a full memory, or a kill); what was finished is kept, and "
            "the same command again goes on from there"
        ) from error
    return report


def _lost(block: WorkBlock, store: ResultStore, reason: str) -> BlockReport:
    """The report that the dead worker could not give: what it had saved is done, the rest failed."""
    failed = []
    for address in item_addresses(block):
        if not store.done(address):
            store.save_failure(address, reason)
            failed.append((address, reason))
    return BlockReport(block, JobOutcome.FAILED if failed else JobOutcome.DONE, 0.0, tuple(failed))
