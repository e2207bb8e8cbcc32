"""From a backup to an empty service; see `orchestration.service.store.backup`.

Every file is checked against the manifest before anything is written. The tables come last, in one transaction: if that
fails, the service is as empty as before, and the same command can be run again.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from envsearch.errors import CorruptArtifactError, InputError, StoreUnavailableError
from orchestration.runtime.artifacts import ArtifactStore
from orchestration.service.store.backup import (
    FORMAT,
    MANIFEST,
    TABLES,
    Copied,
    Places,
    archive_files,
    body_digest,
    digest_of,
)
from orchestration.service.store.compatibility import StoredFormat, record_formats, refuse_formats, unrecorded_formats
from orchestration.service.store.connecting import absolute_url, connect
from orchestration.service.store.migrating import prepare, readable_state
from orchestration.service.store.schema import REVISION, agents, audit, episodes, owners

READABLE = ("0001", "0002", "0003", REVISION)
"""Revisions of backups. 0002 only changes how PostgreSQL sorts names; 0003 only adds the table of formats, whose rows
the manifest holds; 0004 adds the audit log and columns of tokens that have defaults."""

MOST_MANIFEST_BYTES = 256 << 20
_ROWS = 500


def restore_backup(source: Path, places: Places) -> Copied:
    """Put a backup into an empty service.

    Raises:
        CorruptArtifactError: a file of the backup is missing, cut short or changed; nothing was written.
        InputError: the folder is not a backup, another version of Proctor wrote it, or the places are not empty.
        StoreUnavailableError: a place cannot be read or written.
    """
    body = read_manifest(source)
    _check_files(source, body["files"])
    formats = _formats(source, body)
    _check_archive(source, body["files"], places.archive)
    engine = connect(absolute_url(places.store))
    try:
        _refuse_used(engine, places.store)
        _restore_files(source, body["files"], places)
        prepare(engine)
        with engine.execution_options(write=True).begin() as connection:
            if any(_rows(connection, table) for table in (*TABLES, owners)):
                raise _not_empty(places.store)
            for table in (table for table in TABLES if table.name in body["rows"]):  # older backups lack the newest
                _restore_table(connection, table, source / "tables" / f"{table.name}.jsonl.gz")
                if _rows(connection, table) != body["rows"][table.name]:
                    raise CorruptArtifactError(f"{table.name} lacks rows", "", "a whole backup", str(source))
            _go_on_after(connection, agents, int(body["last_agent_id"]))
            _go_on_after(connection, audit, connection.execute(sa.select(sa.func.max(audit.c.id))).scalar() or 0)
            record_formats(connection, formats)
    except SQLAlchemyError as error:
        problem = f"cannot be written ({type(error).__name__})"
        raise StoreUnavailableError(problem, "store", "a database that this user may write", places.store) from error
    finally:
        engine.dispose()
    names = list(body["files"])
    count = {kind: sum(name.startswith(f"{kind}/") for name in names) for kind in ("states", "archive")}
    size = sum(int(entry["size"]) for entry in body["files"].values())
    return Copied(dict(body["rows"]), count["states"], count["archive"], size)


def read_manifest(source: Path) -> dict[str, Any]:
    """The manifest's body.

    Raises:
        InputError: there is no manifest, or it has another format or revision.
        CorruptArtifactError: the manifest is cut short or changed.
    """
    path = source / MANIFEST
    try:
        if path.stat().st_size > MOST_MANIFEST_BYTES:
            raise CorruptArtifactError("is too large", "", "the manifest of a backup", str(path))
        envelope = json.loads(path.read_bytes())
        body: dict[str, Any] = envelope["body"]
        intact = envelope["sha256"] == body_digest(body)
    except OSError as error:
        raise InputError("is not a backup", "SRC", f"a folder with a {MANIFEST}", str(source)) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CorruptArtifactError("is cut short or changed", "", "the manifest of a backup", str(path)) from error
    if not intact:
        raise CorruptArtifactError("is changed (its SHA-256 differs)", "", "an unchanged manifest", str(path))
    if envelope.get("format") != FORMAT or body["revision"] not in READABLE:
        problem = f"has format {envelope.get('format')}, revision {body['revision']}"
        expected = f"format {FORMAT}, revision {' or '.join(READABLE)}; restore it with the Proctor that wrote it"
        raise InputError(problem, "SRC", expected, str(source))
    return body


def _formats(source: Path, body: dict[str, Any]) -> dict[str, StoredFormat]:
    """The formats of what the backup holds, all of which can be read.

    Raises:
        InputError: one of them is too old or too new.
    """
    recorded = body.get("formats")
    if recorded is None:
        formats = unrecorded_formats(_episode_starts(source))
    else:
        formats = {kind: StoredFormat(**entry) for kind, entry in recorded.items()}
    refuse_formats(formats, str(source), "SRC")
    return formats


def _episode_starts(source: Path) -> Iterator[bytes]:
    """The first bytes of every episode in a backup."""
    return (row["payload"][:4] for row in _read(source / "tables" / f"{episodes.name}.jsonl.gz", ["payload"]))


def _check_files(source: Path, files: dict[str, dict[str, Any]]) -> None:
    for name, entry in files.items():
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts or place.parts[0] not in ("tables", "states", "archive"):
            raise CorruptArtifactError(f"names {name!r}", "", "files of the backup itself", str(source / MANIFEST))
        path = source / name
        if not path.is_file():
            raise CorruptArtifactError("is missing", "", "a whole backup", str(path))
        if path.stat().st_size != entry["size"]:
            problem = f"has {path.stat().st_size} bytes instead of {entry['size']}"
            raise CorruptArtifactError(problem, "", "an undamaged backup", str(path))
        if digest_of(path) != entry["sha256"]:
            raise CorruptArtifactError("is damaged (its SHA-256 differs)", "", "an undamaged backup", str(path))


def _check_archive(source: Path, files: dict[str, Any], archive: str) -> None:
    """Refuse an archive with pieces of another service; the same pieces may exist from a first attempt."""
    archived = [name for name in files if name.startswith("archive/")]
    if archived and not archive:
        raise InputError("the backup has an archive", "archive", "a folder or URL for it", str(source))
    for name, read in archive_files(archive):
        if f"archive/{name}" not in files or read() != (source / "archive" / name).read_bytes():
            raise InputError("is not empty", "archive", "an empty folder", archive)


def _refuse_used(engine: sa.Engine, store: str) -> None:
    """Look before anything is written: a mistyped store stays unchanged."""
    if readable_state(engine).revision is None:
        return
    with engine.connect() as connection:
        tables = sa.inspect(connection)
        if any(tables.has_table(table.name) and _rows(connection, table) for table in (*TABLES, owners)):
            raise _not_empty(store)


def _not_empty(store: str) -> InputError:
    return InputError("is not empty; nothing was changed", "store", "the URL of a new store", store)


def _rows(connection: sa.Connection, table: sa.Table) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def _restore_files(source: Path, files: dict[str, Any], places: Places) -> None:
    store = ArtifactStore(places.artifacts)
    for name in files:
        data_of = (source / name).read_bytes
        kind, _, rest = name.partition("/")
        if kind == "states":
            address, _, blob = rest.partition("-")
            try:
                store.put(address, blob, data_of())
            except ValueError as error:
                raise CorruptArtifactError(str(error), "", "a saved state", str(source / name)) from error
        elif kind == "archive":
            _put(places.archive, rest, data_of())


def _put(archive: str, name: str, data: bytes) -> None:
    place = f"{archive.rstrip('/')}/{name}"
    try:
        files, path = fsspec.core.url_to_fs(place)
        files.makedirs(path.rpartition("/")[0], exist_ok=True)
        files.pipe_file(path, data)
    except Exception as error:  # each object store's client has errors of its own
        raise StoreUnavailableError(f"cannot be written ({type(error).__name__})", "archive", "", place) from error


def _restore_table(connection: sa.Connection, table: sa.Table, path: Path) -> None:
    binary = [column.name for column in table.columns if isinstance(column.type, sa.LargeBinary)]
    try:
        rows = _read(path, binary)
        while part := list(islice(rows, _ROWS)):
            connection.execute(sa.insert(table), part)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise CorruptArtifactError(
            f"cannot be read ({type(error).__name__})", "", "rows of a backup", str(path)
        ) from error


def _read(path: Path, binary: list[str]) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rb") as file:
        for line in file:
            row: dict[str, Any] = json.loads(line)
            for name in binary:
                row[name] = base64.b64decode(row[name])
            yield row


def _go_on_after(connection: sa.Connection, table: sa.Table, last: int) -> None:
    """Give the next row of the table a number that no row ever had."""
    values = {"name": table.name, "last": last}
    if connection.dialect.name == "sqlite":
        connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :name"), values)
        connection.execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), values)
    elif last:
        sequence = sa.func.pg_get_serial_sequence(table.name, "id")
        connection.execute(sa.select(sa.func.setval(sequence, last)))
