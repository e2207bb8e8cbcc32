"""What is worked out of a value once, and kept with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, TypeVar

Made = TypeVar("Made")


class Memo:
    """A value that does not change and keeps what was worked out of it. Its `_memo` is an empty dict at first."""

    __slots__ = ()
    _memo: dict[Callable[[Any], Any], Any]

    def once(self, make: Callable[[Self], Made]) -> Made:
        """What `make` works out of this value alone: worked out when it is first asked for."""
        try:
            made: Made = self._memo[make]
        except KeyError:
            made = self._memo[make] = make(self)
        return made
