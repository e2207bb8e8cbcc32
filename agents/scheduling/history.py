"""The past executions of each test: the last N of them, and counters over all of them.

The arrays have one row per test, so that thousands of tests are observed and recorded at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.scheduling.observation import FloatArray, IntArray
from agents.scheduling.past_executions import PastCounts, PastExecutions
from agents.scheduling.state import State
from agents.scheduling.testcase import TestCase, TestResult, Verdict
from agents.scheduling.truncated_executions import TruncatedExecutions
from envsearch.errors import CorruptArtifactError

FAILURE_DECAY = 0.8
"""Weight of an execution relative to the next later one, in the exponentially weighted failure rate."""

MAX_TESTS = 200_000
"""Tests kept; beyond this, those that had no result for the longest time are forgotten."""

MAX_EXECUTIONS = 10_000_000
"""Executions kept of all tests: 250 MB. It bounds the tests of an agent with a long history; see `most_tests`."""

SPARE_EXECUTIONS = 1_000_000
"""Executions for which room is made ahead, at most."""

_KEY_BYTES = 150
"""Bytes of a key's entry, besides its characters."""

CODES: dict[Verdict, int] = {verdict: code for code, verdict in enumerate(Verdict)}
"""Passed is 0 and failed is 1, as in the array of past failures."""
_VERDICTS = tuple(Verdict)
_FAILED, _ERROR = CODES[Verdict.FAILED], CODES[Verdict.ERROR]

# name -> value of an unknown test. The columns of one type are rows of one matrix, so that a cycle's tests are looked
# up once for each type.
_CYCLES = {"last_run": -1, "last_failure": -1, "first_seen": -1}
_INTEGERS = {**_CYCLES, "job": 0, "runs": 0, "failures": 0, "durations": 0, "last_seen": -1}
_SUMS = {"failure_sum": 0.0, "duration_sum": 0.0, "weight_sum": 0.0}
_COLUMNS = (*_INTEGERS, *_SUMS)
# name -> (dtype, value of a missing execution)
_RINGS: dict[str, tuple[type, float]] = {
    "verdicts": (np.int8, -1),
    "seconds": (np.float64, np.nan),
    "cycles": (np.int64, -1),
    "finished": (np.float64, np.nan),
}


