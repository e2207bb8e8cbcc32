"""Histories as Proctor records them: one Parquet file, one row per execution, in the job's order.

    cycle        int64             number of the cycle, ascending
    job          text              "" without jobs
    test         text              the test's name; rows of one cycle that repeat it are the same test
    duration     float64, null     seconds; null: not measured
    verdict      text              passed, failed, error, skipped, not_run
    finished_at  float64, null     Unix seconds; null: not recorded
    build        text, null        optional: name of the run that the shard belongs to
    feature.*    number, text or truth value, null: metadata known before the cycle ran

`pandas.read_parquet` reads it directly. Off-loaded executions have the same columns.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from agents.scheduling.loaders.ci_history import CiHistory, Cycle, distinct_ids
from agents.scheduling.loaders.parquet import column_names, first_null, is_numeric, numbers, read_bounded, read_columns
from agents.scheduling.loaders.rows import shown
from agents.scheduling.loaders.safe_names import safe_name
from agents.scheduling.observation import FloatArray
from agents.scheduling.testcase import FeatureValue, TestCase, Verdict
from envsearch.errors import InputError

COLUMNS = ("cycle", "job", "test", "duration", "verdict", "finished_at")
BUILD = "build"
FEATURE_PREFIX = "feature."
Features = tuple[tuple[str, FeatureValue], ...]
_TYPES = {"cycle": pa.int64(), "duration": pa.float64(), "finished_at": pa.float64()}


def load_recorded(path: Path) -> CiHistory:
    """The history in a recorded file.

    Raises:
        InputError: the file cannot be read or a cell is wrong; names the row and the column.
    """
    features = [name for name in column_names(path) if name.startswith(FEATURE_PREFIX)]
    source = str(path)
    table = read_columns(path, COLUMNS, features)
    _check_columns(table, source)
    rows = _Rows(
        cycles=table["cycle"].to_numpy(),
        jobs=[str(job) for job in table["job"].to_pylist()],
        tests=_names(table["test"]),
        durations=_seconds(table["duration"], source),
        verdicts=_verdicts(table["verdict"], source),
        finished_at=numbers(table["finished_at"]),
        features=_features(table, features),
    )
    order = np.argsort(rows.cycles, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(rows.cycles[order])) + 1)
    return CiHistory(path.stem, tuple(_cycle(rows, part) for part in parts))


def write_recorded(history: CiHistory, path: Path) -> None:
    """Write a whole history atomically; cycles are numbered from 1.

    Raises:
        InputError: the file cannot be written.
    """
    _write(_table(history.cycles, first=1), path)


def append_cycle(cycle: Cycle, path: Path, build: str = "") -> int:
    """Append a cycle to a recorded file, which is created if missing; returns the number of the cycle.

    Args:
        build: name of the run; cycles of one run, such as its shards, become one cycle.

    Raises:
        InputError: the file exists and is not a recorded history, or it cannot be written.
    """
    if not path.exists():
        _write(_with_build(_table([cycle], first=1), build), path)
        return 1
    missing = [name for name in COLUMNS if name not in column_names(path)]
    if missing:
        raise InputError(f"has no column {', '.join(missing)}", "", f"columns {', '.join(COLUMNS)}", str(path))
    old = read_bounded(path)
    number = _cycle_of_build(old, build) or int(np.max(old.column("cycle").to_numpy(), initial=0)) + 1
    added = _with_build(_table([cycle], first=number), build)
    try:
        joined = pa.concat_tables([old.replace_schema_metadata(), added], promote_options="default")
    except pa.ArrowException as error:
        raise InputError(
            f"has columns of different types ({error})", "", "the columns of the new cycle", str(path)
        ) from error
    _write(joined, path)
    return number


def _with_build(table: pa.Table, build: str) -> pa.Table:
    return table.append_column(BUILD, pa.array([build] * table.num_rows, pa.string())) if build else table


def _cycle_of_build(table: pa.Table, build: str) -> int | None:
    """Number of the cycle that the build has already; None: it has none."""
    if not build or BUILD not in table.column_names:
        return None
    row = pc.index(table.column(BUILD), build).as_py()
    return None if row < 0 else int(table.column("cycle")[row].as_py())


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The columns of a file; each has one entry per execution."""

    cycles: NDArray[np.int64]
    jobs: Sequence[str]
    tests: Sequence[str]
    durations: FloatArray
    verdicts: Sequence[Verdict]
    finished_at: FloatArray
    features: Sequence[Features]


