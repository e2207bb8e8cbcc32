"""Every check of `proctor doctor` finds what is wrong and says what to do, and changes nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from orchestration.cli.app import app
from orchestration.service import diagnosis
from orchestration.service.diagnosis import CHECKS, Finding, Surroundings, diagnose
from orchestration.service.store.sql import SqlStore
from orchestration.service.tokens import Scope, Tokens


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    """A machine on which nothing was made yet."""
    home = tmp_path / "home"
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"numpy=={metadata.version('numpy')}\nnot-installed-anywhere==1.0 # via dev\n", encoding="utf-8")
    return Surroundings(home, str(home / "service.db"), str(home / "states"), str(home / "archive"), {}, lock)


def found(around: Surroundings, check: str) -> Finding:
    (one,) = [finding for finding in diagnose(around) if finding.check == check]
    return one


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


def test_a_fresh_machine_is_well_and_stays_as_it_is(around: Surroundings) -> None:
    findings = list(diagnose(around))
    assert [finding.check for finding in findings] == list(CHECKS)
    assert [finding for finding in findings if not finding.ok or finding.fix] == []
    assert not around.home.exists()


def test_other_versions_than_the_locks(around: Surroundings) -> None:
    around.lock.write_text("numpy==0.0.1\n", encoding="utf-8")
    finding = found(around, "versions")
    assert not finding.ok
    assert "numpy" in finding.detail
    assert "0.0.1" in finding.detail
    assert finding.fix == f"pip install --requirement {around.lock}"
    assert found(replace(around, lock=around.home / "none"), "versions").ok


def test_an_old_python(around: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "OLDEST_PYTHON", (99, 0))
    assert "99.0" in found(around, "python").fix


def test_a_full_disk_and_a_closed_folder(around: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("os.access", lambda *_: False)
        assert "cannot be written" in found(around, "disk").detail
    monkeypatch.setattr(diagnosis, "FREE_BYTES", 1 << 60)
    assert "make room" in found(around, "disk").fix
    monkeypatch.setattr(diagnosis, "FREE_BYTES", 1)
    far = replace(around, store="postgresql://u:p@db/x", artifacts="s3://bucket/a", archive="")
    assert found(far, "disk").ok


def test_a_store_that_is_damaged_newer_or_away(around: Surroundings, silent: str) -> None:
    store = SqlStore(around.store)
    assert found(around, "store").ok
    with store._engine.execution_options(write=True).begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    assert "newer program" in found(around, "store").fix
    Path(around.store).write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    finding = found(around, "store")
    assert not finding.ok
    assert "PROCTOR_STORE" in finding.fix
    away = found(replace(around, store=f"postgresql://me:secret@{silent}/x"), "store")
    assert not away.ok
    assert "secret" not in f"{away.detail} {away.fix}"


def test_a_tracking_server_that_is_away(around: Surroundings, silent: str, listening: str) -> None:
    def told(url: str) -> Finding:
        return found(replace(around, environment={"PROCTOR_TRACKING": url}), "tracking")

    assert told(f"http://{listening}").ok
    assert told("sqlite:///mlflow.db").ok
    away = told(f"http://me:secret@{silent}")
    assert not away.ok
    assert "secret" not in away.detail


@pytest.mark.parametrize("address", ["{}", "ray://{}", "http://{}"])
def test_a_cluster_that_is_away(around: Surroundings, silent: str, listening: str, address: str) -> None:
    def told(place: str, **others: str) -> Finding:
        environment = {"RAY_ADDRESS": address.format(place), "RAY_AUTH_TOKEN_PATH": "/nowhere", **others}
        return found(replace(around, environment=environment), "ray")

    assert "ray start --head" in told(silent).fix
    assert "RAY_AUTH_TOKEN" in told(listening).fix
    assert told(listening, RAY_AUTH_TOKEN="x").ok
    assert told(listening, RAY_AUTH_MODE="disabled").ok


@pytest.mark.parametrize("address", ["here", ":1", "host:", "host:x"])
def test_an_address_that_is_none(around: Surroundings, address: str) -> None:
    assert "host:port" in found(replace(around, environment={"RAY_ADDRESS": address}), "ray").fix


def test_tokens_that_are_missing_wrong_or_ending(around: Surroundings) -> None:
    store = SqlStore(around.store)
    tokens = Tokens(store)
    assert "none" in found(around, "token").detail
    text, row = tokens.create([Scope.READ])
    assert found(around, "token").detail == "1 valid"
    assert found(replace(around, environment={"PROCTOR_TOKEN": text}), "token").ok
    tokens.rotate(row.id, 3600.0)
    assert f"ends within a week: {row.id}" in found(around, "token").detail
    wrong = found(replace(around, environment={"PROCTOR_TOKEN": text[:-1]}), "token")
    assert not wrong.ok
    assert text[:-1] not in wrong.detail + wrong.fix
    store.close()


def test_a_check_that_breaks_is_a_finding(around: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(_: Surroundings) -> diagnosis.Told:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setitem(CHECKS, "disk", breaks)
    assert found(around, "disk").detail == "RuntimeError: first line"
    assert found(around, "token").ok


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent: str) -> None:
    for name in ("PROCTOR_STORE", "PROCTOR_TRACKING", "MLFLOW_TRACKING_URI", "PROCTOR_TOKEN", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(diagnosis, "_versions", lambda _: (True, "", ""))
    monkeypatch.setitem(CHECKS, "versions", diagnosis._versions)
    options = ["doctor", "--home", str(tmp_path)]
    told = CliRunner().invoke(app, [*options, "--format", "json"])
    assert told.exit_code == 0, told.output
    assert [row["check"] for row in json.loads(told.stdout)] == list(CHECKS)
    monkeypatch.setenv("RAY_ADDRESS", silent)
    told = CliRunner().invoke(app, options)
    assert told.exit_code == 1
    (line,) = [line for line in told.stdout.splitlines() if line.startswith("wrong")]
    assert "fix: start the cluster" in line
    assert len(told.stdout.splitlines()) == len(CHECKS)
