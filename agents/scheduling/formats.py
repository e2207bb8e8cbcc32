"""Versions of stored bytes, and the way from an old version to the current one.

Each kind of stored bytes has a current version. An upcast is a function from a value of version n to the same value as
version n + 1 holds it; the reader applies one after another. A kind can be read from the version on at which its
unbroken chain of upcasts begins.

To change what a kind stores: raise its version, write the old shape's ``upcast_1_2``, and add both to the tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from envsearch.errors import CorruptArtifactError

Upcast = Callable[[Any], Any]
_MARK = re.compile(rb"v([1-9][0-9]*):")


@dataclass(frozen=True, slots=True)
class Formats:
    """Kinds of stored bytes.

    Attributes:
        versions: kind -> the version that is written.
        upcasts: (kind, n) -> the function from version n to version n + 1.
    """

    versions: Mapping[str, int]
    upcasts: Mapping[tuple[str, int], Upcast]

    def oldest(self, kind: str) -> int:
        """The oldest version of the kind that can be read."""
        version = self.versions[kind]
        while (kind, version - 1) in self.upcasts:
            version -= 1
        return version

    def check(self, kind: str, version: int, name: str = "") -> None:
        """Raise if the version cannot be read.

        Args:
            name: of the item, for the error.

        Raises:
            CorruptArtifactError: the version is newer than the current one, or too old.
        """
        current, oldest = self.versions[kind], self.oldest(kind)
        if not oldest <= version <= current:
            readable = f"version {current}" if oldest == current else f"a version from {oldest} to {current}"
            raise CorruptArtifactError(f"has version {version} of the format {kind!r}", name or kind, readable)

    def upcast(self, kind: str, version: int, value: Any) -> Any:
        """The value of a version that can be read, in the current version's shape."""
        while version < self.versions[kind]:
            value = self.upcasts[kind, version](value)
            version += 1
        return value

    def marked(self, kind: str, data: bytes) -> bytes:
        """The bytes with their version in front. Version 1 carries no mark: the first bytes were written without."""
        version = self.versions[kind]
        return data if version == 1 else b"v%d:%b" % (version, data)

    def unmarked(self, kind: str, data: bytes, name: str = "") -> tuple[int, bytes]:
        """The version of marked bytes, and the bytes without their mark.

        Raises:
            CorruptArtifactError: the version cannot be read.
        """
        match = _MARK.match(data) if data[:1] == b"v" else None
        version = 1 if match is None else int(match[1])
        if version != self.versions[kind]:
            self.check(kind, version, name)
        return version, data if match is None else data[match.end() :]


VERSIONS: dict[str, int] = {
    "episode": 2,
    "state": 1,
}
"""What the scheduling library stores: a recommendation, and a learner's state."""

UPCASTS: dict[tuple[str, int], Upcast] = {}
"""Version 1 of an episode was never released, so it is not read."""

AGENT_FORMATS = Formats(VERSIONS, UPCASTS)
