"""`proctor upgrade` reads everything first, makes a backup, and leaves what it cannot read as it is."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from envsearch.errors import InputError
from orchestration.cli.app import app
from orchestration.cli.errors import run_app
from orchestration.service.store import formats
from orchestration.service.store.backup import Places, back_up
from orchestration.service.store.examining import examine
from orchestration.service.store.restoring import restore_backup
from orchestration.service.store.schema import REVISION
from orchestration.service.store.sql import SqlStore
from orchestration.service.store.upgrading import upgrade
from tests.orchestration.service.old_stores import files_in, unpacked


def places_in(home: Path) -> Places:
    return Places(str(home / "service.db"), str(home / "states"), str(home / "archive"))


def change(home: Path, statement: str, values: tuple[object, ...] = ()) -> None:
    with closing(sqlite3.connect(home / "service.db")) as connection, connection:
        connection.execute(statement, values)


def run(monkeypatch: pytest.MonkeyPatch, home: Path, *words: str) -> int:
    monkeypatch.setenv("PROCTOR_HOME", str(home))
    for name in ("PROCTOR_STORE", "PROCTOR_ARTIFACTS", "PROCTOR_ARCHIVE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit) as end:
        run_app(app, ["upgrade", *words])
    return int(str(end.value.code))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of a service with the store of release 0.1.0."""
    return unpacked("0.1", tmp_path / "home")


def test_the_check_says_what_is_due_and_changes_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files_in(home)
    assert run(monkeypatch, home, "--check") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("service.db, tables of revision 0002")
    assert lines[1] == "written   by Proctor 0.1.0"
    assert lines[2].startswith("formats   episode 2, state 1, settings 1")
    assert lines[3].startswith("payloads  all can be read: 23 settings, 32 episode, 2 history, 55 results")
    assert [line[:22] for line in lines[5:]] == ["due       tables 0003:", "due       tables 0004:"]
    assert files_in(home) == before


def test_an_upgrade_makes_a_backup_saves_states_and_migrates(home: Path, tmp_path: Path) -> None:
    done = upgrade(places_in(home), tmp_path / "copy")
    assert done.backup is not None
    assert done.backup.rows["agents"] == 8
    assert len(done.saved) == 7
    assert done.unsaved == {}
    store = SqlStore(str(home / "service.db"))
    for row in store.agents("", 100):
        assert store.snapshots(row.id)[-1].seq == row.last_seq
    store.close()
    after = examine(places_in(home))
    assert (after.revision, after.migrations, after.states) == (REVISION, (), 12)


def test_the_backup_before_an_upgrade_is_the_old_store(home: Path, tmp_path: Path) -> None:
    upgrade(places_in(home), tmp_path / "copy")
    body = json.loads((tmp_path / "copy" / "manifest.json").read_text())["body"]
    assert body["revision"] == "0002"
    assert "audit" not in body["rows"]
    restore_backup(tmp_path / "copy", places_in(tmp_path / "new"))
    restored = examine(places_in(tmp_path / "new"))
    assert restored.payloads["episode"] == 32
    assert restored.states == 5
    assert restored.writers == ("0.1.0",)


