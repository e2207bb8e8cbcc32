"""From rows (cycle, name, duration, verdict) to a history: what RETECS and COLEMAN files share."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from agents.scheduling.loaders.ci_history import CiHistory, Cycle, TestNames
from agents.scheduling.testcase import Verdict
from envsearch.errors import InputError

Execution = tuple[int, str, float, int]
"""Cycle, name of the test, seconds, verdict: 1 failed, 0 passed."""

_VERDICTS = (Verdict.PASSED, Verdict.FAILED)


def history_of(rows: Iterable[Execution], name: str, source: str) -> CiHistory:
    """Cycles in ascending order of their number; rows of a cycle keep the file's order, repeated names too.

    Raises:
        InputError: there are no rows.
    """
    grouped: dict[int, list[Execution]] = {}
    for row in rows:
        grouped.setdefault(row[0], []).append(row)
    if not grouped:
        raise InputError("has no rows", source=source, expected="at least one execution")
    names = TestNames()
    return CiHistory(name, tuple(_cycle(number, grouped[number], names) for number in sorted(grouped)))


def checked_verdict(value: int, where: str, source: str) -> int:
    """0 or 1.

    Raises:
        InputError: it is a different number.
    """
    if value not in (0, 1):
        raise InputError(f"{value}", where, "1 (failed) or 0 (passed)", source)
    return value


def _cycle(number: int, rows: list[Execution], names: TestNames) -> Cycle:
    return Cycle(
        tests=names.cases([row[1] for row in rows]),
        verdicts=tuple(_VERDICTS[row[3]] for row in rows),
        durations=np.array([row[2] for row in rows], np.float64),
        name=str(number),
    )
