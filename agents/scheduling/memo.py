"""Results that are computed once from a value and kept with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, TypeVar

Result = TypeVar("Result")


class Memo:
    """An immutable value that keeps what was computed from it. Its `_memo` starts as an empty dict."""

    __slots__ = ()
    _memo: dict[Callable[[Any], Any], Any]

    def once(self, function: Callable[[Self], Result]) -> Result:
        """The function of this value; computed by the first call."""
        try:
            result: Result = self._memo[function]
        except KeyError:
            result = self._memo[function] = function(self)
        return result
