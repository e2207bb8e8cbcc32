"""Histories as Proctor records them: one Parquet file, one row per execution, in the order in which they were given.

    cycle        int64             number of the cycle, ascending
    job          text              "" without jobs
    test         text              the test's name; rows of one cycle that repeat it are the same test
    duration     float64, null     seconds; null: not measured
    verdict      text              passed, failed, error, skipped, not_run
    finished_at  float64, null     Unix seconds; null: not told
    feature.*    number, text or truth value, null: metadata known before the cycle ran

`pandas.read_parquet` opens it as it is. Off-loaded executions have the same columns.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from agents.scheduling.loaders.ci_history import CiHistory, Cycle, distinct_ids
from agents.scheduling.loaders.parquet import column_names, read_bounded, read_columns
from agents.scheduling.loaders.rows import shown
from agents.scheduling.testcase import FeatureValue, TestCase, Verdict
from envsearch.errors import InputError

COLUMNS = ("cycle", "job", "test", "duration", "verdict", "finished_at")
FEATURE_PREFIX = "feature."
_TYPES = {"cycle": pa.int64(), "duration": pa.float64(), "finished_at": pa.float64()}


def load_recorded(path: Path) -> CiHistory:
    """The history in a recorded file.

    Raises:
        InputError: the file cannot be read or a cell is wrong; names the row and the column.
    """
    features = [name for name in column_names(path) if name.startswith(FEATURE_PREFIX)]
    frame = read_columns(path, COLUMNS, features)
    source = str(path)
    for name in ("cycle", "job", "test", "verdict"):
        if frame[name].isna().any():
            raise InputError("is empty", f"row {int(frame[name].isna().argmax()) + 1}, {name}", "a value", source)
    if not len(frame):
        raise InputError("has no rows", source=source, expected="at least one execution")
    if not pd.api.types.is_integer_dtype(frame["cycle"]):
        raise InputError(f"is of type {frame['cycle'].dtype}", "cycle", "whole numbers", source)
    for name in ("duration", "finished_at"):
        if not (pd.api.types.is_numeric_dtype(frame[name]) or frame[name].isna().all()):
            raise InputError(f"is of type {frame[name].dtype}", name, "numbers", source)
    cycles = []
    for number, rows in frame.groupby("cycle", sort=True):
        cycles.append(_cycle(str(number), rows, features, source))
    return CiHistory(path.stem, tuple(cycles))


def write_recorded(history: CiHistory, path: Path) -> None:
    """Write a whole history, at once or not at all; cycles are numbered from 1.

    Raises:
        InputError: the file cannot be written.
    """
    _write(_table(history.cycles, first=1), path)


def append_cycle(cycle: Cycle, path: Path) -> int:
    """Add a cycle at the end of a recorded file, or begin one; the number of the cycle.

    Raises:
        InputError: the file exists and is no recorded history, or cannot be written.
    """
    if not path.exists():
        _write(_table([cycle], first=1), path)
        return 1
    missing = [name for name in COLUMNS if name not in column_names(path)]
    if missing:
        raise InputError(f"has no column {', '.join(missing)}", "", f"columns {', '.join(COLUMNS)}", str(path))
    old = read_bounded(path)
    number = int(np.max(old.column("cycle").to_numpy(), initial=0)) + 1
    added = _table([cycle], first=number)
    try:
        joined = pa.concat_tables([old.replace_schema_metadata(), added], promote_options="default")
    except pa.ArrowException as error:
        raise InputError(
            f"has columns of other types ({error})", "", "the columns of the new cycle", str(path)
        ) from error
    _write(joined, path)
    return number


def _cycle(name: str, rows: pd.DataFrame, features: Sequence[str], source: str) -> Cycle:
    tests = rows["test"].astype(str).tolist()
    jobs = rows["job"].astype(str).tolist()
    durations = rows["duration"].to_numpy(np.float64, na_value=np.nan)
    wrong = ~np.isnan(durations) & ~(np.isfinite(durations) & (durations >= 0.0))
    if wrong.any():
        place = f"row {int(rows.index[int(wrong.argmax())]) + 1}, duration"
        raise InputError(f"{durations[wrong][0]!r}", place, "a finite number of at least 0", source)
    metadata = [_features(values, features) for values in zip(*(rows[name] for name in features), strict=True)]
    ids = distinct_ids(tests)
    cases = tuple(
        TestCase(own, job, features=metadata[row] if metadata else (), history_id="" if own == test else test)
        for row, (own, test, job) in enumerate(zip(ids, tests, jobs, strict=True))
    )
    finished = rows["finished_at"].to_numpy(np.float64, na_value=np.nan)
    latest = float(np.nanmax(finished)) if not np.isnan(finished).all() else None
    places = rows.index.to_list()
    verdicts = tuple(_verdict(text, row + 1, source) for row, text in zip(places, rows["verdict"], strict=True))
    return Cycle(cases, verdicts, durations, name, latest)


def _features(values: Sequence[Any], names: Sequence[str]) -> tuple[tuple[str, FeatureValue], ...]:
    return tuple(
        (name[len(FEATURE_PREFIX) :], value.item() if isinstance(value, np.generic) else value)
        for name, value in zip(names, values, strict=True)
        if not pd.isna(value)
    )


def _verdict(text: str, row: int, source: str) -> Verdict:
    try:
        return Verdict(text)
    except ValueError:
        expected = ", ".join(verdict.value for verdict in Verdict)
        raise InputError(shown(text), f"row {row}, verdict", expected, source) from None


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