def _check_columns(table: pa.Table, source: str) -> None:
    for name in ("cycle", "job", "test", "verdict"):
        if (row := first_null(table[name])) is not None:
            raise InputError("is empty", f"row {row}, {name}", "a value", source)
    if not table.num_rows:
        raise InputError("has no rows", source=source, expected="at least one execution")
    if not pa.types.is_integer(table["cycle"].type):
        raise InputError(f"is of type {table['cycle'].type}", "cycle", "whole numbers", source)
    for name in ("duration", "finished_at"):
        if not is_numeric(table[name]):
            raise InputError(f"is of type {table[name].type}", name, "numbers", source)


def _names(column: pa.ChunkedArray) -> list[str]:
    names = [str(name) for name in column.to_pylist()]
    safe = {name: safe_name(name) for name in set(names)}
    return [safe[name] for name in names]


def _seconds(column: pa.ChunkedArray, source: str) -> FloatArray:
    durations = numbers(column)
    wrong = ~np.isnan(durations) & ~(np.isfinite(durations) & (durations >= 0.0))
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"{float(durations[row])!r}", f"row {row + 1}, duration", "a finite number of at least 0", source
        )
    return durations


def _verdicts(column: pa.ChunkedArray, source: str) -> list[Verdict]:
    verdicts: dict[Any, Verdict] = {verdict.value: verdict for verdict in Verdict}
    texts = column.to_pylist()
    for row, text in enumerate(texts, start=1):
        if text not in verdicts:
            raise InputError(shown(text), f"row {row}, verdict", ", ".join(verdicts), source)
    return [verdicts[text] for text in texts]


def _features(table: pa.Table, names: Sequence[str]) -> list[Features]:
    """The features of each row that are neither null nor NaN."""
    plain = [name[len(FEATURE_PREFIX) :] for name in names]
    rows = zip(*(table[name].to_pylist() for name in names), strict=True)
    return [
        tuple((name, value) for name, value in zip(plain, values, strict=True) if value is not None and value == value)
        for values in rows
    ]


def _cycle(rows: _Rows, places: NDArray[np.int64]) -> Cycle:
    at = places.tolist()
    tests = [rows.tests[place] for place in at]
    cases = tuple(
        TestCase(
            own,
            rows.jobs[place],
            features=rows.features[place] if rows.features else (),
            history_id="" if own == test else test,
        )
        for place, own, test in zip(at, distinct_ids(tests), tests, strict=True)
    )
    finished = rows.finished_at[places]
    return Cycle(
        tests=cases,
        verdicts=tuple([rows.verdicts[place] for place in at]),
        durations=rows.durations[places],
        name=str(rows.cycles[places[0]]),
        finished_at=None if np.isnan(finished).all() else float(np.nanmax(finished)),
    )


def _table(cycles: Iterable[Cycle], first: int) -> pa.Table:
    """The columns of some cycles; one feature column per name."""
    rows: list[dict[str, Any]] = []
    for number, cycle in enumerate(cycles, start=first):
        for test, verdict, duration in zip(cycle.tests, cycle.verdicts, cycle.durations.tolist(), strict=True):
            row: dict[str, Any] = {
                "cycle": number,
                "job": test.job,
                "test": test.history_id or test.id,
                "duration": None if np.isnan(duration) else duration,
                "verdict": verdict.value,
                "finished_at": cycle.finished_at,
            }
            row.update({FEATURE_PREFIX + name: value for name, value in test.features})
            rows.append(row)
    names = [*COLUMNS, *dict.fromkeys(name for row in rows for name in row if name not in COLUMNS)]
    arrays = [_array(name, [row.get(name) for row in rows]) for name in names]
    return pa.table(dict(zip(names, arrays, strict=True)))


def _array(name: str, values: list[Any]) -> pa.Array:
    """A column; a feature whose values are of several types becomes text."""
    if not name.startswith(FEATURE_PREFIX):
        return pa.array(values, _TYPES.get(name, pa.string()))
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float}:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    if len(kinds) > 1:
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    return pa.array(values)


def _write(table: pa.Table, path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        pq.write_table(table, temporary, compression="zstd")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"cannot be written ({error.strerror or error})", source=str(path)) from error
