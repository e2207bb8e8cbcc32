"""Bring the database to the tables this code works with; safe when many processes start at once.

The check is one query, and alembic is only imported where something is to be done. Only one process migrates: the
others wait for its lock (a file beside a SQLite database, an advisory lock of PostgreSQL) and then find it done.
"""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from envsearch.errors import InputError
from orchestration.service.errors import UnavailableError
from orchestration.service.store.schema import REVISION

MIGRATIONS = Path(__file__).parent / "migrations"
_MADE = "the database beside this file was made\n"
_ADVISORY_LOCK = 7_245_103_991


def prepare(engine: sa.Engine) -> None:
    """Make or upgrade the tables, unless they are up to date.

    Raises:
        InputError: the database was made by a newer version of the program.
        UnavailableError: a SQLite file was in use, and now it is empty or gone.
    """
    if revision(engine) == REVISION:
        return
    with _alone(engine) as lock:
        found = revision(engine)
        if found != REVISION:
            _refuse_newer(engine, found)
            if found is None and lock is not None:
                _refuse_emptied(lock)
            _upgrade(engine)
        if lock is not None and not lock.stat().st_size:
            lock.write_text(_MADE, encoding="utf-8")


def revision(engine: sa.Engine) -> str | None:
    """The migration that the database stands at; None: an empty one."""
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def _refuse_emptied(lock: Path) -> None:
    """A file that was cut to nothing would otherwise become a new, empty store, and nobody would notice."""
    if lock.stat().st_size:
        file = lock.with_suffix("")
        raise UnavailableError(
            f"the store was in use and {file} is empty or gone now; put a backup in its place (proctor restore), or "
            f"remove {lock} to begin with an empty store"
        )


def _refuse_newer(engine: sa.Engine, found: str | None) -> None:
    if found is not None and found > REVISION:
        place = engine.url.render_as_string(hide_password=True)
        raise InputError(f"has tables of revision {found}", "store", f"at most {REVISION}, or a newer program", place)


def _upgrade(engine: sa.Engine) -> None:
    from alembic import command
    from alembic.config import Config

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with engine.execution_options(write=True).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, REVISION)


@contextmanager
def _alone(engine: sa.Engine) -> Iterator[Path | None]:
    """Let one process migrate at a time; the lock's file, where it is one."""
    if engine.dialect.name == "sqlite":
        lock = Path(f"{engine.url.database}.lock")
        with lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield lock  # closing the file lets the lock go
        return
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
        try:
            yield None
        finally:
            connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY_LOCK})
