"""Saved learner states: shortcuts into an agent's log, each under the hash of its bytes.

The bytes go to the artifact store first, then the row that vouches for them goes to the database. A damaged or lost
snapshot only costs time: an earlier one and more of the log give the same state.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence

from agents.scheduling.state import State, from_bytes, to_bytes
from envsearch.errors import CorruptArtifactError, StoreUnavailableError
from orchestration.runtime.artifacts import ArtifactStore
from orchestration.service.errors import UnavailableError
from orchestration.service.store.roles import SnapshotIndex
from orchestration.service.store.rows import SnapshotRow

LOG = logging.getLogger(__name__)


class Snapshots:
    """Writes, reads and thins out the snapshots of agents.

    Args:
        kept: so many of the newest are always kept. Of the older ones about `kept` stay for each doubling of their age.
    """

    def __init__(self, index: SnapshotIndex, artifacts: ArtifactStore, kept: int) -> None:
        self._index = index
        self._artifacts = artifacts
        self._kept = kept

    def save(self, agent_id: int, owner_epoch: int, seq: int, version: int, settings: str, state: State) -> None:
        """Save the state after event `seq`, and thin out the older ones.

        Raises:
            UnavailableError, NotOwnerError: the state could not be saved; the log still has everything.
        """
        data = to_bytes(state)
        address = hashlib.sha256(data).hexdigest()
        row = SnapshotRow(agent_id, seq, version, time.time(), settings, address, len(data))
        try:
            self._artifacts.put(address, blob_name(row), data)
        except StoreUnavailableError as error:
            raise UnavailableError(str(error)) from error
        self._index.add_snapshot(row, owner_epoch)
        self._thin_out(agent_id)

    def newest(self, agent_id: int, until: int | None = None) -> tuple[SnapshotRow, State] | None:
        """The newest readable snapshot after an event <= `until`, or None."""
        for row in reversed(self._index.snapshots(agent_id)):
            if until is None or row.seq <= until:
                state = self._read(row)
                if state is not None:
                    return row, state
        return None

    def forget(self, rows: Sequence[SnapshotRow]) -> None:
        """Remove the bytes of snapshots whose rows are gone. Bytes that cannot be removed now are left behind."""
        for row in rows:
            try:
                self._artifacts.delete(row.address, blob_name(row))
            except StoreUnavailableError as error:
                LOG.warning("A snapshot that is no longer needed could not be removed: %s", error)

    def _read(self, row: SnapshotRow) -> State | None:
        place = self._artifacts.location(row.address, blob_name(row))
        try:
            data = self._artifacts.get(row.address, blob_name(row))
            if hashlib.sha256(data).hexdigest() != row.address:
                raise CorruptArtifactError("is damaged", place, "the bytes that were written")
            return from_bytes(data, place)
        except FileNotFoundError:
            LOG.warning("Snapshot %s is missing; the agent's log is read from an earlier event.", place)
        except CorruptArtifactError as error:
            LOG.warning("Snapshot cannot be used (%s); the agent's log is read from an earlier event.", error)
        except StoreUnavailableError as error:
            raise UnavailableError(str(error)) from error
        return None

    def _thin_out(self, agent_id: int) -> None:
        rows = self._index.snapshots(agent_id)
        stay = kept_seqs([row.seq for row in rows], self._kept)
        surplus = [row for row in rows if row.seq not in stay]
        if surplus:
            self._index.delete_snapshots(agent_id, [row.seq for row in surplus])
            self.forget(surplus)


def kept_seqs(seqs: Sequence[int], kept: int) -> set[int]:
    """Which of these ascending numbers stay: the last `kept`, and at most `kept` per doubling of age before them.

    An age band of [width, 2 width) has `kept` equal parts, and the first number of each part stays. Parts begin at
    absolute multiples, so the next call keeps the same numbers.
    """
    if len(seqs) <= kept:
        return set(seqs)
    newest = seqs[-1]
    stay, taken = set(seqs[-kept:]), set()
    for seq in seqs[:-kept]:
        grain = max(1, 1 << max(0, (newest - seq).bit_length() - kept.bit_length()))
        if (grain, seq // grain) not in taken:
            taken.add((grain, seq // grain))
            stay.add(seq)
    return stay


def blob_name(row: SnapshotRow) -> str:
    """Name of the bytes under their address."""
    return f"agent-{row.agent_id}-{row.seq}.npz"
