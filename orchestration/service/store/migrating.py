"""Bring the database to the tables this code works with; safe when many processes start at once.

The check is a few queries, and alembic is only imported where there is something to do. Only one process migrates: the
others wait for its lock (a file beside a SQLite database, an advisory lock of PostgreSQL) and then find the work done.
"""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from orchestration.service.errors import UnavailableError
from orchestration.service.store.compatibility import (
    StoreState,
    record_formats,
    refuse_unreadable,
    store_state,
)
from orchestration.service.store.schema import REVISION

MIGRATIONS = Path(__file__).parent / "migrations"
_MADE = "the database beside this file was made\n"
_ADVISORY_LOCK = 7_245_103_991


def prepare(engine: sa.Engine) -> None:
    """Create or upgrade the tables, unless they are up to date.

    Raises:
        InputError: another version of Proctor wrote the database, and this one cannot read it.
        UnavailableError: a SQLite file was in use, and now it is empty or gone.
    """
    if readable_state(engine).is_current:
        return
    with _alone(engine) as lock:
        state = readable_state(engine)
        if not state.is_current:
            if lock is not None and state.revision is None:
                _refuse_emptied(lock)
            _upgrade(engine, state)
        if lock is not None and not lock.stat().st_size:
            lock.write_text(_MADE, encoding="utf-8")


def readable_state(engine: sa.Engine) -> StoreState:
    """How the database is written.

    Raises:
        InputError: another version of Proctor wrote the database, and this one cannot read it.
    """
    with engine.connect() as connection:
        state = store_state(connection)
    refuse_unreadable(state, engine.url.render_as_string(hide_password=True))
    return state


def _refuse_emptied(lock: Path) -> None:
    """A file that was cut to nothing would otherwise become a new, empty store, and nobody would notice."""
    if lock.stat().st_size:
        file = lock.with_suffix("")
        raise UnavailableError(
            f"the store was in use and {file} is now empty or missing; put a backup in its place (proctor restore), or "
            f"remove {lock} to begin with an empty store"
        )


def _upgrade(engine: sa.Engine, state: StoreState) -> None:
    from alembic import command
    from alembic.config import Config

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with engine.execution_options(write=True).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, REVISION)
        record_formats(connection, state.formats)


@contextmanager
def _alone(engine: sa.Engine) -> Iterator[Path | None]:
    """Let one process migrate at a time; yields the lock file, if the lock is a file."""
    if engine.dialect.name == "sqlite":
        lock = Path(f"{engine.url.database}.lock")
        with lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield lock  # closing the file releases the lock
        return
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
        try:
            yield None
        finally:
            connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY_LOCK})
