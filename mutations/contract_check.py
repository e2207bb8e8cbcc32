"""One line of a contract's answer: what was checked, whether it holds, and what was seen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check that `proctor check` prints.

    Attributes:
        name: what must hold, in a few words ("rejects NaN").
        passed: whether it holds.
        detail: what was seen; never empty when the check failed.
    """

    name: str
    passed: bool
    detail: str = ""
