"""From an empty database and from every earlier revision to the newest, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from orchestration.service.store import schema
from orchestration.service.store.connecting import connect
from orchestration.service.store.migrating import MIGRATIONS, readable_state
from orchestration.service.store.rows import AgentCommit, EventRow
from orchestration.service.store.sql import SqlStore

CONFIG = Config()
CONFIG.set_main_option("script_location", str(MIGRATIONS))
CONFIG.set_main_option("path_separator", "os")
REVISIONS = [script.revision for script in reversed(list(ScriptDirectory.from_config(CONFIG).walk_revisions()))]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'service.db'}"
    return str(request.getfixturevalue("postgresql_url"))


def _upgrade(url: str, to: str) -> None:
    engine = connect(url)
    with engine.execution_options(write=True).begin() as connection:
        CONFIG.attributes["connection"] = connection
        command.upgrade(CONFIG, to)
    engine.dispose()


def _differences(url: str) -> list[object]:
    engine = connect(url)
    with engine.connect() as connection:
        differences = list(
            compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), schema.metadata)
        )
    engine.dispose()
    return differences


def test_an_empty_database_gets_the_tables_that_the_code_uses(url: str) -> None:
    SqlStore(url).close()
    assert _differences(url) == []


@pytest.mark.parametrize("earlier", REVISIONS[:-1])
def test_a_database_of_an_earlier_revision_is_brought_forward_with_all_it_holds(url: str, earlier: str) -> None:
    _upgrade(url, earlier)
    engine = connect(url)
    assert readable_state(engine).revision == earlier
    rows = [{"name": name, "settings": "{}", "description": "", "created_at": 1.5, "updated_at": 2.5} for name in "bA"]
    counters = ("owner_epoch", "last_seq", "version", "episodes", "base_seq", "archived_seq", "archived_number")
    with engine.execution_options(write=True).begin() as connection:
        names = [*rows[0], *counters]
        insert = sa.text(f"INSERT INTO agents ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})")
        connection.execute(insert, [{**row, **dict.fromkeys(counters, 2**40)} for row in rows])
    engine.dispose()

    store = SqlStore(url)
    assert [row.name for row in store.agents("", 10)] == ["A", "b"]
    row = store.take_over("b")
    assert row is not None
    assert (row.created_at, row.last_seq, row.owner_epoch) == (1.5, 2**40, 2**40 + 1)
    event = EventRow(row.id, row.last_seq + 1, "results", "e", 0, 1.0, b"\x00")
    store.commit([AgentCommit(row.id, row.owner_epoch, event.seq, 0, 0, 3.0, "{}", "", new_events=[event])])
    assert store.events(row.id, 2**40) == [event]
    store.close()
    assert _differences(url) == []


@pytest.mark.parametrize("earlier", [None, *REVISIONS[:-1]])
def test_many_may_open_it_at_once_and_one_migrates(url: str, earlier: str | None) -> None:
    if earlier is not None:
        _upgrade(url, earlier)
    failed: list[BaseException] = []

    def open_it() -> None:
        try:
            SqlStore(url).close()
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    engine = connect(url)
    assert readable_state(engine).revision == schema.REVISION
    engine.dispose()


def test_a_migration_can_be_undone(url: str) -> None:
    SqlStore(url).close()
    engine = connect(url)
    with engine.execution_options(write=True).begin() as connection:
        CONFIG.attributes["connection"] = connection
        command.downgrade(CONFIG, "base")
    with engine.connect() as connection:
        assert set(sa.inspect(connection).get_table_names()) <= {"alembic_version", "sqlite_sequence"}
    engine.dispose()