def most_tests(length: int) -> int:
    """Tests kept by a history of `length` executions per test."""
    return min(MAX_TESTS, MAX_EXECUTIONS // length)


class History:
    """The last `length` executions of each test; older ones are truncated after each execution.

    An infrastructure error says nothing about the test: it only resets the time since the last run. Tests that were
    skipped or not run only become known. Tests of different jobs are separate, and each job counts its own cycles: a
    cycle begins with the first results of an episode with a higher number.

    Args:
        length: executions kept per test.
        keep_truncated: keep truncated executions for `drain_truncated`; without it they are dropped.
        max_tests: most tests kept; None: `most_tests` of the length.

    Attributes:
        changes: how often the history changed; while it is the same, every read gives the same.
    """

    def __init__(self, length: int, keep_truncated: bool = False, max_tests: int | None = None) -> None:
        self.length = length
        self.keep_truncated = keep_truncated
        self.max_tests = most_tests(length) if max_tests is None else max_tests
        self.changes = 0
        self._rows: dict[str, int] = {}
        self._key_characters = 0
        self._jobs: dict[str, int] = {}
        self._clock: list[int] = []
        self._last_number: list[int] = []
        self._truncated = TruncatedExecutions()
        self._columns: dict[str, NDArray[Any]] = {}
        self._integers = np.zeros((len(_INTEGERS), 0), np.int64)
        self._sums = np.zeros((len(_SUMS), 0), np.float64)
        self._heads = np.zeros(0, np.int64)
        self._last_lookup: tuple[Sequence[str], int, IntArray] = ((), -1, np.zeros(0, np.int64))
        self._reserve(64)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all known tests, in the order in which they became known."""
        return tuple(self._rows)

    def cycles(self, job: str = "") -> int:
        """How many cycles of the job had results."""
        return self._clock[self._jobs[job]] if job in self._jobs else 0

    @property
    def nbytes(self) -> int:
        """About the bytes that the arrays and the keys occupy."""
        rings = sum(self._columns[name].nbytes for name in _RINGS)
        keys = self._key_characters + len(self) * _KEY_BYTES
        return self._integers.nbytes + self._sums.nbytes + self._heads.nbytes + rings + keys

    # -- reading ------------------------------------------------------------------------------------------------

    def rows(self, keys: Sequence[str]) -> IntArray:
        """Rows of the tests, shape (n,); -1 for unknown tests: the last row of every array, which stays empty."""
        row_of = self._rows
        last_keys, size, rows = self._last_lookup
        if keys is not last_keys or len(row_of) != size:  # a job mostly has the same tests, and a row never changes
            rows = np.fromiter(map(row_of.get, keys, repeat(-1)), np.int64, len(keys))
            rows.flags.writeable = False
            self._last_lookup = keys if isinstance(keys, tuple) else (), len(row_of), rows
        return rows

    def past_failures(self, rows: IntArray) -> FloatArray:
        """Last executions, newest first, shape (n, N): 1 failed, 0 passed, NaN no such execution."""
        verdicts = self._newest_first("verdicts", rows).astype(np.float64)
        verdicts[verdicts < 0] = np.nan
        return verdicts

    def past(self, rows: IntArray) -> PastExecutions:
        """The kept executions of the tests."""
        verdicts = self._newest_first("verdicts", rows)
        seconds, cycles = self._newest_first("seconds", rows), self._newest_first("cycles", rows)
        return PastExecutions(verdicts >= 0, verdicts == _FAILED, seconds, cycles)

    def counts(self, rows: IntArray) -> PastCounts:
        """The counters of the tests."""
        counted = self._integers.take(rows, axis=1)
        cycles = counted[: len(_CYCLES)]
        job, runs, failures, measured = counted[len(_CYCLES) : len(_CYCLES) + 4]
        clocks = np.array([*self._clock, 0], np.int64)[job] + 1
        since_run, since_failure, age = np.where(cycles < 0, -1, clocks - cycles)
        failure_sum, duration_sum, weight_sum = self._sums.take(rows, axis=1)
        with np.errstate(invalid="ignore"):
            rate, mean = failure_sum / weight_sum, duration_sum / measured
        return PastCounts(runs, failures, since_run, since_failure, age, failure_rate=rate, mean_seconds=mean)

    # -- writing ------------------------------------------------------------------------------------------------

    def record(self, tests: Sequence[TestCase], results: Sequence[TestResult], number: int) -> None:
        """Enter results[i] for tests[i]; a test that appears twice was executed twice, in this order.

        Args:
            number: of the episode; results of one episode may come in parts.
        """
        self._record([test.key for test in tests], [test.job for test in tests], results, number)

    def record_keys(self, keys: Sequence[str], job: str, results: Sequence[TestResult], number: int) -> None:
        """The same for tests of one job, by `TestCase.key`."""
        self._record(keys, [job] * len(keys), results, number)

    def _record(self, names: Sequence[str], jobs: Sequence[str], results: Sequence[TestResult], number: int) -> None:
        if not names:
            return
        self.changes += 1
        rows, clocks = self._intern(names, jobs, number)
        self._columns["last_seen"][rows] = np.maximum(self._columns["last_seen"][rows], number)
        codes = np.array([CODES[result.verdict] for result in results], np.int64)
        seconds = np.array([result.duration for result in results], np.float64)
        finished = np.array([result.finished_at for result in results], np.float64)
        ran = codes <= _ERROR
        self._columns["last_run"][rows[ran]] = clocks[ran]
        broken = codes == _ERROR
        if self.keep_truncated and broken.any():
            self._offload(rows[broken], clocks[broken], codes[broken], seconds[broken], finished[broken])
        informative = np.flatnonzero(codes <= _FAILED)
        for part in _rounds(rows[informative]):
            at = informative[part]
            self._enter(rows[at], clocks[at], codes[at], seconds[at], finished[at])
        if len(self) > self.max_tests:
            self._forget(len(self) - self.max_tests * 3 // 4)

    def drain_truncated(self) -> dict[str, NDArray[Any]]:
        """The executions truncated since the last call, as columns of the recorded format, oldest first.

        cycle, job, test, duration (seconds; NaN not measured), verdict, finished_at (Unix seconds; NaN not reported).
        They are not part of the state: drain them before a state is taken.
        """
        return self._truncated.drain()

    # -- state --------------------------------------------------------------------------------------------------

    def state(self) -> State:
        """Everything but the truncated executions, as plain arrays."""
        count = len(self)
        state: State = {name: values[:count].copy() for name, values in self._columns.items()}
        state["heads"] = self._heads[:count].copy()
        state["length"] = self.length
        # Texts as JSON bytes: numpy's text arrays drop trailing zero characters and use four bytes per character.
        state["keys"] = np.frombuffer(json.dumps(list(self._rows)).encode(), np.uint8)
        jobs = {"jobs": list(self._jobs), "clock": self._clock, "last_number": self._last_number}
        state["jobs"] = np.frombuffer(json.dumps(jobs).encode(), np.uint8)
        return state

    def restore(self, state: State) -> None:
        """Restore a state; bit for bit the same history afterwards.

        Raises:
            CorruptArtifactError: the state lacks a part, or was made with another history length.
        """
        missing = [name for name in (*_COLUMNS, *_RINGS, "heads", "length", "keys", "jobs") if name not in state]
        if missing:
            raise CorruptArtifactError(f"lacks {', '.join(missing)}", "history", "a state of a history")
        if state["length"] != self.length:
            raise CorruptArtifactError(
                f"holds {state['length']} executions per test",
                "history.length",
                f"{self.length}, as in the agent's settings",
            )
        self.changes += 1
        keys = json.loads(np.asarray(state["keys"]).tobytes())
        jobs = json.loads(np.asarray(state["jobs"]).tobytes())
        self._rows = {key: row for row, key in enumerate(keys)}
        self._key_characters = sum(map(len, keys))
        self._jobs = {job: index for index, job in enumerate(jobs["jobs"])}
        self._clock, self._last_number = jobs["clock"], jobs["last_number"]
        self._truncated = TruncatedExecutions()
        self._columns, self._heads = {}, np.zeros(0, np.int64)
        self._last_lookup = ((), -1, np.zeros(0, np.int64))
        self._reserve(len(keys))
        for name in (*_COLUMNS, *_RINGS):
            self._columns[name][: len(keys)] = state[name]
        self._heads[: len(keys)] = state["heads"]

    # -- inside -------------------------------------------------------------------------------------------------

    def _reserve(self, count: int) -> None:
        """Make room for `count` tests and for the empty last row, which unknown tests are read from."""
        old = len(self._heads)
        if count < old:
            return
        capacity = max(64, min(2 * count, count + SPARE_EXECUTIONS // self.length + 1))
        filled = max(0, min(old - 1, len(self._rows)))
        self._integers = np.repeat(np.array([*_INTEGERS.values()], np.int64)[:, None], capacity, axis=1)
        self._sums = np.repeat(np.array([*_SUMS.values()], np.float64)[:, None], capacity, axis=1)
        grown: dict[str, NDArray[Any]] = dict(zip(_COLUMNS, (*self._integers, *self._sums), strict=True))
        for name, (dtype, empty) in _RINGS.items():
            grown[name] = np.full((capacity, self.length), empty, dtype)
        for name, values in grown.items():
            if filled:
                values[:filled] = self._columns[name][:filled]
        self._columns = grown
        heads = np.zeros(capacity, np.int64)
        heads[:filled] = self._heads[:filled]
        self._heads = heads

    def _newest_first(self, name: str, rows: IntArray) -> NDArray[Any]:
        slots = (self._heads[rows][:, None] - 1 - np.arange(self.length)) % self.length
        newest: NDArray[Any] = self._columns[name][rows[:, None], slots]
        return newest

    def _intern(self, names: Sequence[str], job_names: Sequence[str], number: int) -> tuple[IntArray, IntArray]:
        """Rows of the tests with these keys and jobs, new ones added, and the current cycle of each test's job."""
        jobs = {job: self._advance(job, number) for job in dict.fromkeys(job_names)}
        known = len(self)
        rows = np.array([self._rows.setdefault(name, len(self._rows)) for name in names], np.int64)
        clocks = np.full(len(names), self._clock[next(iter(jobs.values()))], np.int64)
        if len(jobs) > 1:
            clocks = np.array([self._clock[jobs[job]] for job in job_names], np.int64)
        if len(self) > known:
            # `_reserve` copies what the arrays hold, and the new rows lie beyond it.
            self._reserve(len(self))
            fresh = rows >= known
            self._key_characters += sum(map(len, islice(reversed(self._rows), len(self) - known)))
            self._columns["first_seen"][rows[fresh]] = clocks[fresh]
            self._columns["job"][rows[fresh]] = [jobs[job] for job, new in zip(job_names, fresh, strict=True) if new]
        return rows, clocks

    def _advance(self, job: str, number: int) -> int:
        """The job's index; its clock advances if this episode is its newest so far."""
        index = self._jobs.setdefault(job, len(self._jobs))
        if index == len(self._clock):
            self._clock.append(0)
            self._last_number.append(-1)
        if number > self._last_number[index]:
            self._clock[index] += 1
            self._last_number[index] = number
        return index

    def _enter(
        self, rows: IntArray, clocks: IntArray, codes: IntArray, seconds: FloatArray, finished: FloatArray
    ) -> None:
        """One passed or failed execution of each of these different tests."""
        column, heads = self._columns, self._heads[rows]
        if self.keep_truncated:
            full = column["verdicts"][rows, heads] >= 0
            self._offload_slots(rows[full], heads[full])
        for name, values in (("verdicts", codes), ("seconds", seconds), ("cycles", clocks), ("finished", finished)):
            column[name][rows, heads] = values
        self._heads[rows] = (heads + 1) % self.length
        failed = codes == _FAILED
        column["runs"][rows] += 1
        column["failures"][rows] += failed
        column["last_failure"][rows[failed]] = clocks[failed]
        column["failure_sum"][rows] = FAILURE_DECAY * column["failure_sum"][rows] + failed
        column["weight_sum"][rows] = FAILURE_DECAY * column["weight_sum"][rows] + 1.0
        measured = ~np.isnan(seconds)
        column["duration_sum"][rows[measured]] += seconds[measured]
        column["durations"][rows[measured]] += 1

    def _forget(self, count: int) -> None:
        """Drop the `count` tests that had no result for the longest time."""
        known = len(self)
        dropped = np.argsort(self._columns["last_seen"][:known], kind="stable")[:count]
        if self.keep_truncated:
            for slot in range(self.length):
                at = (self._heads[dropped] + slot) % self.length
                kept = self._columns["verdicts"][dropped, at] >= 0
                self._offload_slots(dropped[kept], at[kept])
        stay = np.ones(known, np.bool_)
        stay[dropped] = False
        state = self.state()
        for name in (*_COLUMNS, *_RINGS, "heads"):
            state[name] = np.asarray(state[name])[stay]
        keys = [key for key, remains in zip(self._rows, stay, strict=True) if remains]
        state["keys"] = np.frombuffer(json.dumps(keys).encode(), np.uint8)
        truncated = self._truncated
        self.restore(state)
        self._truncated = truncated

    def _offload_slots(self, rows: IntArray, slots: IntArray) -> None:
        if len(rows):
            values = [self._columns[name][rows, slots] for name in ("cycles", "verdicts", "seconds", "finished")]
            self._offload(rows, *values)

    def _offload(
        self, rows: IntArray, cycles: IntArray, codes: IntArray, seconds: FloatArray, finished: FloatArray
    ) -> None:
        keys, jobs = list(self._rows), list(self._jobs)
        names = [jobs[index] for index in self._columns["job"][rows]]
        tests = [keys[row][len(job) + 1 :] if job else keys[row] for row, job in zip(rows, names, strict=True)]
        self._truncated.add(names, tests, cycles, [_VERDICTS[code].value for code in codes], seconds, finished)


def _rounds(rows: IntArray) -> Iterator[IntArray]:
    """Indices, split so that no row appears twice in a part and each row's order is kept."""
    order = np.argsort(rows, kind="stable")
    ordered, index = rows[order], np.arange(len(rows))
    begins = np.ones(len(rows), np.bool_)
    begins[1:] = ordered[1:] != ordered[:-1]
    occurrence = np.empty(len(rows), np.int64)
    occurrence[order] = index - np.maximum.accumulate(np.where(begins, index, 0)) if len(rows) else 0
    for turn in range(int(occurrence.max(initial=-1)) + 1):
        yield np.flatnonzero(occurrence == turn)
