"""The JUnit reports that a command wrote: the new and changed ones below the current folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from envsearch.errors import InputError

DEFAULT_PATTERNS = ("**/*junit*.xml", "**/TEST-*.xml")
"""Where most runners put their reports: pytest and others by option, Maven and Gradle by default."""

Stamp = tuple[int, int, int]


class ReportFolder:
    """Compares the reports before and after a run.

    Args:
        folder: that the patterns are relative to.
        patterns: of `pathlib.Path.glob`; an absolute path names a single file.
    """

    def __init__(self, folder: Path, patterns: Sequence[str]) -> None:
        self._folder = folder
        self._patterns = tuple(patterns)
        self._before = self._stamps()

    def written(self) -> list[Path]:
        """Reports written since this object was created, sorted by path.

        Raises:
            InputError: there are none.
        """
        now = self._stamps()
        written = sorted(path for path, stamp in now.items() if self._before.get(path) != stamp)
        if not written:
            old = f" ({len(now)} from before the run)" if now else ""
            raise InputError(
                f"the command wrote no report{old}; nothing was recorded",
                "--junit",
                f"JUnit XML at {' or '.join(self._patterns)} below {self._folder}",
                "proctor record",
            )
        return written

    def _stamps(self) -> dict[Path, Stamp]:
        stamps: dict[Path, Stamp] = {}
        for pattern in self._patterns:
            for path in self._matches(pattern):
                if path.is_file():
                    status = path.stat()
                    stamps[path] = (status.st_ino, status.st_size, status.st_mtime_ns)
        return stamps

    def _matches(self, pattern: str) -> list[Path]:
        path = Path(pattern)
        if not path.is_absolute():
            try:
                return list(self._folder.glob(pattern))
            except (ValueError, NotImplementedError) as error:
                raise InputError(f"{pattern!r} ({error})", "--junit", "a glob pattern", "proctor record") from error
        return list(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
