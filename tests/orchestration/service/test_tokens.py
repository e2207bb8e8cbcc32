"""Tokens: created, verified, refused, revoked; their secrets are not stored."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from envsearch.errors import InputError
from orchestration.cli.token import token as token_commands
from orchestration.service.quotas import Quotas
from orchestration.service.store.rows import AuditQuery
from orchestration.service.store.sql import SqlStore
from orchestration.service.tokens import Scope, Tokens


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the store lies."""
    return tmp_path / "service.db"


@pytest.fixture
def tokens(place: Path) -> Tokens:
    """The tokens of an empty store."""
    return Tokens(SqlStore(str(place)))


def test_a_token_grants_what_it_was_made_for(tokens: Tokens) -> None:
    text, row = tokens.create([Scope.RECOMMEND], "team-", "ci")
    grant = tokens.verify(text)
    assert grant is not None
    assert grant.token_id == row.id
    assert [grant.allows(scope) for scope in (Scope.READ, Scope.RECOMMEND, Scope.ADMIN)] == [True, True, False]
    assert grant.sees("team-a")
    assert not grant.sees("other")


def test_tokens_differ_and_their_secret_is_nowhere_in_the_database(tokens: Tokens, place: Path) -> None:
    texts = [tokens.create([Scope.ADMIN])[0] for _ in range(3)]
    assert len(set(texts)) == 3
    stored = b"".join(path.read_bytes() for path in place.parent.iterdir())
    for text in texts:
        assert text.split("_", 2)[2].encode() not in stored


def test_an_unknown_text_is_refused(tokens: Tokens) -> None:
    text, row = tokens.create([Scope.READ])
    wrong = text[:-1] + ("A" if text[-1] != "A" else "B")
    unknown = text.replace(row.id, "0" * 12)
    for unknown_text in ("", "proctor_", wrong, unknown, text + "x", " " + text, row.sha256, "é" * 70):
        assert tokens.verify(unknown_text) is None
    assert tokens.verify(text) is not None


def test_a_revoked_token_is_refused_and_stays_listed(tokens: Tokens) -> None:
    text, row = tokens.create([Scope.READ])
    other, _ = tokens.create([Scope.READ])
    assert tokens.verify(text) is not None
    assert tokens.in_use()
    tokens.revoke(row.id)
    assert tokens.verify(text) is None
    assert tokens.verify(other) is not None
    assert [listed.revoked_at is None for listed in tokens.all()] == [False, True]
    tokens.revoke(tokens.all()[1].id)
    assert not tokens.in_use()


