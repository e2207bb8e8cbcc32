"""How the tables' classes reach the database: transactions, and rows as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import sqlalchemy as sa

from orchestration.service.store.connecting import service_errors
from orchestration.service.store.rows import text_bytes

Row = TypeVar("Row")
PARAMETERS = 500
"""Values per IN list; old versions of SQLite allow 999 parameters in all."""

READ_AT_ONCE = 8
"""Rows that a listing of bounded bytes reads at a time."""


class SqlTables:
    """Base of all roles in SQL.

    Args:
        engine: as `connect` makes it.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(write=True)
        self._unflushed = engine.execution_options(write=True, flush=False)

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with service_errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self, flush: bool = True) -> Iterator[sa.Connection]:
        with service_errors(), (self._writer if flush else self._unflushed).begin() as connection:
            yield connection

    def _all(self, kind: type[Row], query: sa.Select[Any]) -> list[Row]:
        with self._reading() as connection:
            return [_row(kind, values) for values in connection.execute(query).mappings()]

    def _until(self, kind: type[Row], query: sa.Select[Any], most_bytes: int | None) -> list[Row]:
        """Rows up to the one whose texts exceed so many bytes in all; later rows are not read."""
        rows: list[Row] = []
        size = 0
        with self._reading() as connection:
            for values in connection.execution_options(yield_per=READ_AT_ONCE).execute(query).mappings():
                rows.append(_row(kind, values))
                size += text_bytes(rows[-1])
                if most_bytes is not None and size > most_bytes:
                    break
        return rows

    def _first(self, kind: type[Row], query: sa.Select[Any]) -> Row | None:
        rows = self._all(kind, query.limit(1))
        return rows[0] if rows else None


def without_payload(table: sa.Table) -> list[sa.Column[Any]]:
    """All columns but the payload."""
    return [column for column in table.c if column.name != "payload"]


def _row(kind: type[Row], columns: Mapping[Any, Any]) -> Row:
    values = dict(columns)
    if "payload" in kind.__dataclass_fields__:  # type: ignore[attr-defined]
        values.setdefault("payload", b"")
    return kind(**values)
