"""The JUnit reports that a command wrote: the new and changed ones below the current folder."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from envsearch.errors import InputError

DEFAULT_PATTERNS = ("**/*junit*.xml", "**/TEST-*.xml")
"""Where most runners put their reports: pytest and others by option, Maven and Gradle by default."""

_NAMED = re.compile(r"[^\s=:;,'\"]+\.xml\b", re.IGNORECASE)
"""A report in a command: ``--junitxml=report.xml``, ``--gtest_output=xml:out.xml``, ``sh -c "... -o report.xml"``."""

Stamp = tuple[int, int, int]


def named_in(command: Sequence[str]) -> list[str]:
    """The XML files that a command names, as patterns that match only them."""
    return list(dict.fromkeys(glob.escape(path) for part in command for path in _NAMED.findall(part)))


class ReportFolder:
    """Compares the reports before and after a run.

    Args:
        folder: that the patterns are relative to.
        patterns: of `pathlib.Path.glob`; an absolute path names a single file.
        named: patterns that come first: if one matches, the others do not count.
    """

    def __init__(self, folder: Path, patterns: Sequence[str], named: Sequence[str] = ()) -> None:
        self._folder = folder
        self._patterns = tuple(patterns)
        self._named = tuple(named)
        self._before = self._stamps((*self._named, *self._patterns))

    def written(self) -> list[list[Path]]:
        """Reports written since this object was created, sorted by path: the named ones, then those of the patterns.

        Raises:
            InputError: there are none.
        """
        stamps = [self._stamps(patterns) for patterns in (self._named, self._patterns)]
        groups = [self._new(now) for now in stamps]
        if not any(groups):
            count = len(stamps[0] | stamps[1])
            old = f" ({count} from before the run)" if count else ""
            raise InputError(
                f"the command wrote no report{old}; nothing was recorded",
                "--junit",
                f"JUnit XML at {' or '.join(self._patterns)} below {self._folder}",
                "proctor record",
            )
        return [group for group in groups if group]

    def _new(self, now: Mapping[Path, Stamp]) -> list[Path]:
        return sorted(path for path, stamp in now.items() if self._before.get(path) != stamp)

    def _stamps(self, patterns: Sequence[str]) -> dict[Path, Stamp]:
        stamps: dict[Path, Stamp] = {}
        for pattern in patterns:
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
