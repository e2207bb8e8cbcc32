"""What all commands print results with: strict JSON on stdout, or a table for people."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 100
"""Columns of a table that is not printed to a terminal."""

STYLES = {
    "killed": "bold red",
    "survived": "green",
    "inconclusive": "yellow",
    "worse": "red",
    "better": "cyan",
}
"""Colour of a cell by its text; a table stays readable without colour."""


class OutputFormat(StrEnum):
    """What ``--format`` accepts."""

    JSON = "json"
    TABLE = "table"


def console() -> Console:
    """Where tables go: the terminal at its own width, anything else at a fixed one."""
    if sys.stdout.isatty():
        return Console()
    return Console(width=PIPE_WIDTH)


def print_rows(
    rows: Sequence[Mapping[str, Any]],
    output_format: OutputFormat,
    columns: Sequence[str] | None = None,
    title: str = "",
) -> None:
    """Print results as a JSON list of objects, or as a table with some of their fields.

    Args:
        columns: fields of the table, in order; None takes all fields of the first row.
    """
    if output_format is OutputFormat.JSON:
        print_json(rows)
        return
    shown = list(columns if columns is not None else rows[0] if rows else [])
    print_table(shown, [[row.get(name) for name in shown] for row in rows], title)


def print_json(value: Any) -> None:
    """Print strict JSON: NaN and infinity, which JSON lacks, become null."""
    print(json.dumps(json_value(value), indent=2, allow_nan=False, ensure_ascii=False))


def json_value(value: Any) -> Any:
    """Mappings, sequences, numbers (numpy's too) and texts as what the json module writes strictly."""
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return str(value)
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        return json_value(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    raise TypeError(f"{type(value).__name__} has no JSON form")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "") -> None:
    """Print a table; numbers are right-aligned, outcomes have their colour."""
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for index, name in enumerate(columns):
        numeric = any(_is_number(row[index]) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell_text(value) for value in row))
    console().print(table)


def cell_text(value: Any) -> Text:
    """One cell: None as a dash, numbers with three digits, lists joined, yes and no for truth."""
    if value is None:
        return Text("-", style="dim")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if _is_number(value):
        return Text(number_text(value))
    if isinstance(value, list | tuple):
        return Text(", ".join(str(item) for item in value))
    return Text(str(value), style=STYLES.get(str(value), ""))


def number_text(value: float) -> str:
    """A number in few characters: three digits, an exponent only where it is tiny or huge."""
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size >= 1e6 or 0 < size < 1e-3:
        return f"{value:.1e}"
    return f"{value:.0f}" if size >= 1000 else f"{value:.3g}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
