"""Histories as COLEMAN keeps them: csv or Parquet, durations in seconds, one cycle per `BuildId`.

Columns: Id, Name, BuildId, Duration, CalcPrio, LastRun, Verdict (1 failed), Cycle, LastResults, and others.
`Cycle` groups several builds (one integration cycle), so the build is the unit that is ordered. `LastResults` is always
empty there and is never read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from agents.scheduling.loaders.ci_history import CiHistory
from agents.scheduling.loaders.parquet import first_null, is_numeric, numbers, read_columns
from agents.scheduling.loaders.rows import delimiter_of, header, read_rows, seconds, shown, whole_number
from agents.scheduling.loaders.table import Execution, checked_verdict, history_of
from envsearch.errors import InputError

COLUMNS = ("Name", "Duration", "Verdict", "BuildId")


def load_coleman_csv(path: Path) -> CiHistory:
    """The history in a COLEMAN csv file; its separator is read off the first line.

    Raises:
        InputError: the file cannot be read or a cell is wrong; names the line and the column.
    """
    return history_of(_csv_rows(path, delimiter_of(header(path))), path.stem, str(path))


def load_coleman_parquet(path: Path) -> CiHistory:
    """The history in a COLEMAN Parquet file.

    Raises:
        InputError: the file cannot be read or a cell is wrong; names the row and the column.
    """
    return history_of(_parquet_rows(path), path.stem, str(path))


def _csv_rows(path: Path, delimiter: str) -> Iterator[Execution]:
    source = str(path)
    for line, (name, duration, verdict, build) in read_rows(path, delimiter, COLUMNS):
        if not name:
            raise InputError("is empty", f"line {line}, Name", "the name of a test", source)
        where = f"line {line}, Verdict"
        yield (
            whole_number(build, f"line {line}, BuildId", source),
            name,
            seconds(duration, f"line {line}, Duration", source),
            checked_verdict(whole_number(verdict, where, source), where, source),
        )


def _parquet_rows(path: Path) -> Iterator[Execution]:
    source = str(path)
    table = read_columns(path, COLUMNS)
    if (row := first_null(table["Name"])) is not None:
        raise InputError("is empty", f"row {row}, Name", "the name of a test", source)
    durations = _numbers(table["Duration"], "Duration", source, "a finite number of at least 0")
    verdicts = _numbers(table["Verdict"], "Verdict", source, "1 (failed) or 0 (passed)", largest=1.0, whole=True)
    builds = _numbers(table["BuildId"], "BuildId", source, "a whole number", smallest=-np.inf, whole=True)
    yield from zip(
        builds.astype(np.int64).tolist(),
        [str(name) for name in table["Name"].to_pylist()],
        durations.tolist(),
        verdicts.astype(np.int64).tolist(),
        strict=True,
    )


def _numbers(
    column: pa.ChunkedArray,
    name: str,
    source: str,
    expected: str,
    smallest: float = 0.0,
    largest: float = np.inf,
    whole: bool = False,
) -> NDArray[np.float64]:
    """A column as numbers, shape (n,); numbers that are written as text are read too.

    Raises:
        InputError: names the first wrong cell.
    """
    values = numbers(column) if is_numeric(column) else np.array([_number(cell) for cell in column.to_pylist()])
    with np.errstate(invalid="ignore"):
        right = np.isfinite(values) & (values >= smallest) & (values <= largest)
        right &= (values == np.floor(values)) | (not whole)
    if not right.all():
        row = int(np.argmin(right))
        raise InputError(shown(column[row].as_py()), f"row {row + 1}, {name}", expected, source)
    return values


def _number(cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return np.nan
