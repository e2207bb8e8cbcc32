"""Parquet files, read with errors that a user understands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from envsearch.errors import InputError


def column_names(path: Path) -> list[str]:
    """Names of a file's columns.

    Raises:
        InputError: the file cannot be read or is no Parquet.
    """
    try:
        return list(pq.read_schema(path).names)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", source=str(path)) from error
    except pa.ArrowException as error:
        raise InputError("is no Parquet file", "", "a Parquet file", str(path)) from error


def read_columns(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> pd.DataFrame:
    """The wanted columns, and those of the optional ones that are there.

    Raises:
        InputError: the file cannot be read, is no Parquet, or lacks a wanted column.
    """
    names = column_names(path)
    missing = [name for name in columns if name not in names]
    if missing:
        raise InputError(f"has no column {', '.join(missing)}", "", f"columns {', '.join(columns)}", str(path))
    wanted = [*columns, *(name for name in optional if name in names)]
    try:
        frame: pd.DataFrame = pq.read_table(path, columns=wanted).to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"cannot be read ({type(error).__name__})", "", "a whole Parquet file", str(path)) from error
    return frame
