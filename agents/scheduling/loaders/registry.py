"""The table of history formats, and the detection of a path's format."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

from agents.scheduling.loaders.ci_history import CiHistory
from agents.scheduling.loaders.rows import delimiter_of, header
from envsearch.errors import InputError, unknown_name

LOADERS: dict[str, tuple[str, str]] = {
    "retecs": ("agents.scheduling.loaders.retecs", "load_retecs"),
    "coleman-csv": ("agents.scheduling.loaders.coleman", "load_coleman_csv"),
    "coleman-parquet": ("agents.scheduling.loaders.coleman", "load_coleman_parquet"),
    "junit": ("agents.scheduling.loaders.junit_xml", "load_junit"),
    "recorded": ("agents.scheduling.loaders.recorded", "load_recorded"),
}
"""Name -> (module, function from a path to a history); imported when used."""


def load_history(path: Path, form: str | None = None) -> CiHistory:
    """The CI history in a file or folder.

    Args:
        form: name in the table; None: detected from the path and the names of the columns.

    Raises:
        InputError: the path does not exist, the format is unknown or unclear, or the content is wrong.
    """
    if not path.exists():
        raise InputError("does not exist", "", "a history file or a folder of JUnit reports", str(path))
    name = form if form is not None else detect(path)
    if name not in LOADERS:
        raise unknown_name("history format", name, LOADERS, field="format", source=str(path))
    module, function = LOADERS[name]
    return cast(Callable[[Path], CiHistory], getattr(import_module(module), function))(path)


def detect(path: Path) -> str:
    """The format's name in the table.

    Raises:
        InputError: it is not a known format.
    """
    suffix = path.suffix.lower()
    if path.is_dir() or suffix == ".xml":
        return "junit"
    if suffix == ".csv":
        first = header(path)
        cells = {cell.strip().strip('"').lower() for cell in first.split(delimiter_of(first))}
        return "coleman-csv" if "buildid" in cells else "retecs"
    if suffix in (".parquet", ".pq"):
        return "coleman-parquet" if "BuildId" in _parquet_columns(path) else "recorded"
    raise InputError(
        "is not of a known format",
        "",
        "*.csv (RETECS, COLEMAN), *.parquet (COLEMAN, recorded), *.xml or a folder",
        str(path),
    )


def _parquet_columns(path: Path) -> list[str]:
    from agents.scheduling.loaders.parquet import column_names  # only here: pyarrow takes long to import

    return column_names(path)
