"""A store that this version cannot read is refused in one line, by whatever opens it, and stays as it is."""

from __future__ import annotations

import dataclasses
import gzip
import json
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from envsearch.errors import CorruptArtifactError, InputError
from orchestration.cli.app import app
from orchestration.cli.errors import run_app
from orchestration.service.service import SchedulingService, ServiceSettings
from orchestration.service.store import formats
from orchestration.service.store.backup import MANIFEST, Places, back_up, body_digest, digest_of
from orchestration.service.store.connecting import connect
from orchestration.service.store.migrating import MIGRATIONS, readable_state
from orchestration.service.store.restoring import restore_backup
from orchestration.service.store.rows import AuditQuery, AuditRow, TokenRow
from orchestration.service.store.sql import SqlStore
from tests.orchestration.service.old_stores import files_in, unpacked

REFUSED = "was written by Proctor before 0.1.0 (episode: format 1) and was left unchanged; Proctor "


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """The home of a service with a store from before the first release."""
    return unpacked("first", tmp_path / "first")


COMMANDS = {
    "serve": ["serve", "--port", "1"],
    "token create": ["token", "create", "--scope", "read"],
    "token list": ["token", "list"],
    "audit": ["audit"],
    "backup": ["backup", "COPY"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_refuse_the_first_store_and_leave_it(
    first: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROCTOR_HOME", str(first))
    monkeypatch.setenv("PROCTOR_STORE", str(first / "service.db"))
    before = files_in(first)
    with pytest.raises(SystemExit) as end:
        run_app(app, [word.replace("COPY", str(first.parent / "copy")) for word in COMMANDS[command]])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {first / 'service.db'}: store: {REFUSED}")
    assert line.endswith("reads format 2; expected a new store, or the Proctor that wrote this one")
    assert files_in(first) == before
    assert not (first.parent / "copy").exists()


def test_the_service_refuses_the_first_store_and_leaves_it(first: Path) -> None:
    before = files_in(first)
    with pytest.raises(InputError, match=r"before 0\.1\.0"):
        SchedulingService(ServiceSettings.in_folder(first, inline=True))
    assert files_in(first) == before


def test_the_doctor_reports_the_first_store_once_and_leaves_it(
    first: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files_in(first)
    monkeypatch.setenv("PROCTOR_HOME", str(first))
    with pytest.raises(SystemExit) as end:
        run_app(app, ["doctor"])
    assert end.value.code == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if REFUSED in line]
    assert line.startswith("wrong store")
    assert "fix: use a new store, or the Proctor that wrote this one" in line
    assert files_in(first) == before


def test_a_restore_into_the_first_store_is_refused(first: Path, tmp_path: Path) -> None:
    places = Places(str(tmp_path / "new.db"), str(tmp_path / "states"))
    SqlStore(places.store).close()
    back_up(places, tmp_path / "copy")
    before = files_in(first)
    with pytest.raises(InputError, match=r"before 0\.1\.0"):
        restore_backup(tmp_path / "copy", Places(str(first / "service.db"), str(first / "states")))
    assert files_in(first) == before


def migrated(place: Path) -> None:
    """What release 0.1.0 did to a first store: it migrated it."""
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0002'")


def killed_writer(place: Path) -> None:
    """A process that was killed left its last transaction in the write-ahead log alone."""
    copy = place.with_name("live.db")
    shutil.copyfile(place, copy)
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("UPDATE agents SET description = 'killed'")
        connection.commit()
        for suffix in ("", "-wal", "-shm"):
            shutil.copyfile(f"{copy}{suffix}", f"{place}{suffix}")
    copy.unlink()


def killed_writer_without_index(place: Path) -> None:
    killed_writer(place)
    Path(f"{place}-shm").unlink()


@pytest.mark.parametrize("change", [migrated, killed_writer, killed_writer_without_index])
def test_the_first_store_is_known_by_its_bytes(first: Path, change: Callable[[Path], None]) -> None:
    change(first / "service.db")
    before = files_in(first)
    with pytest.raises(InputError, match=r"before 0\.1\.0"):
        SqlStore(str(first / "service.db"))
    assert files_in(first) == before


def test_episodes_that_are_in_the_log_alone_are_seen(first: Path) -> None:
    """The file itself has no table yet: its process was killed before the first checkpoint."""
    place = first / "service.db"
    with closing(sqlite3.connect(place)) as source:
        dump = [line for line in source.iterdump() if "sqlite_sequence" not in line]
    with closing(sqlite3.connect(first / "live.db")) as live:
        live.execute("PRAGMA journal_mode=WAL")
        live.execute("PRAGMA wal_autocheckpoint=0")
        live.executescript("\n".join(dump))
        for suffix in ("", "-wal", "-shm"):
            shutil.copyfile(first / f"live.db{suffix}", f"{place}{suffix}")
    with closing(sqlite3.connect(f"file:{place}?immutable=1", uri=True)) as alone:
        assert alone.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    before = files_in(first)
    with pytest.raises(InputError, match=r"before 0\.1\.0"):
        SqlStore(str(place))
    assert files_in(first) == before


def test_a_first_store_without_episodes_is_upgraded(first: Path) -> None:
    with closing(sqlite3.connect(first / "service.db")) as connection, connection:
        connection.execute("DELETE FROM episodes")
    store = SqlStore(str(first / "service.db"))
    assert [row.name for row in store.agents("", 10)] == ["nightly", "rates"]
    store.close()


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("UPDATE alembic_version SET version_num = '0099'", "a newer Proctor (tables of revision 0099)"),
        ("UPDATE formats SET newest = 9, written_by = '7.0' WHERE kind = 'results'", "Proctor 7.0 (results: format 9)"),
        ("INSERT INTO formats VALUES ('dreams', 1, 1, '7.0')", "Proctor 7.0 (dreams: format 1)"),
        ("UPDATE formats SET oldest = 1 WHERE kind = 'episode'", "Proctor 0.1.0 (episode: format 1)"),
    ],
)
def test_a_store_that_records_another_format_is_refused_and_left(tmp_path: Path, statement: str, text: str) -> None:
    home = unpacked("0.1", tmp_path)
    place = home / "service.db"
    SqlStore(str(place)).close()
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.execute(statement)
    before = files_in(home)
    with pytest.raises(InputError) as refusal:
        SqlStore(str(place))
    assert f"was written by {text}" in str(refusal.value)
    assert files_in(home) == before


def test_a_new_format_is_recorded_and_old_bytes_are_brought_forward(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What whoever changes a format does: a version, an upcast. The store says since when it may hold both."""
    place = str(unpacked("0.1", tmp_path) / "service.db")
    SqlStore(place).close()
    monkeypatch.setitem(formats.VERSIONS, "results", 2)
    with pytest.raises(InputError, match="results: format 1"):
        SqlStore(place)
    monkeypatch.setitem(formats.UPCASTS, ("results", 1), lambda value: value)
    SqlStore(place).close()
    engine = connect(f"sqlite:///{place}")
    recorded = readable_state(engine).formats["results"]
    engine.dispose()
    assert (recorded.oldest, recorded.newest) == (1, 2)
    monkeypatch.undo()
    with pytest.raises(InputError, match="results: format 2"):
        SqlStore(place)


def test_a_backup_of_0_1_is_restored(tmp_path: Path) -> None:
    """Release 0.1.0 recorded no formats in its backups either."""
    old = unpacked("0.1", tmp_path / "old")
    SqlStore(str(old / "service.db")).close()
    copy = tmp_path / "copy"
    back_up(Places(str(old / "service.db"), str(old / "states")), copy)
    body = json.loads((copy / MANIFEST).read_text())["body"]
    body = {**{key: value for key, value in body.items() if key != "formats"}, "revision": "0002"}
    (copy / MANIFEST).write_text(json.dumps({"format": 1, "sha256": body_digest(body), "body": body}))
    new = Places(str(tmp_path / "new" / "service.db"), str(tmp_path / "new" / "states"))
    assert restore_backup(copy, new).rows["agents"] == 8
    engine = connect(f"sqlite:///{new.store}")
    recorded = readable_state(engine).formats["episode"]
    engine.dispose()
    assert dataclasses.astuple(recorded) == (2, 2, "0.1.0")


def _as_0003(place: Path) -> None:
    """The store as the revision before tenants had it."""
    engine = connect(f"sqlite:///{place}")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.execution_options(write=True).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0003")
    engine.dispose()


def test_a_store_without_an_audit_log_is_upgraded_and_keeps_its_tokens(tmp_path: Path) -> None:
    """A token that was revoked before stays so, though the clock has been set back since."""
    place = unpacked("0.1", tmp_path) / "service.db"
    SqlStore(str(place)).close()
    _as_0003(place)
    later = time.time() + 3600
    statement = "INSERT INTO tokens VALUES (?, 'ab', 'read', 'team-', 'note', ?, ?)"
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.execute("DELETE FROM tokens")
        connection.execute("UPDATE agents SET updated_at = ?", (later,))
        rows = [("valid", 1.0, None), ("revoked", 1.0, later - 60), ("rotated", 1.0, later + 60)]
        connection.executemany(statement, rows)
    store = SqlStore(str(place))
    kept = {row.id: (row.revoked, row.revoked_at, row.most_agents) for row in store.tokens()}
    assert kept == {
        "valid": (False, None, None),
        "revoked": (True, later - 60, None),
        "rotated": (False, later + 60, None),
    }
    assert store.audit(AuditQuery()) == []
    assert len(store.agents("", 100)) == 8
    with closing(sqlite3.connect(place)) as connection, connection:  # a service of the version before goes on
        columns = "tokens (id, sha256, scopes, agent_prefix, note, created_at, revoked_at)"
        connection.execute(statement.replace("tokens", columns), ("new", 1.0, None))
    new = store.token("new")
    assert new is not None
    assert not new.revoked
    store.close()


def test_a_backup_without_an_audit_log_is_restored(tmp_path: Path) -> None:
    places = Places(str(tmp_path / "service.db"), str(tmp_path / "states"))
    store = SqlStore(places.store)
    store.add_token(TokenRow("t1", "ab" * 32, "read", "", "", 1.0))
    store.close()
    copy = tmp_path / "copy"
    back_up(places, copy)
    body = json.loads((copy / MANIFEST).read_text())["body"]
    body["revision"] = "0003"
    del body["rows"]["audit"], body["files"]["tables/audit.jsonl.gz"]
    tokens = copy / "tables" / "tokens.jsonl.gz"
    (row,) = [json.loads(line) for line in gzip.decompress(tokens.read_bytes()).splitlines()]
    old = {name: value for name, value in row.items() if name != "revoked" and not name.startswith("most_")}
    tokens.write_bytes(gzip.compress(json.dumps(old).encode()))
    body["files"]["tables/tokens.jsonl.gz"] = {"size": tokens.stat().st_size, "sha256": digest_of(tokens)}
    (copy / MANIFEST).write_text(json.dumps({"format": 1, "sha256": body_digest(body), "body": body}))
    restore_backup(copy, Places(str(tmp_path / "new.db"), str(tmp_path / "new")))
    restored = SqlStore(str(tmp_path / "new.db"))
    assert restored.tokens() == [TokenRow("t1", "ab" * 32, "read", "", "", 1.0)]
    restored.close()


def test_the_audit_log_is_in_the_backup_and_goes_on_after_it(tmp_path: Path) -> None:
    places = Places(str(tmp_path / "service.db"), str(tmp_path / "states"))
    store = SqlStore(places.store)
    entry = AuditRow(1.0, "t1", "delete_agent", "a", "192.0.2.1", "ok")
    for _ in range(3):
        store.add_audit(entry)
    rows = store.audit(AuditQuery())
    store.close()
    back_up(places, tmp_path / "copy")
    restore_backup(tmp_path / "copy", Places(str(tmp_path / "new.db"), str(tmp_path / "new")))
    restored = SqlStore(str(tmp_path / "new.db"))
    assert restored.audit(AuditQuery()) == rows
    restored.add_audit(entry)
    assert [row.id for row in restored.audit(AuditQuery())] == [1, 2, 3, 4]
    restored.close()


def test_a_backup_with_unreadable_formats_is_refused(tmp_path: Path) -> None:
    places = Places(str(tmp_path / "service.db"), str(tmp_path / "states"))
    SqlStore(places.store).close()
    back_up(places, tmp_path / "copy")
    manifest = tmp_path / "copy" / MANIFEST
    body = json.loads(manifest.read_text())["body"]
    body["formats"]["results"] = {"oldest": 1, "newest": 5, "written_by": "7.0"}
    manifest.write_text(json.dumps({"format": 1, "sha256": body_digest(body), "body": body}))
    with pytest.raises(InputError, match=r"Proctor 7.0 \(results: format 5\)"):
        restore_backup(tmp_path / "copy", Places(str(tmp_path / "new.db"), str(tmp_path / "new")))
    assert not (tmp_path / "new.db").exists()


def test_a_damaged_store_is_not_taken_for_an_old_one(tmp_path: Path) -> None:
    place = tmp_path / "service.db"
    place.write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    with pytest.raises(Exception, match=r"damaged|not a database") as error:
        SqlStore(str(place))
    assert not isinstance(error.value, InputError | CorruptArtifactError)
