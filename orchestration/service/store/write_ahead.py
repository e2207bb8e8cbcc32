"""Whether SQLite's write-ahead log was cut short while nobody had it open.

SQLite takes the last whole transaction of its log for the end of it, so what was cut off is lost without a word. Its
index of the log, FILE-shm, knows better as long as nobody opens the database: a process that is killed leaves it as it
was, with the number of the last committed page. The layout is SQLite's (https://www.sqlite.org/walformat.html).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestration.service.errors import UnavailableError

INDEX_HEADER: Final = 48
"""Bytes; it stands twice, and is whole where both are equal."""

LOG_HEADER: Final = 32
FRAME_HEADER: Final = 24


@dataclass(frozen=True, slots=True)
class _Index:
    """What FILE-shm says.

    Attributes:
        pages: committed to the log.
        copied: of these, are in the database itself too.
        salt: of the log that is meant.
        page_size: bytes.
    """

    pages: int
    copied: int
    salt: bytes
    page_size: int


def refuse_cut_log(database: Path) -> None:
    """Raise if pages that were committed are missing. To be called before the database is opened.

    An index that is older than the machine's start says nothing: it may be ahead of what a failing machine had flushed.

    Raises:
        UnavailableError: some are; with what to do.
    """
    log, index = Path(f"{database}-wal"), Path(f"{database}-shm")
    try:
        told = _read(index)
        if told is None or told.pages <= told.copied or index.stat().st_mtime < _machine_started():
            return
        found = _pages(log, told)
        if found is None or found >= told.pages or _read(index) != told:  # or somebody works with it just now
            return
    except OSError:
        return  # no index, no log: nothing to compare
    missing = told.pages - max(found, told.copied)
    raise UnavailableError(
        f"the store is damaged: {log} was cut short, {missing} of {told.pages} committed pages are missing; put a "
        f"backup in its place (proctor restore), or remove {index} to go on without what was in them"
    )


def _read(index: Path) -> _Index | None:
    """None: nothing, or it is being written."""
    with index.open("rb") as file:
        data = file.read(2 * INDEX_HEADER + 4)
    if len(data) < 2 * INDEX_HEADER + 4 or data[:INDEX_HEADER] != data[INDEX_HEADER : 2 * INDEX_HEADER]:
        return None
    initialised, page_size, pages = data[12], *struct.unpack_from("=HI", data, 14)
    (copied,) = struct.unpack_from("=I", data, 2 * INDEX_HEADER)
    return _Index(pages, copied, data[32:40], 65536 if page_size == 1 else page_size) if initialised else None


def _pages(log: Path, told: _Index) -> int | None:
    """Whole pages of that log in the file; None: it is another log."""
    try:
        with log.open("rb") as file:
            header = file.read(LOG_HEADER)
    except FileNotFoundError:
        return 0
    if len(header) < LOG_HEADER:
        return 0
    if header[16:24] != told.salt:
        return None
    return (log.stat().st_size - LOG_HEADER) // (FRAME_HEADER + told.page_size)


def _machine_started() -> float:
    """Unix time; 0 where it cannot be told."""
    try:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) for line in lines if line.startswith("btime ")), 0.0)
