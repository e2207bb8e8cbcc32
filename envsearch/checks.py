"""What a contract says about one part: the rows that ``proctor check module:object`` prints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One clause of a contract.

    Attributes:
        name: what must hold, as a short clause ("the same seed gives the same episode").
        passed: whether it holds.
        detail: what was seen; for a failed check also what to change.
    """

    name: str
    passed: bool
    detail: str = ""
