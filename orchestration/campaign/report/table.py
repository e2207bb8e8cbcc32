"""A table of plain values, and how it is written as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass
from typing import Any

Cell = str | int | float | bool | None
Row = dict[str, Cell]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of plain values under fixed columns; every row has every column."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def csv_text(self) -> str:
        """RFC 4180 with a header line; None and numbers that are not finite are empty cells."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([_csv_cell(row[column]) for column in self.columns] for row in self.rows)
        return buffer.getvalue()

    def json_text(self) -> str:
        """A list of objects; numbers that are not finite are null."""
        rows = [{column: _finite(row[column]) for column in self.columns} for row in self.rows]
        return json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(cell: Cell) -> Cell:
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def _csv_cell(cell: Cell) -> str:
    value = _finite(cell)
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def flatten(value: Any, prefix: str = "") -> list[tuple[str, Cell]]:
    """Nested mappings as (dotted key, scalar); a list of scalars is one text."""
    if isinstance(value, dict):
        return [
            leaf for key, item in value.items() for leaf in flatten(item, f"{prefix}.{key}" if prefix else str(key))
        ]
    if isinstance(value, list | tuple):
        if any(isinstance(item, dict | list | tuple) for item in value):
            return [leaf for position, item in enumerate(value) for leaf in flatten(item, f"{prefix}[{position}]")]
        return [(prefix, " ".join(str(item) for item in value))]
    return [(prefix, value if value is None or isinstance(value, str | bool | int | float) else str(value))]
