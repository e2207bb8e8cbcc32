"""The SQL store's own ground: URLs, migrations, damaged files."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from envsearch.errors import InputError
from orchestration.service.errors import UnavailableError
from orchestration.service.store import schema
from orchestration.service.store.connecting import absolute_url, connect
from orchestration.service.store.migrating import MIGRATIONS, readable_state
from orchestration.service.store.sql import SqlStore


def test_a_relative_file_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = f"sqlite:///{tmp_path / 'a' / 'service.db'}"
    assert absolute_url("a/service.db") == expected
    assert absolute_url("sqlite:///a/service.db") == expected
    assert absolute_url(expected) == expected


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://host/db", "://"])
def test_a_url_of_no_known_kind_is_refused(url: str) -> None:
    with pytest.raises(InputError):
        absolute_url(url)


def test_the_migrations_make_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    SqlStore(str(tmp_path / "service.db")).close()
    engine = connect(f"sqlite:///{tmp_path / 'service.db'}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
    engine.dispose()


def test_the_newest_migration_is_the_one_that_the_code_works_with() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.REVISION]


def test_a_database_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    place = str(tmp_path / "service.db")
    SqlStore(place).close()
    with sqlite3.connect(place) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(InputError, match="9999"):
        SqlStore(place)


def test_many_may_open_an_empty_store_at_once(tmp_path: Path) -> None:
    place = str(tmp_path / "service.db")
    failed: list[BaseException] = []

    def open_it() -> None:
        try:
            SqlStore(place).close()
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    engine = connect(f"sqlite:///{place}")
    assert readable_state(engine).revision == schema.REVISION
    engine.dispose()


def test_writes_are_flushed_and_read_ahead(tmp_path: Path) -> None:
    SqlStore(str(tmp_path / "service.db")).close()
    engine = connect(f"sqlite:///{tmp_path / 'service.db'}")
    with engine.connect() as connection:
        pragmas = {
            name: connection.execute(sa.text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


def test_a_file_that_is_no_database_is_named_as_such(tmp_path: Path) -> None:
    place = tmp_path / "service.db"
    place.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(UnavailableError, match="not a database"):
        SqlStore(str(place))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises((UnavailableError, InputError)):
        SqlStore(str(folder / "service.db"))
