"""The past of n tests, read from a history."""

from __future__ import annotations

from dataclasses import dataclass

from agents.scheduling.observation import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class PastExecutions:
    """The kept executions of n tests that passed or failed, newest first. Shapes (n, N).

    Attributes:
        known: whether the execution exists.
        failed: False also where there is none.
        seconds: NaN: not measured, or none.
        cycles: number of the job's cycle, from 1; -1 where there is none.
    """

    known: BoolArray
    failed: BoolArray
    seconds: FloatArray
    cycles: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class PastCounts:
    """Counters of n tests over all their executions, shape (n,) each; see `Observation` for the shared names."""

    runs: IntArray
    failures: IntArray
    since_run: IntArray
    since_failure: IntArray
    age: IntArray
    failure_rate: FloatArray
    mean_seconds: FloatArray
