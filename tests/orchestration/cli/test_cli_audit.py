"""The audit log on the command line."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from envsearch.errors import InputError
from orchestration.cli import audit
from orchestration.cli.app import app, loaded
from orchestration.cli.errors import run_app
from orchestration.cli.token import token as token_commands
from orchestration.service.store.rows import AuditRow
from orchestration.service.store.sql import SqlStore


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A store with five entries."""
    place = tmp_path / "service.db"
    store = SqlStore(str(place))
    for number in range(5):
        agent, user = f"agent{number % 2}", f"t{number % 3}"
        store.add_audit(AuditRow(86_400.0 * number, user, "delete_agent", agent, "192.0.2.1", "ok"))
    store.close()
    return place


def shown(place: Path, *options: str) -> list[dict[str, str]]:
    """What the command prints as JSON."""
    words = [*options, "--store", str(place), "--format", "json"]
    result = CliRunner().invoke(_command(), words)
    assert result.exit_code == 0, result.output
    rows: list[dict[str, str]] = json.loads(result.stdout)
    return rows


def _command() -> typer.Typer:
    app = typer.Typer()
    app.command("audit")(audit.audit)
    return app


def test_entries_are_shown_and_chosen(place: Path) -> None:
    assert loaded("audit").name == "audit"
    rows = shown(place)
    assert [row["at"][:10] for row in rows] == [f"1970-01-0{day}" for day in range(1, 6)]
    assert rows[0] | {"id": 0, "at": ""} == {
        "id": 0,
        "at": "",
        "token_id": "t0",
        "action": "delete_agent",
        "subject": "agent0",
        "origin": "192.0.2.1",
        "outcome": "ok",
    }
    assert [row["id"] for row in shown(place, "--limit", "2")] == [row["id"] for row in rows[3:]]
    assert len(shown(place, "--subject", "agent1")) == 2
    assert len(shown(place, "--token", "t0", "--since", "1970-01-02")) == 1


def test_a_line_of_the_table_is_one_entry(place: Path) -> None:
    result = CliRunner().invoke(_command(), ["--store", str(place)])
    (line,) = [line for line in result.stdout.splitlines() if "1970-01-02" in line]
    assert line.split() == ["1970-01-02T00:00:00Z", "t1", "delete_agent", "agent1", "192.0.2.1", "ok"]


def test_all_entries_are_exported_as_lines(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "PAGE", 2)
    target = tmp_path / "audit.jsonl"
    words = ["--store", str(place), "--export", str(target)]
    result = CliRunner().invoke(_command(), words)
    assert result.stdout == f"5 entries exported to {target}\n"
    assert [json.loads(line) for line in target.read_text().splitlines()] == shown(place)
    again = CliRunner().invoke(_command(), words)
    assert isinstance(again.exception, InputError)
    assert "File exists" in str(again.exception)


def test_commands_about_tokens_name_their_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ann")
    place = tmp_path / "new.db"
    options = ["--max-agents", "3", "--max-open-episodes", "20", "--max-stored-mib", "0.5", "--max-rate", "2.5"]
    words = ["create", "--scope", "admin", *options, "--store", str(place)]
    assert CliRunner().invoke(token_commands, words).exit_code == 0
    (row,) = shown(place)
    assert (row["action"], row["origin"], row["token_id"]) == ("token create", "command of ann", "")
    listed = CliRunner().invoke(token_commands, ["list", "--store", str(place), "--format", "json"])
    (quotas,) = [row["quotas"] for row in json.loads(listed.stdout)]
    assert quotas == {"agents": 3, "open_episodes": 20, "stored_bytes": 524_288, "requests_per_second": 2.5}
    table = CliRunner().invoke(token_commands, ["list", "--store", str(place)])
    assert "agents=3" in table.stdout


DOCS = Path(__file__).parents[3] / "docs"
COMMANDS = ("    proctor audit", "    proctor token create")


@pytest.mark.parametrize("page", ["operating.md", "service.md"])
def test_the_commands_of_the_documentation_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROCTOR_STORE", raising=False)
    monkeypatch.setenv("PROCTOR_HOME", str(tmp_path / "home"))
    lines = [line for line in (DOCS / page).read_text().splitlines() if line.startswith(COMMANDS)]
    assert lines
    for line in lines:
        with pytest.raises(SystemExit) as end:
            run_app(app, shlex.split(line, comments=True)[1:])
        assert end.value.code in (0, None), line
