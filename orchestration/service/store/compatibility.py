"""Whether this version of Proctor can read a store: decided before anything in it is changed.

A store's table `formats` names, for each kind of stored bytes, the oldest and the newest format that it may hold.
Release 0.1.0 and its forerunners recorded nothing; the bytes of the episodes tell their stores apart.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from envsearch.errors import InputError
from orchestration.service.store.formats import FORMATS, UNRECORDED, VERSIONS
from orchestration.service.store.schema import REVISION, episodes, formats

FIRST_RELEASE = "0.1.0"
_UNRELEASED = b"PEP1"  # begins an episode in a format that no release wrote


@dataclass(frozen=True, slots=True)
class StoredFormat:
    """The formats of one kind of bytes in a store.

    Attributes:
        oldest, newest: versions that the store may hold.
        written_by: the version of Proctor that introduced the newest one.
    """

    oldest: int
    newest: int
    written_by: str


@dataclass(frozen=True, slots=True)
class StoreState:
    """How a store is written.

    Attributes:
        revision: the newest migration of its tables; None: an empty database.
        formats: kind of stored bytes -> formats; empty for an empty database.
    """

    revision: str | None
    formats: Mapping[str, StoredFormat]

    @property
    def is_current(self) -> bool:
        """Whether this version of Proctor writes the same tables and formats."""
        newest = {kind: entry.newest for kind, entry in self.formats.items()}
        return self.revision == REVISION and newest == VERSIONS


def store_state(connection: sa.Connection) -> StoreState:
    """How the store behind the connection is written."""
    tables = set(sa.inspect(connection).get_table_names())
    if "alembic_version" not in tables:
        return StoreState(None, {})
    number = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    if formats.name in tables:
        rows = connection.execute(sa.select(formats)).all()
        stored = {row.kind: StoredFormat(row.oldest, row.newest, row.written_by) for row in rows}
    elif episodes.name in tables:
        stored = unrecorded_formats(_unreleased_episodes(connection))
    else:
        stored = {}
    return StoreState(None if number is None else str(number), stored)


def unrecorded_formats(episode_starts: Iterable[bytes]) -> dict[str, StoredFormat]:
    """Kind -> formats of a store that does not record them.

    Args:
        episode_starts: the first four bytes of its episodes; those of the oldest are enough.
    """
    stored = {kind: StoredFormat(version, version, FIRST_RELEASE) for kind, version in UNRECORDED.items()}
    if _UNRELEASED in episode_starts:
        stored["episode"] = StoredFormat(1, UNRECORDED["episode"], f"before {FIRST_RELEASE}")
    return stored


def refuse_unreadable(state: StoreState, place: str) -> None:
    """Raise if this version of Proctor cannot read the store.

    Args:
        place: of the store, for the error.

    Raises:
        InputError: the store is too old or too new; names both versions, and what to do.
    """
    refuse_formats(state.formats, place)
    if state.revision is not None and state.revision > REVISION:
        held, read = f"tables of revision {state.revision}", f"revision {REVISION}"
        raise _refusal("a newer Proctor", held, read, "that version", place)


def refuse_empty(state: StoreState, place: str) -> str:
    """The revision of the store's tables.

    Raises:
        InputError: it has none.
    """
    if state.revision is None:
        raise InputError("holds no tables", "store", "the store of a service; `proctor serve` makes its tables", place)
    return state.revision


def refuse_formats(stored: Mapping[str, StoredFormat], place: str, field: str = "store") -> None:
    """Raise if one of the formats cannot be read.

    Args:
        place, field: where they are stored, for the error.

    Raises:
        InputError: a format is too old or too new.
    """
    for kind, entry in stored.items():
        current, writer = VERSIONS.get(kind, 0), f"Proctor {entry.written_by}"
        if entry.newest > current:
            read = f"format {current}" if current else "no such data"
            raise _refusal(writer, f"{kind}: format {entry.newest}", read, f"{writer} or newer", place, field)
        oldest = FORMATS.oldest(kind)
        if entry.oldest < oldest:
            read = f"format {oldest}" if oldest == current else f"formats {oldest} to {current}"
            reader = "a new store, or the Proctor that wrote this one"
            raise _refusal(writer, f"{kind}: format {entry.oldest}", read, reader, place, field)


def refuse_unreadable_file(file: Path) -> None:
    """The same for a SQLite file, which is left untouched, as are its neighbours; missing and damaged files pass."""
    if not file.exists() or not file.stat().st_size:
        return
    try:
        with untouched(file) as connection:
            state = store_state(connection)
    except (DBAPIError, OSError):
        return  # whoever opens the file meets the same error and reports it
    refuse_unreadable(state, str(file))


def record_formats(connection: sa.Connection, stored: Mapping[str, StoredFormat]) -> None:
    """Record that this version of Proctor writes to the store from now on.

    Args:
        stored: the formats that the store held so far.
    """
    rows = []
    for kind, version in VERSIONS.items():
        entry = stored.get(kind, StoredFormat(version, 0, ""))
        writer = entry.written_by if entry.newest == version else _program_version()
        rows.append({"kind": kind, "oldest": entry.oldest, "newest": version, "written_by": writer})
    connection.execute(sa.delete(formats))
    connection.execute(sa.insert(formats), rows)


def _program_version() -> str:
    try:
        return metadata.version("proctor")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _refusal(writer: str, held: str, read: str, reader: str, place: str, field: str = "store") -> InputError:
    problem = f"was written by {writer} ({held}) and was left unchanged; Proctor {_program_version()} reads {read}"
    return InputError(problem, field, reader, place)


def _unreleased_episodes(connection: sa.Connection) -> list[bytes]:
    """The first bytes of an episode in the unreleased format, if there is such an episode."""
    start = sa.func.substr(episodes.c.payload, 1, len(_UNRELEASED), type_=sa.LargeBinary)
    return list(connection.execute(sa.select(start).where(start == _UNRELEASED).limit(1)).scalars())


@contextmanager
def untouched(file: Path) -> Iterator[sa.Connection]:
    """A connection that neither changes nor creates a file, not even a lock.

    Transactions that are still in the write-ahead log are read through its index. A log without an index cannot be
    opened read-only, so it is read in a copy.
    """
    log, index = Path(f"{file}-wal"), Path(f"{file}-shm")
    if not log.exists() or not log.stat().st_size:
        with _read_only(file, "&immutable=1") as connection:
            yield connection
    elif index.exists():
        with _read_only(file, "&readonly_shm=1") as connection:
            yield connection
    else:
        with tempfile.TemporaryDirectory() as folder:
            for path in (file, log):
                shutil.copyfile(path, Path(folder) / path.name)
            with _read_only(Path(folder) / file.name, "") as connection:
                yield connection


@contextmanager
def _read_only(file: Path, option: str) -> Iterator[sa.Connection]:
    uri = f"file:{quote(str(file))}?mode=ro{option}"
    engine = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection
