"""Parquet files, read with clear errors and with bounds: a small file can expand to a huge number of rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from envsearch.errors import InputError

MOST_ROWS = 20_000_000
MOST_BYTES = 2 << 30
"""Of the columns that are read, unpacked."""

MOST_COLUMNS = 10_000


def column_names(path: Path) -> list[str]:
    """Names of a file's columns.

    Raises:
        InputError: the file cannot be read or is not Parquet.
    """
    try:
        names = [str(name) for name in pq.read_schema(path).names]
        if len(names) > MOST_COLUMNS:
            raise InputError(f"has {len(names)} columns", "", f"at most {MOST_COLUMNS}", str(path))
        return names
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", source=str(path)) from error
    except (pa.ArrowException, ValueError) as error:  # ValueError: names that are not UTF-8
        raise InputError("is not a Parquet file", "", "a Parquet file", str(path)) from error


def read_columns(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> pa.Table:
    """The required columns, and those of the optional ones that exist.

    Raises:
        InputError: the file cannot be read, is not Parquet, lacks a required column, or exceeds the bounds.
    """
    names = column_names(path)
    missing = [name for name in columns if name not in names]
    if missing:
        raise InputError(f"has no column {', '.join(missing)}", "", f"columns {', '.join(columns)}", str(path))
    return read_bounded(path, [*columns, *(name for name in optional if name in names)])


def numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """A column of numbers or truth values, NaN for null; shape (n,)."""
    # A decimal or an integer beyond 2^53 loses digits, as every other reader of such a column does.
    values: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy()
    return values


def is_numeric(column: pa.ChunkedArray) -> bool:
    """Whether `numbers` reads it: integers, floats, truth values, or nothing but nulls."""
    kind = column.type
    numeric = any(test(kind) for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean))
    return numeric or bool(column.null_count == len(column))


def first_null(column: pa.ChunkedArray) -> int | None:
    """Row of the first null, from 1; None: there is none."""
    return int(np.argmax(column.is_null().to_numpy())) + 1 if column.null_count else None


def read_bounded(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Some columns, or all, of a file whose rows and texts are counted before they are unpacked.

    Raises:
        InputError: the file cannot be read, is larger than the bounds, or a column holds lists or structures.
    """
    try:
        with pq.ParquetFile(path) as file:
            names = list(columns if columns is not None else file.schema_arrow.names)
            _check_size(file, names, str(path))
            texts = [name for name in names if _is_text(file.schema_arrow.field(name).type)]
        # Repeated texts stay single entries of a dictionary, as in the file, until they are counted.
        return _plain_texts(pq.read_table(path, columns=names, read_dictionary=texts), str(path))
    except (OSError, pa.ArrowException, MemoryError, KeyError, ValueError) as error:
        raise InputError(f"cannot be read ({type(error).__name__})", "", "a whole Parquet file", str(path)) from error


def _check_size(file: pq.ParquetFile, columns: Sequence[str], source: str) -> None:
    metadata = file.metadata
    if metadata.num_rows > MOST_ROWS:
        raise InputError(f"has {metadata.num_rows} rows", "", f"at most {MOST_ROWS}", source)
    for name in columns:
        kind = file.schema_arrow.field(name).type
        if pa.types.is_nested(kind):
            raise InputError(f"is of type {str(kind)[:60]}", name, "numbers, texts or truth values", source)
    parts = (
        metadata.row_group(index).column(place)
        for index in range(metadata.num_row_groups)
        for place in range(metadata.num_columns)
    )
    size = sum(part.total_uncompressed_size for part in parts if part.path_in_schema in columns)
    if size > MOST_BYTES:
        raise _too_large(source)


def _is_text(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_binary, pa.types.is_large_string))


def _plain_texts(table: pa.Table, source: str) -> pa.Table:
    """The table with its dictionaries expanded to texts, if the texts are not too long in total."""
    total = 0
    for column in table.columns:
        if pa.types.is_dictionary(column.type):
            for chunk in column.chunks:
                lengths = pc.binary_length(chunk.dictionary).take(chunk.indices)
                total += pc.sum(lengths.cast(pa.int64())).as_py() or 0
    if total > MOST_BYTES:
        raise _too_large(source)
    for place, column in enumerate(table.columns):
        if pa.types.is_dictionary(column.type):
            kind = column.type.value_type
            table = table.set_column(place, pa.field(table.schema.names[place], kind), column.cast(kind))
    table.validate(full=True)  # texts of a damaged file may not be UTF-8
    return table


def _too_large(source: str) -> InputError:
    return InputError("is too large when unpacked", "", f"at most {MOST_BYTES >> 20} MiB in its columns", source)
