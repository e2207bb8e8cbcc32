"""Reads everything that a store holds, and changes nothing: can this version of Proctor work with it?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from agents.scheduling.episode_codec import episode_from_bytes
from agents.scheduling.state import from_bytes
from envsearch.errors import CorruptArtifactError, InputError
from orchestration.runtime.artifacts import ArtifactStore
from orchestration.service.owners.snapshots import blob_name
from orchestration.service.store.backup import Places
from orchestration.service.store.codec import history_of, metrics_of, restore_of, results_of, rewards_of, settings_of
from orchestration.service.store.compatibility import StoredFormat, StoreState, refuse_empty
from orchestration.service.store.connecting import service_errors
from orchestration.service.store.formats import VERSIONS
from orchestration.service.store.migrating import MIGRATIONS
from orchestration.service.store.reading import read_only, readable_state_of, shown
from orchestration.service.store.rows import EventKind, SnapshotRow
from orchestration.service.store.schema import REVISION, agents, episodes, events, rewards, snapshots

_AT_ONCE = 50
_DAMAGE = (CorruptArtifactError, ValueError, LookupError, TypeError, ArithmeticError)
"""What a reader raises over bytes that it cannot read."""


@dataclass(frozen=True, slots=True)
class _Payload:
    """Where bytes of a kind are stored, and what reads them; `events` of one kind only."""

    kind: str
    column: sa.Column[Any]
    read: Callable[[Any], object]
    event: EventKind | None = None

    @property
    def table(self) -> sa.Table:
        """The table of the column."""
        table: sa.Table = self.column.table
        return table


PAYLOADS = (
    _Payload("settings", agents.c.settings, settings_of),
    _Payload("episode", episodes.c.payload, episode_from_bytes),
    _Payload("settings", events.c.payload, settings_of, EventKind.SETTINGS),
    _Payload("history", events.c.payload, history_of, EventKind.HISTORY),
    _Payload("results", events.c.payload, results_of, EventKind.RESULTS),
    _Payload("restored", events.c.payload, restore_of, EventKind.RESTORED),
    _Payload("rewards", rewards.c.payload, rewards_of),
    _Payload("metrics", rewards.c.metrics, metrics_of),
    _Payload("settings", snapshots.c.settings, settings_of),
)
"""The explicit table of what is read."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What a store holds, all of which can be read.

    Attributes:
        store: its place, without a password.
        revision: of its tables.
        formats: kind of stored bytes -> the versions that the store may hold, and who wrote the newest.
        payloads: kind -> number of payloads that were read.
        states, lost_states: saved learner states that can be read, and that cannot: the log has what these held.
        migrations: what an upgrade does; empty if the store is current.
    """

    store: str
    revision: str
    formats: dict[str, StoredFormat]
    payloads: dict[str, int]
    states: int
    lost_states: int
    migrations: tuple[str, ...]

    @property
    def writers(self) -> tuple[str, ...]:
        """The versions of Proctor whose formats the store holds."""
        return tuple(sorted({entry.written_by for entry in self.formats.values()}))


def examine(places: Places) -> Examined:
    """Read a whole store, whose service may run.

    Raises:
        CorruptArtifactError: something in the store is damaged; names the first.
        InputError: there is no store, it is empty, or another version of Proctor wrote it and this one cannot read it.
        StoreUnavailableError: the saved states cannot be reached.
        UnavailableError: the database cannot be read.
    """
    with service_errors(), read_only(places.store) as connection:
        state = readable_state_of(connection, places.store)
        revision = refuse_empty(state, shown(places.store))
        names = {row.id: row.name for row in connection.execute(sa.select(agents.c.id, agents.c.name))}
        counts = dict.fromkeys((payload.kind for payload in PAYLOADS), 0)
        for payload in PAYLOADS:
            counts[payload.kind] += _read_all(connection, payload, names, places.store)
        states, lost = _read_states(connection, places)
    return Examined(shown(places.store), revision, dict(state.formats), counts, states, lost, tuple(_migrations(state)))


def _read_all(connection: sa.Connection, payload: _Payload, names: dict[int, str], store: str) -> int:
    """Read all payloads of a column; their number."""
    key = list(payload.table.primary_key.columns)
    query = sa.select(*key, payload.column.label("stored")).order_by(*key)
    if payload.event is not None:
        query = query.where(events.c.kind == payload.event.value)
    count = 0
    for row in connection.execution_options(yield_per=_AT_ONCE).execute(query):
        try:
            payload.read(row.stored)
        except _DAMAGE as error:
            agent, *rest = row[:-1]
            keys = ", ".join([f"agent {names.get(agent, agent)}", *(f"{payload.table.name} {part}" for part in rest)])
            raise _unreadable(f"{payload.kind} of {keys} cannot be read ({_reason(error)})", store) from error
        count += 1
    return count


def _read_states(connection: sa.Connection, places: Places) -> tuple[int, int]:
    """Numbers of saved states that can be read, and that cannot."""
    store, newest, lost = ArtifactStore(places.artifacts), dict[int, int](), 0
    rows = connection.execute(sa.select(snapshots).order_by(snapshots.c.seq)).mappings().all()
    for row in (SnapshotRow(**values) for values in rows):
        if _is_readable(store, row):
            newest[row.agent_id] = row.seq
        else:
            lost += 1
    for agent in connection.execute(sa.select(agents.c.id, agents.c.name, agents.c.base_seq)):
        if agent.base_seq and newest.get(agent.id, 0) < agent.base_seq:
            problem = f"agent {agent.name} has no saved state that can be read, and its old events are archived"
            raise _unreadable(problem, places.store)
    return len(rows) - lost, lost


def _is_readable(store: ArtifactStore, row: SnapshotRow) -> bool:
    try:
        data = store.get(row.address, blob_name(row))
        from_bytes(data)
    except (FileNotFoundError, CorruptArtifactError):
        return False
    return hashlib.sha256(data).hexdigest() == row.address


def _unreadable(problem: str, store: str) -> CorruptArtifactError:
    expected = "a backup that is whole, put into a new store with `proctor restore`"
    return CorruptArtifactError(f"{problem}; nothing was changed", "store", expected, shown(store))


def _reason(error: Exception) -> str:
    return error.problem if isinstance(error, InputError) else type(error).__name__


def _migrations(state: StoreState) -> Iterator[str]:
    """What an upgrade does, in order."""
    if state.revision != REVISION:
        from alembic.script import ScriptDirectory

        scripts = ScriptDirectory(str(MIGRATIONS)).iterate_revisions(REVISION, state.revision or "base")
        for script in reversed(list(scripts)):
            yield f"tables {script.revision}: {script.doc.splitlines()[0]}"
    for kind, version in VERSIONS.items():
        entry = state.formats.get(kind)
        if entry is not None and entry.newest < version:
            yield f"format of {kind}: {version} is written from now on; {entry.oldest} to {entry.newest} stay readable"
