"""The owner of a set of agents: the only writer of their state. No Ray in here; one call at a time.

Calls come in batches. A batch is carried out in memory, written in one transaction, and only then answered.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from envsearch.errors import CorruptArtifactError, InputError
from orchestration.runtime.artifacts import ArtifactStore
from orchestration.runtime.logs import about
from orchestration.service.errors import (
    ConflictError,
    InternalError,
    NotFoundError,
    NotOwnerError,
    ServiceError,
    invalid,
)
from orchestration.service.owners.call_statistics import CommitTimes, OwnerStatistics
from orchestration.service.owners.live_agent import LiveAgent
from orchestration.service.owners.owner_call import OwnerAnswer, OwnerCall
from orchestration.service.owners.snapshot_writer import SnapshotWriter
from orchestration.service.owners.snapshots import Snapshots
from orchestration.service.owners.state_recovery import StateRecovery
from orchestration.service.store.registry import state_store
from orchestration.service.store.roles import StateStore

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OwnerSettings:
    """What an owner needs to know.

    Attributes:
        store_url, artifact_url: of the state and of the snapshots.
        snapshot_every: rewards after which a snapshot is saved; it bounds how much of the log is read on waking.
        snapshots_kept: see `Snapshots`.
        agents_in_memory: of one owner; the least recently used are saved and dropped, and come back when called.
        bytes_in_memory: of the histories and the episodes of these agents; the agent that was called last stays,
            however large it is.
    """

    store_url: str
    artifact_url: str
    snapshot_every: int = 100
    snapshots_kept: int = 8
    agents_in_memory: int = 200
    bytes_in_memory: int = 1 << 30


class AgentOwner:
    """See the module.

    Args:
        store, artifacts: opened from the settings where they are not given.
        background: calls do not wait for snapshots.
    """

    def __init__(
        self,
        settings: OwnerSettings,
        store: StateStore | None = None,
        artifacts: ArtifactStore | None = None,
        background: bool = False,
    ) -> None:
        self.settings = settings
        self._store = store if store is not None else state_store(settings.store_url)
        files = artifacts if artifacts is not None else ArtifactStore(settings.artifact_url)
        self._snapshots = Snapshots(self._store, files, settings.snapshots_kept)
        self._saver = SnapshotWriter(self._snapshots, background)
        self._live: OrderedDict[str, LiveAgent] = OrderedDict()
        self._answers: list[OwnerAnswer | ServiceError] = []
        self._unwritten: list[tuple[int, str]] = []
        self.wake_ups = 0
        self._times = CommitTimes()

    @property
    def awake(self) -> int:
        """Agents in memory."""
        return len(self._live)

    def statistics(self) -> OwnerStatistics:
        """Since it was started."""
        return self._times.statistics(self.awake, self.wake_ups)

    def execute(self, calls: Sequence[OwnerCall]) -> list[OwnerAnswer | ServiceError]:
        """The answer to each call, or why it was refused; what is answered is written."""
        self._answers, self._unwritten = [], []
        for index, call in enumerate(calls):
            self._answers.append(self._perform(index, call))
        with contextlib.suppress(ServiceError):  # it has replaced the answers that it concerns
            self._write()
        answers, self._answers = self._answers, []
        self._keep_within_bounds(dict.fromkeys(call.agent for call in calls))
        return answers

    def passivate(self) -> None:
        """Save all agents and drop them from memory. What cannot be saved is still in the log."""
        for name in list(self._live):
            self._drop(name)

    def rest(self, name: str) -> None:
        """Save one agent and drop it from memory."""
        self._drop(name)

    def forget(self, name: str) -> None:
        """Drop a deleted agent from memory."""
        self._live.pop(name, None)

    # -- inside -----------------------------------------------------------------------------------------------------

    def _perform(self, index: int, call: OwnerCall) -> OwnerAnswer | ServiceError:
        with about(call.agent, call.episode_id, call.request):
            return self._carry_out(index, call)

    def _carry_out(self, index: int, call: OwnerCall) -> OwnerAnswer | ServiceError:
        try:
            answer = self._awake(call.agent).perform(call)
        except InputError as error:
            if isinstance(error, CorruptArtifactError):
                return self._broken(call.agent, error)
            return invalid(error)
        except ServiceError as error:
            return error
        except Exception as error:  # noqa: BLE001 - one call's defect must not take the owner down with it
            return self._broken(call.agent, error)
        self._unwritten.append((index, call.agent))
        LOG.debug("%s was carried out", call.kind)
        return answer

    def _awake(self, name: str) -> LiveAgent:
        live = self._live.get(name)
        if live is None:
            row = self._store.take_over(name)
            if row is None:
                raise NotFoundError(f"there is no agent {name!r}", "agent")
            folded = StateRecovery(self._store, row, self._snapshots).to()
            live = self._live[name] = LiveAgent(self._store, self._snapshots, row, folded, self._write)
            self.wake_ups += 1
            LOG.info("The agent is woken at version %d", live.version)
        self._live.move_to_end(name)
        return live

    def _broken(self, name: str, error: Exception) -> ServiceError:
        """Something that must not happen: what was done before is written, the memory is thrown away."""
        LOG.error("A call for agent %s failed: %s", name, error, exc_info=error)
        try:
            self._write()
        except ServiceError as failed:
            LOG.error("The events before the failed call could not be written either: %s", failed)
        self._live.pop(name, None)
        return InternalError(f"the service failed on this call ({type(error).__name__}); its log says more")

    def _write(self) -> None:
        """Write everything pending; if that fails, the answers it was for become the error.

        Raises:
            ServiceError: nothing was written.
        """
        pending = [(live, commit) for live in self._live.values() if (commit := live.take_pending()) is not None]
        unwritten, self._unwritten = self._unwritten, []
        if not pending:
            return
        started = time.perf_counter()
        try:
            self._store.commit([commit for _, commit in pending])
            self._times.note(time.perf_counter() - started)
        except ServiceError as error:
            refusal = error
            if isinstance(error, ConflictError):
                refusal = NotOwnerError(f"the store is ahead of this owner ({error.detail})")
            names = {live.name for live, _ in pending}
            for index, name in unwritten:
                if name in names:
                    self._answers[index] = refusal
            for name in names:
                self._live.pop(name, None)
            raise refusal from error

    def _keep_within_bounds(self, used: dict[str, None]) -> None:
        every = self.settings.snapshot_every
        for name in used:
            live = self._live.get(name)
            if live is None:
                continue
            rewards, others = live.version - live.snapshot_version, live.seq - live.snapshot_seq
            due = rewards >= every or others >= 4 * every or live.restored
            if due and not self._saver.save(live):
                self._live.pop(name, None)
            live.measure()
        while len(self._live) > self.settings.agents_in_memory or (
            len(self._live) > 1 and self._bytes() > self.settings.bytes_in_memory
        ):
            self._drop(next(iter(self._live)))

    def _bytes(self) -> int:
        return sum(live.size for live in self._live.values())

    def _drop(self, name: str) -> None:
        live = self._live.pop(name, None)
        if live is not None:
            self._saver.save(live, wait=True)
