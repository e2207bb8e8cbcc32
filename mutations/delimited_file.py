"""A user's CSV file in, with every mistake named by file, line and column.

The csv module reads it, not pandas: a mutant may be called ``NA`` or ``None``, and an error must know its line.
"""

from __future__ import annotations

import csv
import difflib
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envsearch.errors import InputError

_MISSING = {"", "na", "n/a", "nan", "null", "none"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z")

MOST_BYTES = 256 << 20
MOST_COLUMNS = 10_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line that is not blank: its number in the file (from 1) and its cells, without outer spaces."""

    number: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One line under a header."""

    source: str
    line: int
    values: Mapping[str, str]

    def where(self, column: str) -> str:
        """How an error names one cell."""
        return f"line {self.line}: {column}"

    def text(self, column: str) -> str:
        """A cell that must not be empty.

        Raises:
            InputError: it is empty.
        """
        value = self.values[column]
        if not value:
            raise InputError("the cell is empty", self.where(column), "a name", self.source)
        return value

    def number(self, column: str) -> float:
        """A cell that must hold a finite number; `InputError` if it does not."""
        return finite_number(self.values[column], self.where(column), self.source)

    def reward(self, column: str) -> float:
        """A cell that must hold a reward, see `reward_number`."""
        return reward_number(self.values[column], self.where(column), self.source)

    def integer(self, column: str) -> int:
        """A cell that must hold a whole number; ``3.0`` is one. `InputError` if it does not."""
        value = self.number(column)
        if value != int(value):
            raise InputError(f"{self.values[column]!r} is not whole", self.where(column), "a whole number", self.source)
        return int(value)


def finite_number(text: str, field: str, source: str) -> float:
    """The number in a cell.

    Raises:
        InputError: the cell is empty, holds a word for "missing", something else than a number, or infinity.
    """
    if text.lower() in _MISSING:
        raise InputError(f"{text!r} is a missing value", field, "a finite number", source)
    if text.lower().lstrip("+-") in {"inf", "infinity"}:
        raise InputError(f"{text!r} is infinite", field, "a finite number", source)
    if not _NUMBER.match(text):
        raise InputError(f"{text!r} is not a number", field, "a finite number, with a point", source)
    value = float(text)
    if not math.isfinite(value):
        raise InputError(f"{text!r} is too large", field, "a finite number", source)
    return value


def reward_number(text: str, field: str, source: str) -> float:
    """The reward in a cell: a finite number, or ``-inf`` for a dead agent; `InputError` if it is neither."""
    return -math.inf if text.lower() == "-inf" else finite_number(text, field, source)


def is_number(text: str) -> bool:
    """Whether a cell looks like a number, or like a missing one."""
    return bool(_NUMBER.match(text)) or text.lower().lstrip("+-") in _MISSING | {"inf", "infinity"}


def read_lines(path: Path) -> tuple[Line, ...]:
    """All lines of a file that are not blank; cells part at ``;`` where the first line has more of them than ``,``.

    A byte order mark, Windows line ends and spaces around cells are accepted.

    Raises:
        InputError: the file is missing, a directory, unreadable, empty, not UTF-8, or its quotes are broken.
    """
    source = str(path)
    text = _read_text(path)
    first = next((line for line in text.splitlines() if line.strip()), None)
    if first is None:
        raise InputError("the file is empty", "", "a header line and data", source)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(first), strict=True)
    try:
        numbered = [(reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise InputError(f"not a readable CSV line ({error})", f"line {reader.line_num}", "", source) from None
    blank = [not cells or (len(cells) == 1 and cells[0] != "" and not cells[0].strip()) for _, cells in numbered]
    return tuple(
        Line(number, tuple(cell.strip() for cell in cells))
        for (number, cells), skipped in zip(numbered, blank, strict=True)
        if not skipped
    )


def read_records(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> tuple[Record, ...]:
    """All lines under a header with exactly the columns required, and some of the optional ones, in any order.

    Raises:
        InputError: as `read_lines`; a column is missing, unknown or there twice; a line has more or fewer cells
            than the header; there is no line under the header.
    """
    lines = read_lines(path)
    check_columns(lines[0].cells, required, optional, str(path))
    return records_of(lines, str(path))


def records_of(lines: Sequence[Line], source: str) -> tuple[Record, ...]:
    """Lines under the first one, by its names."""
    header = lines[0].cells
    if len(lines) == 1:
        raise InputError("only a header, no data", "", "at least one line under the header", source)
    records = []
    for line in lines[1:]:
        if len(line.cells) != len(header):
            problem = f"{len(line.cells)} cells, but the header has {len(header)}"
            raise InputError(problem, f"line {line.number}", f"{len(header)} cells", source)
        records.append(Record(source, line.number, dict(zip(header, line.cells, strict=True))))
    return tuple(records)


def check_columns(header: Sequence[str], required: Sequence[str], optional: Sequence[str], source: str) -> None:
    """Compare a header with the names it may hold; `InputError` names the first difference and the nearest name."""
    check_distinct(header, source)
    missing = [name for name in required if name not in header]
    unknown = [name for name in header if name not in required and name not in optional]
    expected = f"the columns {', '.join(required)}"
    if missing:
        raise InputError(f"column {missing[0]!r} is missing{_nearest(missing[0], unknown)}", "line 1", expected, source)
    if unknown:
        close = difflib.get_close_matches(unknown[0], [*required, *optional], n=1)
        hint = f" (near {close[0]!r})" if close else ""
        raise InputError(f"column {unknown[0]!r} is unknown{hint}", "line 1", f"only {expected}", source)


def check_distinct(header: Sequence[str], source: str) -> None:
    """`InputError` if a column's name is empty or appears twice, or there are too many."""
    if len(header) > MOST_COLUMNS:
        raise InputError(f"{len(header)} columns", "line 1", f"at most {MOST_COLUMNS}", source)
    for index, name in enumerate(header):
        if not name:
            raise InputError(f"column {index + 1} has no name", "line 1", "a name for every column", source)
        if name in header[:index]:
            raise InputError(f"column {name!r} appears twice", "line 1", "every column once", source)


def _nearest(missing: str, unknown: Sequence[str]) -> str:
    folded = {name.lower().replace(" ", "_").replace("-", "_"): name for name in unknown}
    close = difflib.get_close_matches(missing.lower(), list(folded), n=1, cutoff=0.5)
    return f" (is it meant by {folded[close[0]]!r}?)" if close else ""


def _delimiter(first_line: str) -> str:
    return ";" if first_line.count(";") > first_line.count(",") else ","


def _read_text(path: Path) -> str:
    source = str(path)
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise InputError("is too large", "", f"at most {MOST_BYTES >> 20} MiB", source)
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError("no such file", "", "a CSV file", source) from None
    except IsADirectoryError:
        raise InputError("is a directory", "", "a CSV file", source) from None
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 text (byte {error.start})", "", "a CSV file in UTF-8", source) from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", "", "a readable CSV file", source) from None
