"""Whether SQLite's write-ahead log was cut short while nobody had it open.

SQLite ends its log with the last whole transaction, so it silently loses whatever was cut off. The index of the log,
FILE-shm, still has the number of the last committed page as long as nobody opens the database: a killed process leaves
the index behind. The layout is SQLite's (https://www.sqlite.org/walformat.html).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestration.service.errors import UnavailableError

INDEX_HEADER: Final = 48
"""Bytes; the header appears twice, and is whole if both copies are equal."""

LOG_HEADER: Final = 32
FRAME_HEADER: Final = 24


@dataclass(frozen=True, slots=True)
class _Index:
    """The contents of FILE-shm.

    Attributes:
        pages: committed to the log.
        copied: pages that are in the database itself too.
        salt: of the log that it indexes.
        page_size: bytes.
    """

    pages: int
    copied: int
    salt: bytes
    page_size: int


def refuse_cut_log(database: Path) -> None:
    """Raise if committed pages are missing. Call it before the database is opened.

    An index older than the machine's start proves nothing: it may be ahead of the pages that a failing machine flushed.

    Raises:
        UnavailableError: pages are missing; says what to do.
    """
    log, index = Path(f"{database}-wal"), Path(f"{database}-shm")
    try:
        recorded = _read(index)
        if recorded is None or recorded.pages <= recorded.copied or index.stat().st_mtime < _machine_started():
            return
        pages = _pages(log, recorded)
        if pages is None or pages >= recorded.pages or _read(index) != recorded:  # unequal: it is in use
            return
    except OSError:
        return  # no index, no log: nothing to compare
    missing = recorded.pages - max(pages, recorded.copied)
    raise UnavailableError(
        f"the store is damaged: {log} was cut short, {missing} of {recorded.pages} committed pages are missing; put a "
        f"backup in its place (proctor restore), or remove {index} to continue without their contents"
    )


def _read(index: Path) -> _Index | None:
    """The index; None: there is none, or it is being written."""
    with index.open("rb") as file:
        data = file.read(2 * INDEX_HEADER + 4)
    if len(data) < 2 * INDEX_HEADER + 4 or data[:INDEX_HEADER] != data[INDEX_HEADER : 2 * INDEX_HEADER]:
        return None
    initialised, page_size, pages = data[12], *struct.unpack_from("=HI", data, 14)
    (copied,) = struct.unpack_from("=I", data, 2 * INDEX_HEADER)
    return _Index(pages, copied, data[32:40], 65536 if page_size == 1 else page_size) if initialised else None


def _pages(log: Path, recorded: _Index) -> int | None:
    """Whole pages of that log in the file; None: the file is a different log."""
    try:
        with log.open("rb") as file:
            header = file.read(LOG_HEADER)
    except FileNotFoundError:
        return 0
    if len(header) < LOG_HEADER:
        return 0
    if header[16:24] != recorded.salt:
        return None
    return (log.stat().st_size - LOG_HEADER) // (FRAME_HEADER + recorded.page_size)


def _machine_started() -> float:
    """Unix time; 0 where it is unknown."""
    try:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) for line in lines if line.startswith("btime ")), 0.0)
