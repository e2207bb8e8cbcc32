"""From a store's URL to an engine that is set up the way the service needs it."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from envsearch.errors import InputError
from orchestration.runtime.private_files import OTHERS
from orchestration.service.errors import ConflictError, UnavailableError
from orchestration.service.store.compatibility import refuse_unreadable_file
from orchestration.service.store.write_ahead import refuse_cut_log

LOG = logging.getLogger(__name__)

BUSY_SECONDS = 30
CONNECT_SECONDS = 10
RECOVERY = "stop the service, move the file away together with its -wal, -shm and .lock, then run `proctor restore`"
IN_LOG = "; the service's log says what to do"
"""Ends the error of a damaged database: callers of the service are not shown its path."""

EXPECTED = "a file, sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"


def absolute_url(url: str) -> str:
    """The URL in full: a path becomes SQLite, a relative SQLite path becomes absolute (workers run elsewhere).

    Raises:
        InputError: the URL does not name a database of a known kind.
    """
    if "://" not in url:
        return f"sqlite:///{Path(url).expanduser().absolute()}"
    try:
        parsed = sa.make_url(url)
    except ArgumentError as error:
        raise InputError("the URL cannot be read", "store", EXPECTED) from error
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise InputError("a database in memory is lost with its process", "store", EXPECTED)
        return f"sqlite:///{Path(parsed.database).expanduser().absolute()}"
    if kind != "postgresql":
        raise InputError(f"{kind!r} is not a known kind of store", "store", EXPECTED)
    return url


def connect(url: str) -> sa.Engine:
    """An engine; write with ``engine.execution_options(write=True)``, and with ``flush=False`` where a failure of the
    machine (not of a process) may undo the transaction, as long as later ones have not been flushed.

    PostgreSQL: a lost server is noticed within 30 s, even one that merely falls silent.

    SQLite: write-ahead log, each commit flushed to the disk, writers wait for each other up to 30 s. A transaction that
    will write says so when it begins, because SQLite refuses to wait when a reader turns into a writer. A file that
    this version of Proctor cannot read is refused before it is opened for writing.

    Args:
        url: as `absolute_url` returns it.

    Raises:
        InputError: the driver of the database is not installed, the file's folder cannot be created, or another
            version of Proctor wrote the file.
        UnavailableError: SQLite's write-ahead log was cut short.
    """
    try:
        if not url.startswith("sqlite"):
            waiting = {"connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": 1000 * BUSY_SECONDS}
            engine = sa.create_engine(
                _with_driver(url), pool_pre_ping=True, pool_size=4, max_overflow=8, connect_args=waiting
            )
            event.listen(engine, "begin", _begin_postgresql)
            return engine
        file = Path(sa.make_url(url).database or "")
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        refuse_cut_log(file)
        refuse_unreadable_file(file)
        _make_private(file)
        engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    except (ImportError, NoSuchModuleError) as error:
        raise InputError(f"its driver is not installed ({error})", "store", "the Python package it needs") from error
    except OSError as error:
        raise InputError(f"its folder cannot be created ({error.strerror})", "store", EXPECTED) from error
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_private(file: Path) -> None:
    """Create the file for this user alone; one that others could read is closed to them, with its log and index.

    SQLite gives a new log and index the permissions of the file.
    """
    with suppress(PermissionError):  # another user's file, or a disk that is read-only
        os.close(os.open(file, os.O_CREAT | os.O_RDONLY, 0o600))
    for part in (file, *(file.with_name(file.name + ending) for ending in ("-wal", "-shm", ".lock"))):
        with suppress(OSError):
            if part.stat().st_mode & OTHERS:
                part.chmod(0o600)


def stale(error: BaseException, path: str) -> bool:
    """Whether open connections are useless after this error of SQLite; damage is logged with what to do about it.

    A connection that was opened while the disk was read-only, or before the file was replaced, fails forever. All
    connections of a process must be closed at once: they share the index of the write-ahead log.
    """
    if not isinstance(error, sqlite3.Error) or isinstance(error, sqlite3.IntegrityError) or "locked" in str(error):
        return False
    if damaged(str(error)):
        LOG.error("The database %s is damaged (%s): %s", path, error, RECOVERY)
    return True


def damaged(text: str) -> bool:
    """Whether this message of SQLite says that the file is damaged."""
    return "malformed" in text or "not a database" in text


def _with_driver(url: str) -> sa.URL:
    """The URL with psycopg (3), the driver that Proctor is tested with, unless the URL names a driver."""
    parsed = sa.make_url(url)
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername == "postgresql" else parsed


def open_sqlite(path: str) -> sqlite3.Connection:
    """A connection set up like the engine's, for code that needs no engine; one thread at a time may use it."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
    _set_up_sqlite(connection, None)
    return connection


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says, and nowhere else
    for pragma in (f"busy_timeout={BUSY_SECONDS * 1000}", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()
    _write_ahead(connection)


def _write_ahead(connection: Any) -> None:
    """Turn the write-ahead log on. Only the first process really does, and SQLite does not wait for it."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _begin_sqlite(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    level = "FULL" if options.get("flush", True) else "NORMAL"
    if connection.info.get("synchronous", "FULL") != level:
        connection.exec_driver_sql(f"PRAGMA synchronous={level}")
        connection.info["synchronous"] = level
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("write", False) else "BEGIN")


def _begin_postgresql(connection: sa.Connection) -> None:
    if not connection.get_execution_options().get("flush", True):
        connection.exec_driver_sql("SET LOCAL synchronous_commit TO OFF")


@contextmanager
def service_errors() -> Iterator[None]:
    """Turn the driver's errors into the service's, without the statement and its parameters."""
    try:
        yield
    except IntegrityError as error:
        raise ConflictError(f"a row already exists ({_first_line(error.orig)})") from error
    except DBAPIError as error:
        text = _first_line(error.orig)
        if damaged(text):
            raise UnavailableError(f"the store is damaged ({text}){IN_LOG}") from error
        raise UnavailableError(f"the store cannot be used now ({text})") from error
    except SQLAlchemyError as error:
        raise UnavailableError(f"the store cannot be used now ({type(error).__name__})") from error


def _first_line(error: BaseException | None) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
