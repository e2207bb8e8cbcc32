"""A copy of the service's whole state in a folder: tables, saved learner states, archive, and a manifest with hashes.

    DEST/manifest.json           written last; names every other file with its size and SHA-256, and the formats
    DEST/tables/NAME.jsonl.gz    one row per line; bytes in base64
    DEST/states/ADDRESS-NAME     saved learner states
    DEST/archive/...             the archive, unchanged

The tables are read in one transaction: the copy shows a single moment while the service goes on. Files that the service
adds or removes meanwhile do no harm: states are shortcuts into the log, and pieces of the archive never change.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from envsearch.canonical import canonical_json
from envsearch.errors import CorruptArtifactError, InputError, ProctorError, StoreUnavailableError
from orchestration.runtime.artifacts import ArtifactStore
from orchestration.service.owners.snapshots import blob_name
from orchestration.service.store.compatibility import refuse_empty, store_state
from orchestration.service.store.connecting import absolute_url, connect
from orchestration.service.store.migrating import readable_state
from orchestration.service.store.rows import SnapshotRow
from orchestration.service.store.schema import agents, audit, episodes, events, rewards, snapshots, tokens

FORMAT = 1
MANIFEST = "manifest.json"
TABLES = (agents, episodes, events, rewards, snapshots, tokens, audit)
"""In the order in which they are restored. Owners are left out: they are processes of the moment."""

TRIES = 3
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Places:
    """Where a service keeps its state: URLs of its store, its saved states and its archive ("": none)."""

    store: str
    artifacts: str
    archive: str = ""


@dataclass(frozen=True, slots=True)
class Copied:
    """What a backup holds, or what was restored.

    Attributes:
        rows: by table.
        states, archived: files.
        size: bytes of all files.
    """

    rows: dict[str, int]
    states: int
    archived: int
    size: int


class _MovedOnError(ProctorError):
    """A file that the copy needs disappeared while the copy was made."""


def back_up(places: Places, destination: Path) -> Copied:
    """Copy the state of a service, which may be running, into a new folder; complete or not at all.

    A store that an older version of Proctor wrote is copied as it is, if this version can read it.

    Raises:
        InputError: the folder exists, there is no store, or another version of Proctor wrote it.
        StoreUnavailableError: a place cannot be read or written.
    """
    if destination.exists():
        raise InputError("already exists", "DEST", "the name of a new folder", str(destination))
    engine = _opened(places.store)
    temporary = destination.with_name(f".{destination.name}.{uuid.uuid4().hex}.tmp")
    try:
        for turn in range(TRIES):
            try:
                copied = _copy(engine, places, temporary)
                break
            except _MovedOnError as error:
                shutil.rmtree(temporary, ignore_errors=True)
                if turn == TRIES - 1:
                    raise StoreUnavailableError(
                        str(error), "store", "a retry when fewer calls arrive", places.store
                    ) from error
        temporary.rename(destination)
    except (OSError, SQLAlchemyError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or f"{type(error).__name__}"
        raise StoreUnavailableError(f"cannot be copied ({reason})", "", "", str(destination)) from error
    finally:
        engine.dispose()
        shutil.rmtree(temporary, ignore_errors=True)
    return copied


def _opened(store: str) -> sa.Engine:
    url = absolute_url(store)
    file = sa.make_url(url).database if url.startswith("sqlite") else None
    if file is not None and not Path(file).exists():
        raise InputError("there is no such store", "store", "the store of a service", store)
    engine = connect(url)
    try:
        refuse_empty(readable_state(engine), store)
    except InputError:
        engine.dispose()
        raise
    except SQLAlchemyError as error:
        raise StoreUnavailableError(f"cannot be read ({type(error).__name__})", "store", "", store) from error
    return engine


def _copy(engine: sa.Engine, places: Places, folder: Path) -> Copied:
    rows: dict[str, int] = {}
    (folder / "tables").mkdir(parents=True)
    reading = engine
    if engine.dialect.name == "postgresql":
        reading = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with reading.connect() as connection, connection.begin():
        last_agent_id, state = _last_agent_id(connection), store_state(connection)
        kept = _copy_states(connection, places.artifacts, folder / "states")
        for table in _stored_tables(connection):
            keep = kept.__contains__ if table.name == snapshots.name else None
            rows[table.name] = _write_table(connection, table, folder / "tables" / f"{table.name}.jsonl.gz", keep)
    archived = _copy_archive(places.archive, folder / "archive")
    files = {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": digest_of(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    body = {
        "revision": state.revision,
        "formats": {kind: asdict(entry) for kind, entry in state.formats.items()},
        "made_at": time.time(),
        "last_agent_id": last_agent_id,
        "rows": rows,
        "files": files,
    }
    _write(folder / MANIFEST, json.dumps({"format": FORMAT, "sha256": body_digest(body), "body": body}).encode())
    size = sum(int(str(entry["size"])) for entry in files.values())
    return Copied(rows, sum(name.startswith("states/") for name in files), archived, size)


def _stored_tables(connection: sa.Connection) -> list[sa.Table]:
    """The tables with the columns that the store has: an older store lacks the newest."""
    inspector = sa.inspect(connection)
    stored = set(inspector.get_table_names())
    return [_with_columns(table, inspector) for table in TABLES if table.name in stored]


def _with_columns(table: sa.Table, inspector: sa.Inspector) -> sa.Table:
    names = {column["name"] for column in inspector.get_columns(table.name)}
    if names.issuperset(table.columns.keys()):
        return table
    columns = [sa.Column(column.name, column.type, primary_key=column.primary_key) for column in table.columns]
    return sa.Table(table.name, sa.MetaData(), *(column for column in columns if column.name in names))


def _last_agent_id(connection: sa.Connection) -> int:
    """The highest number an agent ever had: numbers are never used again."""
    if connection.dialect.name == "sqlite":
        last = connection.execute(sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'agents'")).scalar()
    else:
        sequence = connection.execute(sa.text("SELECT pg_get_serial_sequence('agents', 'id')")).scalar_one()
        row = connection.execute(sa.text(f"SELECT last_value, is_called FROM {sequence}")).one()
        last = row[0] if row[1] else 0
    return int(last or 0)


def _copy_states(connection: sa.Connection, url: str, folder: Path) -> set[tuple[int, int]]:
    """Copy the saved states, the newest of each agent first; the copied states by agent and event."""
    store, kept = ArtifactStore(url), set()
    folder.mkdir()
    for values in connection.execute(sa.select(snapshots).order_by(snapshots.c.seq.desc())).mappings():
        row = SnapshotRow(**values)
        try:
            data = store.get(row.address, blob_name(row))
        except FileNotFoundError:
            continue
        if hashlib.sha256(data).hexdigest() == row.address:  # a damaged state is left out: the log has it all
            _write(folder / f"{row.address}-{blob_name(row)}", data)
            kept.add((row.agent_id, row.seq))
    for agent in connection.execute(sa.select(agents.c.id, agents.c.name, agents.c.base_seq)):
        if agent.base_seq and not any(who == agent.id and seq >= agent.base_seq for who, seq in kept):
            raise _MovedOnError(f"agent {agent.name!r} has no readable saved state, and its old events are archived")
    return kept


def _write_table(
    connection: sa.Connection, table: sa.Table, path: Path, keep: Callable[[tuple[int, int]], bool] | None
) -> int:
    """Write a table's rows in the order of its key; the number of rows. `keep` chooses among snapshots."""
    query = sa.select(table).order_by(*table.primary_key.columns).execution_options(yield_per=500)
    count = 0
    with path.open("xb") as file:
        with gzip.GzipFile("", "wb", 5, file, mtime=0) as packed:
            for row in connection.execute(query).mappings():
                if keep is None or keep((row["agent_id"], row["seq"])):
                    packed.write(json.dumps(dict(row), default=_base64).encode() + b"\n")
                    count += 1
        file.flush()
        os.fsync(file.fileno())
    return count


def _base64(value: Any) -> str:
    return base64.b64encode(bytes(value)).decode()


def _copy_archive(url: str, folder: Path) -> int:
    count = 0
    folder.mkdir()
    for name, read in archive_files(url):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, read())
        count += 1
    return count


def archive_files(url: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """(path below the archive, function that reads it) of every complete piece of an archive."""
    if not url:
        return
    import fsspec

    files, base = fsspec.core.url_to_fs(url)
    base = str(base).rstrip("/")
    for path in sorted(files.find(base)) if files.exists(base) else ():
        name = str(path).removeprefix(f"{base}/")
        if name.endswith(".parquet") and not name.rpartition("/")[2].startswith("."):
            yield name, lambda path=path: files.cat_file(path)  # type: ignore[misc]


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def digest_of(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        CorruptArtifactError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
    except OSError as error:
        raise CorruptArtifactError(f"cannot be read ({error.strerror})", "", "", str(path)) from error
    return digest.hexdigest()


def body_digest(body: Any) -> str:
    """SHA-256 of a manifest's body."""
    return hashlib.sha256(canonical_json(body).encode()).hexdigest()