def test_a_current_store_is_left(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, home, "--backup", str(home / "copy")) == 0
    assert f"backup    {home / 'copy'}" in capsys.readouterr().out
    before = files_in(home)
    assert run(monkeypatch, home) == 0
    assert "done      nothing, the store is current" in capsys.readouterr().out
    assert run(monkeypatch, home, "--check", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["is_current"] is True
    assert files_in(home) == before


DAMAGE = {
    "an episode": ("UPDATE episodes SET payload = CAST('PEP2' AS BLOB) WHERE number = 1", "episode of agent"),
    "results": ("UPDATE events SET payload = x'00' WHERE kind = 'results'", "results of agent"),
    "settings": (
        "UPDATE agents SET settings = '{}' WHERE name = 'nightly'",
        "settings of agent nightly",
    ),
    "a newer format": ("UPDATE rewards SET payload = CAST('v9:x' AS BLOB)", "has version 9 of the format 'rewards'"),
}


@pytest.mark.parametrize("what", DAMAGE)
@pytest.mark.parametrize("words", [["--check"], []])
def test_what_cannot_be_read_is_refused_before_anything_is_changed(
    home: Path, what: str, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    statement, text = DAMAGE[what]
    change(home, statement)
    before = files_in(home)
    assert run(monkeypatch, home, *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert text in line
    assert "nothing was changed" in line
    assert files_in(home) == before


@pytest.mark.parametrize("words", [["--check"], []])
def test_a_store_of_another_time_is_refused_in_one_line(
    tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = unpacked("first", tmp_path / "first")
    before = files_in(first)
    assert run(monkeypatch, first, *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "was written by Proctor before 0.1.0 (episode: format 1) and was left unchanged" in line
    assert files_in(first) == before
    assert run(monkeypatch, tmp_path / "none", *words) == 2
    assert "there is no such store" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_lost_state_is_counted_and_made_again(home: Path, tmp_path: Path) -> None:
    for file in (home / "states").rglob("*.npz"):
        file.unlink()
    assert (examine(places_in(home)).states, examine(places_in(home)).lost_states) == (0, 5)
    assert len(upgrade(places_in(home), tmp_path / "copy").saved) == 8


def test_an_agent_whose_only_state_is_lost_is_refused(home: Path) -> None:
    change(home, "UPDATE agents SET base_seq = 1 WHERE name = 'nightly'")
    change(home, "DELETE FROM snapshots")
    with pytest.raises(InputError, match="agent nightly has no saved state"):
        examine(places_in(home))


def test_an_agent_with_code_of_its_own_is_migrated_and_its_code_is_not_run(home: Path, tmp_path: Path) -> None:
    change(home, "DELETE FROM snapshots")
    change(
        home,
        'UPDATE agents SET settings = replace(settings, \'"kind":"failure_rate"\', \'"kind":"no.such:Thing"\')',
    )
    done = upgrade(places_in(home), tmp_path / "copy")
    assert done.unsaved
    assert all("does not run the code that it names (no.such:Thing)" in reason for reason in done.unsaved.values())
    assert examine(places_in(home)).migrations == ()


def test_a_service_that_runs_on_the_store_goes_on(home: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(home / "service.db")) as old:
        assert old.execute("SELECT count(*) FROM agents").fetchone() == (8,)
        upgrade(places_in(home), tmp_path / "copy")
        columns = "(id, sha256, scopes, agent_prefix, note, created_at, revoked_at)"
        old.execute(f"INSERT INTO tokens {columns} VALUES ('new', 'ab', 'read', '', '', 1.0, NULL)")
        old.execute("UPDATE agents SET owner_epoch = owner_epoch + 1, updated_at = 2.0")
        old.commit()
    assert examine(places_in(home)).migrations == ()


def test_a_new_format_is_due_without_new_tables(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade(places_in(home), tmp_path / "copy")
    monkeypatch.setitem(formats.VERSIONS, "results", 2)
    monkeypatch.setitem(formats.UPCASTS, ("results", 1), lambda value: value)
    (step,) = examine(places_in(home)).migrations
    assert step == "format of results: 2 is written from now on; 1 to 1 stay readable"
    upgrade(places_in(home), tmp_path / "second")
    after = examine(places_in(home))
    assert (after.migrations, after.formats["results"].oldest, after.formats["results"].newest) == ((), 1, 2)


def test_an_old_store_can_be_backed_up_and_stays_old(home: Path, tmp_path: Path) -> None:
    back_up(places_in(home), tmp_path / "copy")
    assert examine(places_in(home)).revision == "0002"


def test_an_empty_database_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "service.db")) as connection:
        connection.execute("CREATE TABLE other (id INTEGER)")
    with pytest.raises(InputError, match="holds no tables"):
        examine(places_in(tmp_path))
