"""A store that is cut short, emptied, read-only for a while or full: reported by name, never taken for a new store."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agents.scheduling.settings import AgentSettings
from orchestration.service.errors import UnavailableError
from orchestration.service.store.codec import settings_text
from orchestration.service.store.rows import AgentCommit, EventRow
from orchestration.service.store.sql import SqlStore
from orchestration.service.store.write_ahead import refuse_cut_log

SETTINGS = settings_text(AgentSettings("failure_rate"))


def filled(place: Path) -> SqlStore:
    """A store with an agent and enough events to fill some pages."""
    store = SqlStore(str(place))
    row, _ = store.create_agent("agent", SETTINGS, "", 1.0)
    store.take_over("agent")
    events = [EventRow(row.id, seq, "results", "e", 0, 1.0, b"j" + bytes(2000)) for seq in range(2, 60)]
    store.commit([AgentCommit(row.id, 1, 59, 0, 0, 1.0, SETTINGS, "", [], events)])
    return store


def add_event(store: SqlStore) -> None:
    row = store.agent("agent")
    assert row is not None
    event = EventRow(row.id, row.last_seq + 1, "results", "e", 0, 1.0, b"j1")
    store.commit([AgentCommit(row.id, row.owner_epoch, event.seq, 0, 0, 1.0, SETTINGS, "", [], [event])])


@pytest.mark.parametrize("share", [0.9, 0.5, 0.1, 0.01])
def test_a_file_cut_short_is_reported_with_its_name_and_what_to_do(
    tmp_path: Path, share: float, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "service.db"
    filled(place).close()
    whole = place.read_bytes()
    place.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UnavailableError, match="damaged"), caplog.at_level(logging.ERROR):
        store = SqlStore(str(place))
        store.events(1, 0)
    assert str(place) in caplog.text
    assert "proctor restore" in caplog.text


@pytest.mark.parametrize("gone", [False, True])
def test_an_emptied_file_is_no_new_store(tmp_path: Path, gone: bool) -> None:
    place = tmp_path / "service.db"
    filled(place).close()
    place.unlink() if gone else place.write_bytes(b"")
    for _ in range(2):
        with pytest.raises(UnavailableError, match="now empty or missing") as refusal:
            SqlStore(str(place))
    assert str(place) in refusal.value.detail
    (tmp_path / "service.db.lock").unlink()
    assert SqlStore(str(place)).count_agents() == 0


def test_a_start_that_was_cut_off_is_no_damage(tmp_path: Path) -> None:
    """Killed after the file was made and before its tables were."""
    place = tmp_path / "service.db"
    place.write_bytes(b"")
    (tmp_path / "service.db.lock").write_bytes(b"")
    assert SqlStore(str(place)).count_agents() == 0


def test_a_connection_that_failed_is_opened_anew(tmp_path: Path) -> None:
    """A connection that was opened on a read-only disk stays read-only after the disk is writable again."""
    place = tmp_path / "service.db"
    store = filled(place)

    def read_only(path: str) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False, isolation_level=None)

    direct: Any = store._direct
    direct._connection.close()
    direct._connection = read_only(str(place))
    with pytest.raises(UnavailableError, match="readonly"):
        add_event(store)
    add_event(store)
    assert len(store.events(1, 59)) == 1


def test_pooled_connections_that_failed_are_opened_anew(tmp_path: Path) -> None:
    store = filled(tmp_path / "service.db")
    with store._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only=ON")
    with pytest.raises(UnavailableError, match="readonly"):
        store.take_over("agent")
    row = store.take_over("agent")
    assert row is not None
    assert row.owner_epoch == 2


def test_a_locked_database_keeps_its_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path / "service.db")
    direct: Any = store._direct
    connection = direct._connection
    connection.execute("PRAGMA busy_timeout=1")
    other = sqlite3.connect(tmp_path / "service.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(UnavailableError, match="locked"):
        add_event(store)
    other.execute("ROLLBACK")
    add_event(store)
    assert direct._connection is connection


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.orchestration.service.test_damaged_store import filled, add_event
store = filled(Path(sys.argv[1]))
for _ in range(20):
    add_event(store)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store whose process was killed after 20 commits: they are in the write-ahead log alone."""
    folder = tmp_path_factory.mktemp("killed")
    root = Path(__file__).parents[3]
    ended = subprocess.run([sys.executable, "-c", KILLED, str(folder / "service.db")], cwd=root, check=False)
    assert ended.returncode == -signal.SIGKILL
    return folder


def left_by(killed: Path, folder: Path) -> Path:
    shutil.copytree(killed, folder)
    return folder / "service.db"


def test_a_killed_process_leaves_a_whole_log(killed: Path, tmp_path: Path) -> None:
    place = left_by(killed, tmp_path / "copy")
    assert len(SqlStore(str(place)).events(1, 0, limit=1000)) == 79


@pytest.mark.parametrize("share", [0.95, 0.5, 0.1, 0.0, None])
def test_a_log_cut_short_is_reported_with_its_name_and_what_to_do(
    killed: Path, tmp_path: Path, share: float | None
) -> None:
    place = left_by(killed, tmp_path / "copy")
    log = Path(f"{place}-wal")
    if share is None:
        log.unlink()
    else:
        log.write_bytes(log.read_bytes()[: int(share * log.stat().st_size)])
    for _ in range(2):
        with pytest.raises(
            UnavailableError, match=r"cut short, [0-9]+ of [0-9]+ committed pages are missing"
        ) as refusal:
            SqlStore(str(place))
    assert f"{log} was cut" in refusal.value.detail
    assert f"remove {place}-shm" in refusal.value.detail
    assert "proctor restore" in refusal.value.detail


def test_going_on_with_what_is_left_of_a_log(killed: Path, tmp_path: Path) -> None:
    place = left_by(killed, tmp_path / "copy")
    log = Path(f"{place}-wal")
    log.write_bytes(log.read_bytes()[: log.stat().st_size - 3 * 4096])
    Path(f"{place}-shm").unlink()
    assert 59 <= len(SqlStore(str(place)).events(1, 0, limit=1000)) < 79


def test_an_index_that_is_none_or_older_than_the_machine_says_nothing(
    killed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = left_by(killed, tmp_path / "copy")
    index, log = Path(f"{place}-shm"), Path(f"{place}-wal")
    whole = index.read_bytes()
    log.write_bytes(b"")
    for data in (b"", whole[:50], bytes(len(whole)), whole[:20] + b"x" + whole[21:]):
        index.write_bytes(data)
        refuse_cut_log(place)
    index.write_bytes(whole)
    with pytest.raises(UnavailableError):
        refuse_cut_log(place)
    os.utime(index, (1.0, 1.0))
    monkeypatch.setattr("orchestration.service.store.write_ahead._machine_started", lambda: 2.0)
    refuse_cut_log(place)


def test_a_log_that_others_work_with_is_whole(tmp_path: Path) -> None:
    place = tmp_path / "service.db"
    store = filled(place)
    for number in range(40):
        add_event(store)
        if number % 10 == 0:
            with store._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        SqlStore(str(place)).close()
    assert len(store.events(1, 0, limit=1000)) == 99
