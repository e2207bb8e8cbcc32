"""From a store of an older version of Proctor to the tables and formats of this one, with a backup first.

Everything is read before anything is changed. Migrations only add tables and columns, so an old service that is still
running on the store goes on until it is replaced. Stored bytes stay as they are; upcasts bring them forward as they
are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from agents.scheduling.registry import import_paths
from envsearch.errors import ProctorError
from orchestration.runtime.artifacts import ArtifactStore
from orchestration.service.owners.snapshots import Snapshots
from orchestration.service.owners.state_recovery import StateRecovery
from orchestration.service.store.backup import Copied, Places, back_up
from orchestration.service.store.codec import settings_of
from orchestration.service.store.connecting import absolute_url, connect, service_errors
from orchestration.service.store.examining import Examined, examine
from orchestration.service.store.migrating import prepare
from orchestration.service.store.rows import AgentRow
from orchestration.service.store.tables.agents import SqlAgents
from orchestration.service.store.tables.event_log import SqlEventLog
from orchestration.service.store.tables.offloading import SqlOffloading
from orchestration.service.store.tables.snapshots import SqlSnapshots

_ALL = 1 << 40
"""Snapshots that are kept: an upgrade removes none."""

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade did.

    Attributes:
        examined: the store before it.
        backup: None: the store was current, and nothing was done.
        saved: agents whose state was saved before the tables were migrated.
        unsaved: agent -> why its state could not be saved; its log has everything.
    """

    examined: Examined
    backup: Copied | None
    saved: tuple[str, ...]
    unsaved: dict[str, str]


class _Unmigrated(SqlAgents, SqlEventLog, SqlOffloading, SqlSnapshots):
    """The roles whose tables are the same in every store that can be read."""


def upgrade(places: Places, destination: Path) -> Upgraded:
    """Upgrade a store, after a backup into a new folder.

    Raises:
        InputError: the store cannot be read, or there is no store, or the folder exists; nothing was changed.
        StoreUnavailableError, UnavailableError: a place cannot be read or written.
    """
    examined = examine(places)
    if not examined.migrations:
        return Upgraded(examined, None, (), {})
    copied = back_up(places, destination)
    engine = connect(absolute_url(places.store))
    try:
        saved, unsaved = _save_states(engine, places.artifacts)
        with service_errors():
            prepare(engine)
    finally:
        engine.dispose()
    return Upgraded(examined, copied, tuple(saved), unsaved)


def _save_states(engine: sa.Engine, artifacts: str) -> tuple[list[str], dict[str, str]]:
    """Save the state of every agent after its newest event: who was saved, and why others could not be."""
    store, saved, unsaved, after = _Unmigrated(engine), list[str](), dict[str, str](), ""
    snapshots = Snapshots(store, ArtifactStore(artifacts), _ALL)
    while page := store.agents(after, _PAGE):
        for row in page:
            try:
                if _save(store, snapshots, row):
                    saved.append(row.name)
            except ProctorError as error:
                unsaved[row.name] = str(error)
        after = page[-1].name
    return saved, unsaved


def _save(store: _Unmigrated, snapshots: Snapshots, row: AgentRow) -> bool:
    """Save the agent's state; False: its newest snapshot has it already.

    Raises:
        ProctorError: the state cannot be recovered or saved.
    """
    paths = ", ".join(import_paths(settings_of(row.settings)).values())
    if paths:
        raise ProctorError(f"an upgrade does not run the code that it names ({paths})")
    newest = snapshots.newest(row.id)
    if newest is not None and newest[0].seq == row.last_seq:
        return False
    state = StateRecovery(store, row, snapshots).to(row.last_seq)
    snapshots.save(row.id, row.owner_epoch, state.seq, row.version, row.settings, state.scheduler.state())
    return True