def test_another_process_notices_a_revocation(tokens: Tokens, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestration.service.tokens.TRUSTED_SECONDS", -1.0)
    text, row = tokens.create([Scope.READ])
    assert tokens.verify(text) is not None
    Tokens(SqlStore(str(place))).revoke(row.id)
    assert tokens.verify(text) is None


HOUR = 3600.0


def set_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr("orchestration.service.tokens.time.time", lambda: seconds)


def test_a_clock_that_is_set_back_revives_no_token(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, 10 * HOUR)
    revoked, row = tokens.create([Scope.ADMIN])
    tokens.revoke(row.id)
    rotated, row = tokens.create([Scope.ADMIN])
    tokens.rotate(row.id, 1 * HOUR)
    unused, row = tokens.create([Scope.ADMIN])
    tokens.rotate(row.id, 1 * HOUR)
    set_clock(monkeypatch, 9 * HOUR)
    assert tokens.verify(revoked) is None
    tokens._trust_nobody()
    assert tokens.verify(rotated) is not None
    tokens._trust_nobody()
    set_clock(monkeypatch, 11 * HOUR)
    assert tokens.verify(rotated) is None
    tokens.expire()  # what a service does each minute: nobody called with the third token after it expired
    set_clock(monkeypatch, 0.0)
    assert [tokens.verify(text) for text in (revoked, rotated, unused)] == [None, None, None]


def test_of_rotations_at_once_one_makes_a_token(tokens: Tokens, place: Path) -> None:
    _, row = tokens.create([Scope.ADMIN])

    def rotate(_: int) -> str | None:
        own = Tokens(SqlStore(str(place)))
        try:
            return own.rotate(row.id, HOUR)[0]
        except InputError:
            return None

    with ThreadPoolExecutor(8) as threads:
        made = [text for text in threads.map(rotate, range(8)) if text is not None]
    assert len(made) == 1
    assert tokens.verify(made[0]) is not None
    assert [listed.revoked_at is None for listed in tokens.all()].count(True) == 1


def test_quotas_are_granted_and_pass_to_the_successor(tokens: Tokens) -> None:
    quotas = Quotas(3, 20, 2**20, 5.0)
    text, row = tokens.create([Scope.ADMIN], "team-", quotas=quotas)
    successor, _ = tokens.rotate(row.id, HOUR)
    grants = [tokens.verify(text), tokens.verify(successor)]
    assert [grant and grant.quotas for grant in grants] == [quotas, quotas]


@pytest.mark.parametrize(
    ("quotas", "field"),
    [(Quotas(-1), "agents"), (Quotas(stored_bytes=-5), "stored_bytes"), (Quotas(None, None, None, 0.0), "requests")],
)
def test_a_quota_that_makes_no_sense_is_refused(tokens: Tokens, quotas: Quotas, field: str) -> None:
    with pytest.raises(InputError, match=field):
        tokens.create([Scope.READ], quotas=quotas)
    assert tokens.all() == []


def test_changes_of_tokens_are_in_the_audit_log_without_secrets(place: Path) -> None:
    store = SqlStore(str(place))
    tokens = Tokens(store, "command of ann")
    text, first = tokens.create([Scope.READ])
    successor, second = tokens.rotate(first.id, HOUR)
    tokens.revoke(second.id)
    rows = store.audit(AuditQuery())
    actions = ["token create", "token rotate", "token create", "token revoke"]
    assert [(row.action, row.subject) for row in rows] == list(
        zip(actions, [first.id, first.id, second.id, second.id], strict=True)
    )
    assert {(row.origin, row.outcome) for row in rows} == {("command of ann", "ok")}
    assert not any(secret.split("_", 2)[2] in repr(rows) for secret in (text, successor))


@pytest.mark.parametrize(("scopes", "prefix"), [([], ""), ([Scope.READ], "a/b"), ([Scope.READ], ".hidden")])
def test_a_token_that_means_nothing_is_not_made(tokens: Tokens, scopes: list[Scope], prefix: str) -> None:
    with pytest.raises(InputError):
        tokens.create(scopes, prefix)
    assert tokens.all() == []


def test_the_command_line_makes_lists_and_revokes(place: Path) -> None:
    runner = CliRunner()
    options = ["--store", str(place)]
    result = runner.invoke(token_commands, ["create", "--scope", "admin", "--format", "json", *options])
    created = json.loads(result.stdout)
    grant = Tokens(SqlStore(str(place))).verify(created["token"])
    assert grant is not None
    assert grant.allows(Scope.ADMIN)
    assert runner.invoke(token_commands, ["revoke", created["id"], *options]).exit_code == 0
    listed = json.loads(runner.invoke(token_commands, ["list", "--format", "json", *options]).stdout)
    assert [(row["id"], row["revoked_at"] is None) for row in listed] == [(created["id"], False)]
    assert "token" not in listed[0]
    elsewhere = runner.invoke(token_commands, ["list", "--format", "json"], env={"PROCTOR_STORE": str(place)})
    assert [row["id"] for row in json.loads(elsewhere.stdout)] == [created["id"]], "the store of `proctor serve`"
    missing = runner.invoke(token_commands, ["revoke", "nobody", *options])
    assert isinstance(missing.exception, InputError)


def test_a_damaged_store_is_reported_in_one_line(place: Path) -> None:
    """In a process of its own: there Python prints log lines that nobody handles."""
    place.write_bytes(b"this is not a database" * 100)
    command = [sys.executable, "-m", "orchestration", "token", "list", "--store", str(place)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {place}: store: the store is damaged (file is not a database); expected a backup")
    assert line.endswith("then run `proctor restore`")
