"""``proctor token``: create, rotate, revoke and list the bearer tokens of a service."""

from __future__ import annotations

import sys
from dataclasses import fields
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from orchestration.cli.output import OutputFormat, print_json, print_rows
from orchestration.cli.stores import StoreOption, store_place, tokens_of
from orchestration.service.quotas import Quotas
from orchestration.service.store.rows import TokenRow
from orchestration.service.tokens import Scope

token = typer.Typer(
    help="Create, rotate, revoke and list the tokens of a service.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

QUOTAS = tuple(field.name for field in fields(Quotas))
FormatOption = Annotated[OutputFormat, typer.Option("--format", help="How to print.")]


@token.command("create")
def create(
    scope: Annotated[
        list[Scope], typer.Option("--scope", help="What the token may do; each scope includes the scopes before it.")
    ],
    agents: Annotated[str, typer.Option("--agents", help="Only agents whose name begins with this.")] = "",
    note: Annotated[str, typer.Option("--note", help="What it is for, for the list.")] = "",
    max_agents: Annotated[int | None, typer.Option(min=0, help="Most agents of the prefix.")] = None,
    max_open_episodes: Annotated[int | None, typer.Option(min=0, help="Most episodes without a reward.")] = None,
    max_stored_mib: Annotated[
        float | None, typer.Option("--max-stored-mib", min=0, help="MiB in the store; then nothing new is begun.")
    ] = None,
    max_rate: Annotated[float | None, typer.Option(min=0.01, help="Requests per second, per replica.")] = None,
    store: StoreOption = None,
    output_format: FormatOption = OutputFormat.TABLE,
) -> None:
    """Create a token. It is printed once and never stored."""
    stored_bytes = None if max_stored_mib is None else int(max_stored_mib * 2**20)
    quotas = Quotas(max_agents, max_open_episodes, stored_bytes, max_rate)
    with tokens_of(store_place(store)) as tokens:
        text, row = tokens.create(scope, agents, note, quotas)
    if output_format is OutputFormat.JSON:
        print_json({"token": text, **_fields(row)})
        return
    print(text)
    print(f"id {row.id}; scopes {row.scopes}; save the token now, it is not stored", file=sys.stderr)


@token.command("revoke")
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The id that `proctor token list` shows.")],
    store: StoreOption = None,
) -> None:
    """Revoke a token for good."""
    with tokens_of(store_place(store)) as tokens:
        row = tokens.revoke(token_id)
    print(f"token {row.id} is revoked")


@token.command("rotate")
def rotate(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The id that `proctor token list` shows.")],
    overlap_hours: Annotated[float, typer.Option(min=0, help="How long the old token still works.")] = 24.0,
    store: StoreOption = None,
    output_format: FormatOption = OutputFormat.TABLE,
) -> None:
    """Replace a token with a new one; both work until the overlap is over. No restart is needed."""
    with tokens_of(store_place(store)) as tokens:
        text, row = tokens.rotate(token_id, 3600 * overlap_hours)
    if output_format is OutputFormat.JSON:
        print_json({"token": text, **_fields(row), "replaces": token_id})
        return
    print(text)
    print(f"id {row.id}; {token_id} works for {overlap_hours:g} more hours", file=sys.stderr)


@token.command("list")
def list_tokens(store: StoreOption = None, output_format: FormatOption = OutputFormat.TABLE) -> None:
    """List the tokens; their secrets are not stored."""
    columns = ("id", "scopes", "agents", "note", "created_at", "revoked_at", "quotas")
    with tokens_of(store_place(store)) as tokens:
        rows = tokens.all()
    shown = [_fields(row) for row in rows]
    if output_format is OutputFormat.TABLE:
        shown = [{**row, "quotas": [f"{name}={most:g}" for name, most in row["quotas"].items()]} for row in shown]
    print_rows(shown, output_format, columns)


def _fields(row: TokenRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "scopes": row.scopes,
        "agents": row.agent_prefix,
        "note": row.note,
        "created_at": _time(row.created_at),
        "revoked_at": None if row.revoked_at is None else _time(row.revoked_at),
        "revoked": row.revoked,
        "quotas": {name: most for name in QUOTAS if (most := getattr(row, f"most_{name}")) is not None},
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
