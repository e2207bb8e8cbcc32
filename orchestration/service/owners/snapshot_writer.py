"""Saves snapshots beside an owner's calls: a snapshot takes as long as dozens of calls, and no answer waits for one.

The state is copied between two calls; what goes to the disk, and to the database, goes from a thread of its own, one
snapshot after another. A snapshot is a shortcut into the log and nothing else, so one that is lost with the process
loses nothing.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from agents.scheduling.state import State
from orchestration.service.errors import NotOwnerError, UnavailableError
from orchestration.service.owners.live_agent import LiveAgent
from orchestration.service.owners.snapshots import Snapshots

LOG = logging.getLogger(__name__)


class SnapshotWriter:
    """See the module.

    Args:
        background: without it every call waits for its snapshot.
    """

    def __init__(self, snapshots: Snapshots, background: bool) -> None:
        self._snapshots = snapshots
        self._background = background
        self._thread = ThreadPoolExecutor(1, "snapshots") if background else None

    def save(self, live: LiveAgent, wait: bool = False) -> bool:
        """Save the agent's state, unless the newest snapshot holds it. Everything must be written.

        Args:
            wait: until this snapshot and all earlier ones are saved.

        Returns:
            False: the agent has another owner.
        """
        if live.seq == live.snapshot_seq:
            return self._thread is None or not wait or self._thread.submit(bool, True).result()
        before = live.snapshot_seq, live.snapshot_version, live.restored
        live.snapshot_seq, live.snapshot_version, live.restored = live.seq, live.version, False
        state = _copied(live.scheduler.state())
        settings, epoch, seq, version = live.settings_text, live.row.owner_epoch, live.seq, live.version

        def run() -> bool:
            try:
                self._snapshots.save(live.row.id, epoch, seq, version, settings, state)
            except NotOwnerError:
                return False
            except UnavailableError as error:
                live.snapshot_seq, live.snapshot_version, live.restored = before
                LOG.warning("Agent %s could not be saved (%s); its log is complete.", live.name, error)
            return True

        if self._thread is None:
            return run()
        saving = self._thread.submit(run)
        return saving.result() if wait else True


def _copied(state: State) -> State:
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in state.items()}
