"""A store that is looked at and left as it is: nothing in it, and no file beside it, is created or changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from envsearch.errors import InputError
from orchestration.service.store.compatibility import StoreState, refuse_unreadable, store_state, untouched
from orchestration.service.store.connecting import absolute_url, connect
from orchestration.service.store.write_ahead import refuse_cut_log


@contextmanager
def read_only(store: str) -> Iterator[sa.Connection]:
    """A connection that sees one moment of the store and cannot write.

    Raises:
        InputError: the URL is wrong, or there is no such file.
        UnavailableError: SQLite's write-ahead log was cut short.
    """
    file = file_of(store)
    if file is None:
        engine = connect(absolute_url(store))
        reading = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        try:
            with reading.connect() as connection, connection.begin():
                yield connection
        finally:
            engine.dispose()
        return
    if not file.exists():
        raise InputError("there is no such store", "store", "the store of a service", store)
    refuse_cut_log(file)
    with untouched(file) as connection, connection.begin():
        yield connection


def readable_state_of(connection: sa.Connection, store: str) -> StoreState:
    """How the store is written.

    Args:
        store: its place, for the error.

    Raises:
        InputError: another version of Proctor wrote the store, and this one cannot read it.
    """
    state = store_state(connection)
    refuse_unreadable(state, shown(store))
    return state


def file_of(store: str) -> Path | None:
    """The file of a SQLite store; None: the store is not a file."""
    url = absolute_url(store)
    return Path(str(sa.make_url(url).database)) if url.startswith("sqlite") else None


def shown(store: str) -> str:
    """The place of a store as people may see it, without a password."""
    return sa.make_url(absolute_url(store)).render_as_string(hide_password=True)
