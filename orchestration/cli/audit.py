"""``proctor audit``: who made, changed, deleted and restored agents and tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from envsearch.errors import InputError
from orchestration.cli.output import OutputFormat, print_rows
from orchestration.cli.stores import StoreOption, store_of, store_place

if TYPE_CHECKING:
    from orchestration.service.store.roles import AuditTable
    from orchestration.service.store.rows import AuditQuery, AuditRow

PAGE = 1000
_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


def audit(
    subject: Annotated[str, typer.Option("--subject", help="Only entries about this agent or this token id.")] = "",
    token: Annotated[str, typer.Option("--token", help="Only calls with the token of this id.")] = "",
    since: Annotated[
        datetime | None, typer.Option("--since", help="Only entries from this time on (UTC).", formats=_FORMATS)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Newest entries that are shown.")] = 100,
    export: Annotated[
        Path | None, typer.Option("--export", help="Write all entries into a new file, as JSON lines.")
    ] = None,
    store: StoreOption = None,
    output_format: Annotated[OutputFormat, typer.Option("--format", help="How to print.")] = OutputFormat.TABLE,
) -> None:
    """Show the audit log of a service, or export it. The service may run."""
    from orchestration.service.store.rows import AuditQuery

    start = since.replace(tzinfo=UTC).timestamp() if since is not None else 0.0
    query = AuditQuery(subject=subject, token_id=token, since=start)
    with store_of(store_place(store)) as opened:
        if export is not None:
            print(f"{_exported(opened, query, export)} entries exported to {export}")
            return
        rows = opened.audit(replace(query, limit=limit, newest=True))
    columns = ("at", "token_id", "action", "subject", "origin", "outcome")
    shown = [_fields(row) for row in rows]
    if output_format is OutputFormat.TABLE:  # milliseconds would not fit into the width of a pipe
        shown = [{**row, "at": f"{row['at'][:19]}Z"} for row in shown]
    print_rows(shown, output_format, columns)


def _exported(table: AuditTable, query: AuditQuery, place: Path) -> int:
    """Write the entries, the oldest first; their number.

    Raises:
        InputError: the file exists, or cannot be written.
    """
    count = 0
    try:
        with place.expanduser().open("x", encoding="utf-8") as file:
            for row in _entries(table, query):
                file.write(json.dumps(_fields(row)) + "\n")
                count += 1
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", "export", "a new file", str(place)) from error
    return count


def _entries(table: AuditTable, query: AuditQuery) -> Iterator[AuditRow]:
    while rows := table.audit(replace(query, limit=PAGE)):
        yield from rows
        query = replace(query, after=rows[-1].id)


def _fields(row: AuditRow) -> dict[str, Any]:
    at = datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {**asdict(row), "at": at}
