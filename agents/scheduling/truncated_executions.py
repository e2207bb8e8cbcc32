"""Executions that a history no longer keeps, collected for long-term storage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.scheduling.observation import FloatArray, IntArray

Columns = dict[str, NDArray[Any]]

# Names and types of the recorded format, in its order.
_TYPES: dict[str, type] = {
    "cycle": np.int64,
    "job": object,
    "test": object,
    "duration": np.float64,
    "verdict": object,
    "finished_at": np.float64,
}


class TruncatedExecutions:
    """Columns that grow until they are drained."""

    def __init__(self) -> None:
        self._parts: list[Columns] = []

    def add(
        self,
        jobs: Sequence[str],
        tests: Sequence[str],
        cycles: IntArray,
        verdicts: Sequence[str],
        seconds: FloatArray,
        finished: FloatArray,
    ) -> None:
        """Collect n executions."""
        values = (cycles, jobs, tests, seconds, verdicts, finished)
        self._parts.append(
            {name: np.array(column, kind) for (name, kind), column in zip(_TYPES.items(), values, strict=True)}
        )

    def drain(self) -> Columns:
        """Everything collected since the last call."""
        parts, self._parts = self._parts, []
        empty: Columns = {name: np.zeros(0, kind) for name, kind in _TYPES.items()}
        return {name: np.concatenate([empty[name], *(part[name] for part in parts)]) for name in _TYPES}
