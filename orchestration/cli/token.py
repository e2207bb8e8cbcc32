"""``proctor token``: make, rotate, revoke and list the bearer tokens of a service's store."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from envsearch.errors import StoreUnavailableError
from orchestration.cli.output import OutputFormat, print_json, print_rows
from orchestration.service.errors import UnavailableError
from orchestration.service.store.rows import TokenRow
from orchestration.service.tokens import Scope, Tokens

token = typer.Typer(
    help="Make, rotate, revoke and list the tokens of a service.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        envvar="PROCTOR_STORE",
        help="The service's store, a file or postgresql://... (default: service.db in the home)",
    ),
]
FormatOption = Annotated[OutputFormat, typer.Option("--format", help="How to print.")]


@token.command("create")
def create(
    scope: Annotated[list[Scope], typer.Option("--scope", help="What it may do; each includes those before it.")],
    agents: Annotated[str, typer.Option("--agents", help="Only agents whose name begins with this.")] = "",
    note: Annotated[str, typer.Option("--note", help="What it is for, for the list.")] = "",
    store: StoreOption = None,
    output_format: FormatOption = OutputFormat.TABLE,
) -> None:
    """Make a token. It is printed this once and kept nowhere."""
    text, row = _tokens(store).create(scope, agents, note)
    if output_format is OutputFormat.JSON:
        print_json({"token": text, **_told(row)})
        return
    print(text)
    print(f"id {row.id}; scopes {row.scopes}; keep the token now, it is not stored", file=sys.stderr)


@token.command("revoke")
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `proctor token list` shows it.")],
    store: StoreOption = None,
) -> None:
    """Revoke a token for good."""
    row = _tokens(store).revoke(token_id)
    print(f"token {row.id} is revoked")


@token.command("rotate")
def rotate(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `proctor token list` shows it.")],
    overlap_hours: Annotated[float, typer.Option(min=0, help="The old token works on for so long.")] = 24.0,
    store: StoreOption = None,
    output_format: FormatOption = OutputFormat.TABLE,
) -> None:
    """Make a token in the place of another; both work until the overlap is over. Services notice by themselves."""
    text, row = _tokens(store).rotate(token_id, 3600 * overlap_hours)
    if output_format is OutputFormat.JSON:
        print_json({"token": text, **_told(row), "replaces": token_id})
        return
    print(text)
    print(f"id {row.id}; {token_id} works on for {overlap_hours:g} hours", file=sys.stderr)


@token.command("list")
def list_tokens(store: StoreOption = None, output_format: FormatOption = OutputFormat.TABLE) -> None:
    """List the tokens; their secrets are not known here."""
    columns = ("id", "scopes", "agents", "note", "created_at", "revoked_at")
    print_rows([_told(row) for row in _tokens(store).all()], output_format, columns)


def _tokens(store: str | None) -> Tokens:
    """The tokens of the store; without one, of the store that `proctor serve` takes."""
    from orchestration.service.store.registry import state_store

    place = store or str(Path(os.environ.get("PROCTOR_HOME") or "proctor-data") / "service.db")
    try:
        return Tokens(state_store(place))
    except UnavailableError as error:
        raise StoreUnavailableError(error.detail, "store", "a database that this user may write", place) from error


def _told(row: TokenRow) -> dict[str, str | None]:
    return {
        "id": row.id,
        "scopes": row.scopes,
        "agents": row.agent_prefix,
        "note": row.note,
        "created_at": _time(row.created_at),
        "revoked_at": None if row.revoked_at is None else _time(row.revoked_at),
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
