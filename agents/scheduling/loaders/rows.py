"""Rows of a delimited text file, with the line of each, and checked cells."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from envsearch.errors import InputError

_LARGEST_CELL = 16 * 1024 * 1024
"""Characters; RETECS files keep whole lists in one cell."""

LONGEST_VALUE = 4096
"""Characters of a cell that is used."""

MOST_BYTES = 4 << 30
MOST_ROWS = 20_000_000

Row = tuple[int, list[str]]


def read_rows(path: Path, delimiter: str, columns: Sequence[str]) -> Iterator[Row]:
    """(line, cells of these columns) of each row; blank lines are skipped.

    Raises:
        InputError: the file cannot be read or lacks a column, a row has too few or too many cells, a bound is exceeded.
    """
    csv.field_size_limit(max(csv.field_size_limit(), _LARGEST_CELL))
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError("is too large", "", f"at most {MOST_BYTES >> 30} GiB", str(path))
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _rows(csv.reader(file, delimiter=delimiter, strict=True), path, columns)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", source=str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError(f"byte {error.start} is not UTF-8", "", "a text file in UTF-8", str(path)) from error


def header(path: Path) -> str:
    """The first line of a text file.

    Raises:
        InputError: the file cannot be read or is empty.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            line = file.readline(65_536).strip()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", source=str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError(f"byte {error.start} is not UTF-8", "", "a text file in UTF-8", str(path)) from error
    if not line:
        raise InputError("is empty", "line 1", "a line with the names of the columns", str(path))
    return line


def delimiter_of(first: str) -> str:
    """What separates the names of the columns in a header: the most frequent of ``;``, ``,``, tab and ``|``."""
    return max(";,\t|", key=first.count)


def _rows(reader: Iterator[list[str]], path: Path, columns: Sequence[str]) -> Iterator[Row]:
    lines = _with_lines(reader, path)
    _, names = next(lines, (1, []))
    names = [name.strip().lower() for name in names]
    missing = [name for name in columns if name.lower() not in names]
    if missing:
        raise InputError(f"has no column {', '.join(missing)}", "line 1", f"columns {', '.join(columns)}", str(path))
    doubled = [name for name in columns if names.count(name.lower()) > 1]
    if doubled:
        raise InputError(f"has several columns {', '.join(doubled)}", "line 1", "one column of each name", str(path))
    places = [names.index(name.lower()) for name in columns]
    for number, (line, cells) in enumerate(lines):
        if not cells:
            continue
        if number >= MOST_ROWS:
            raise InputError("has too many rows", f"line {line}", f"at most {MOST_ROWS}", str(path))
        if len(cells) != len(names):
            raise InputError(f"{len(cells)} cells", f"line {line}", f"{len(names)} as in line 1", str(path))
        values = [cells[place].strip() for place in places]
        if max(map(len, values)) > LONGEST_VALUE:
            name = columns[[len(value) > LONGEST_VALUE for value in values].index(True)]
            raise InputError("is too long", f"line {line}, {name}", f"at most {LONGEST_VALUE} characters", str(path))
        yield line, values


def _with_lines(reader: Iterator[list[str]], path: Path) -> Iterator[Row]:
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(str(error), f"line {reader.line_num}", "well-formed csv", str(path)) from error  # type: ignore[attr-defined]
        yield reader.line_num, cells  # type: ignore[attr-defined]


def whole_number(text: str, where: str, source: str) -> int:
    """An integer cell; ``3.0`` counts as one.

    Raises:
        InputError: it is not a whole number.
    """
    try:
        number = float(text)
        if number == math.floor(number):
            return int(text) if text.lstrip("+-").isdigit() else int(number)
    except (ValueError, OverflowError):
        pass
    raise InputError(shown(text), where, "a whole number", source)


def seconds(text: str, where: str, source: str, unit: float = 1.0) -> float:
    """A duration cell in seconds, given in `unit` seconds.

    Raises:
        InputError: it is not a finite number of at least 0.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0.0):
        raise InputError(shown(text), where, "a finite number of at least 0", source)
    return number * unit


def shown(value: object) -> str:
    """A value for a message, shortened if it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
