"""Every check of `proctor doctor` finds what is wrong and says what to do, and changes nothing."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from orchestration.cli import diagnosis
from orchestration.cli.app import app
from orchestration.cli.diagnosis import CHECKS, Finding, Installation, diagnose
from orchestration.service.store.sql import SqlStore
from orchestration.service.tokens import Scope, Tokens


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """A machine on which nothing was made yet."""
    home = tmp_path / "home"
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"numpy=={metadata.version('numpy')}\nnot-installed-anywhere==1.0 # via dev\n", encoding="utf-8")
    return Installation(home, str(home / "service.db"), str(home / "states"), str(home / "archive"), {}, lock)


def finding_for(installation: Installation, check: str) -> Finding:
    (match,) = [finding for finding in diagnose(installation) if finding.check == check]
    return match


@pytest.fixture
def listening() -> Iterator[str]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(5)
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def silent() -> str:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{server.getsockname()[1]}"


def test_a_fresh_machine_is_well_and_stays_as_it_is(installation: Installation) -> None:
    findings = list(diagnose(installation))
    assert [finding.check for finding in findings] == list(CHECKS)
    assert [finding for finding in findings if not finding.ok or finding.fix] == []
    assert not installation.home.exists()


def test_other_versions_than_the_locks(installation: Installation) -> None:
    installation.lock.write_text("numpy==0.0.1\n", encoding="utf-8")
    finding = finding_for(installation, "versions")
    assert not finding.ok
    assert "numpy" in finding.detail
    assert "0.0.1" in finding.detail
    assert finding.fix == f"pip install --no-deps --requirement {installation.lock}"
    assert finding_for(replace(installation, lock=installation.home / "none"), "versions").ok


def test_an_old_python(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "OLDEST_PYTHON", (99, 0))
    assert "99.0" in finding_for(installation, "python").fix


def test_a_full_disk_and_a_closed_folder(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "access", lambda *_: False)
        assert "cannot be written" in finding_for(installation, "disk").detail
    monkeypatch.setattr(diagnosis, "FREE_BYTES", 1 << 60)
    assert "make room" in finding_for(installation, "disk").fix
    monkeypatch.setattr(diagnosis, "FREE_BYTES", 1)
    far = replace(installation, store="postgresql://u:p@db/x", artifacts="s3://bucket/a", archive="")
    assert finding_for(far, "disk").ok


def test_a_store_that_is_damaged_newer_or_away(installation: Installation, silent: str) -> None:
    store = SqlStore(installation.store)
    assert finding_for(installation, "store").ok
    with store._engine.execution_options(write=True).begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    assert "by a newer Proctor (tables of revision 9999)" in finding_for(installation, "store").detail
    Path(installation.store).write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    finding = finding_for(installation, "store")
    assert not finding.ok
    assert "PROCTOR_STORE" in finding.fix
    away = finding_for(replace(installation, store=f"postgresql://me:secret@{silent}/x"), "store")
    assert not away.ok
    assert "secret" not in f"{away.detail} {away.fix}"


def test_a_tracking_server_that_is_away(installation: Installation, silent: str, listening: str) -> None:
    def finding_of(url: str) -> Finding:
        return finding_for(replace(installation, environment={"PROCTOR_TRACKING": url}), "tracking")

    assert finding_of(f"http://{listening}").ok
    assert finding_of("sqlite:///mlflow.db").ok
    away = finding_of(f"http://me:secret@{silent}")
    assert not away.ok
    assert "secret" not in away.detail


@pytest.mark.parametrize("address", ["{}", "ray://{}", "http://{}"])
def test_a_cluster_that_is_away(installation: Installation, silent: str, listening: str, address: str) -> None:
    def finding_of(place: str, **others: str) -> Finding:
        environment = {"RAY_ADDRESS": address.format(place), "RAY_AUTH_TOKEN_PATH": "/nowhere", **others}
        return finding_for(replace(installation, environment=environment), "ray")

    assert "ray start --head" in finding_of(silent).fix
    assert "RAY_AUTH_TOKEN" in finding_of(listening).fix
    assert finding_of(listening, RAY_AUTH_TOKEN="x").ok
    assert finding_of(listening, RAY_AUTH_MODE="disabled").ok


@pytest.mark.parametrize("address", ["here", ":1", "host:", "host:x"])
def test_an_address_that_is_none(installation: Installation, address: str) -> None:
    assert "host:port" in finding_for(replace(installation, environment={"RAY_ADDRESS": address}), "ray").fix


def test_tokens_that_are_missing_wrong_or_ending(installation: Installation) -> None:
    store = SqlStore(installation.store)
    tokens = Tokens(store)
    assert "none" in finding_for(installation, "token").detail
    text, row = tokens.create([Scope.READ])
    assert finding_for(installation, "token").detail == "1 valid"
    assert finding_for(replace(installation, environment={"PROCTOR_TOKEN": text}), "token").ok
    tokens.rotate(row.id, 3600.0)
    assert f"expires within a week: {row.id}" in finding_for(installation, "token").detail
    wrong = finding_for(replace(installation, environment={"PROCTOR_TOKEN": text[:-1]}), "token")
    assert not wrong.ok
    assert text[:-1] not in wrong.detail + wrong.fix
    store.close()


def test_an_expired_token_is_reported_and_not_revoked(installation: Installation) -> None:
    store = SqlStore(installation.store)
    text, row = Tokens(store).create([Scope.READ])
    Tokens(store).rotate(row.id, 3600.0)
    with store._engine.execution_options(write=True).begin() as connection:
        connection.execute(sa.text("UPDATE tokens SET revoked_at = 1.0 WHERE id = :id"), {"id": row.id})
    before = store.tokens()
    assert not finding_for(replace(installation, environment={"PROCTOR_TOKEN": text}), "token").ok
    assert store.tokens() == before
    assert not next(token for token in before if token.id == row.id).revoked
    store.close()


def files_in(home: Path) -> dict[Path, tuple[bytes, int, int]]:
    """Content, permissions and time of the last change of every file."""
    files = (path for path in home.rglob("*") if path.is_file())
    return {path: (path.read_bytes(), path.stat().st_mode, path.stat().st_mtime_ns) for path in files}


def test_no_file_of_the_store_is_created_or_changed(installation: Installation) -> None:
    store = SqlStore(installation.store)
    text, _ = Tokens(store).create([Scope.READ])
    store.close()
    Path(installation.store).chmod(0o644)
    before = files_in(installation.home)
    assert all(finding.ok for finding in diagnose(replace(installation, environment={"PROCTOR_TOKEN": text})))
    assert files_in(installation.home) == before


def test_a_check_that_breaks_is_a_finding(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(_: Installation) -> diagnosis.Outcome:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setitem(CHECKS, "disk", breaks)
    assert finding_for(installation, "disk").detail == "RuntimeError: first line"
    assert finding_for(installation, "token").ok


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent: str) -> None:
    for name in ("PROCTOR_STORE", "PROCTOR_TRACKING", "MLFLOW_TRACKING_URI", "PROCTOR_TOKEN", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(diagnosis, "_versions", lambda _: (True, "", ""))
    monkeypatch.setitem(CHECKS, "versions", diagnosis._versions)
    options = ["doctor", "--home", str(tmp_path)]
    result = CliRunner().invoke(app, [*options, "--format", "json"])
    assert result.exit_code == 0, result.output
    assert [row["check"] for row in json.loads(result.stdout)] == list(CHECKS)
    monkeypatch.setenv("RAY_ADDRESS", silent)
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 1
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("wrong")]
    assert "fix: start the cluster" in line
    assert len(result.stdout.splitlines()) == len(CHECKS)
