"""Statistics of each test case beyond the kept executions: failure rates at several memories, streaks, patterns.

They are learned from rewarded episodes alone, so they are part of the learner's state.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.scheduling.observation import BoolArray, FloatArray, IntArray
from agents.scheduling.state import State
from envsearch.errors import CorruptArtifactError

DECAYS = (0.5, 0.8, 0.9, 0.97, 1.0)
"""Weight of an execution relative to the next later one, in the failure rates."""

PATTERN = 6
"""Last verdicts in the table of patterns."""

MAX_TESTS = 200_000
"""Tests kept; beyond this, those that were not a candidate for the longest time are forgotten."""

_SHARE_DECAY = 0.98
_PATTERN_DECAY = 0.999
_CANDIDATES_A_CYCLE = 5.0
"""This many new tests of one cycle count in full: those of a cycle tend to fail together."""

# name -> (dtype, value of a test that was never rewarded, columns)
_COLUMNS: dict[str, tuple[type, float, int]] = {
    "failed": (np.float64, 0.0, len(DECAYS)),
    "weight": (np.float64, 0.0, len(DECAYS)),
    "runs": (np.int64, 0, 0),
    "streak": (np.int64, 0, 0),
    "flips": (np.int64, 0, 0),
    "pattern": (np.int64, 0, 0),
    "known": (np.int64, 0, 0),
    "first": (np.int64, 0, 0),
    "last": (np.int64, 0, 0),
    "last_failure": (np.int64, -1, 0),
    "waited": (np.int64, 0, 0),
    "seen": (np.int64, 0, 0),
}


class FailureStatistics:
    """Columns of per-test numbers, and a few of all tests together.

    Attributes:
        column: name -> array, one row per known test and a last, empty one that unknown tests are read from.
            failed, weight: shape (n, len(DECAYS)): sums of decay^k f_k and of decay^k. streak: failures in a row, or
            passes as a negative number. pattern: last verdicts as bits, the newest lowest; known: how many of them.
            waited: episodes in a row in which the test was a candidate without a known verdict.
        clock: rewarded episodes with a verdict.
        share: recent mean share of failing tests in an episode.
        failing: recent share of episodes with a failing test.
        new: how many new tests failed and passed, with more weight on recent ones; shape (2,).
        onset: recent mean rate at which tests fail whose last run passed.
        patterns: failures and executions after each pattern, shape (2, PATTERN + 1, 2 ** PATTERN), by its length.
    """

    __test__ = False  # pytest: not a class of tests

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.column: dict[str, NDArray[Any]] = {}
        self.clock = 0
        self.share = 0.1
        self.failing = 0.5
        self.onset = np.array([1.0, 50.0])
        self.new = np.array([1.0, 4.0])
        self.patterns = np.zeros((2, PATTERN + 1, 2**PATTERN))
        self._reserve(64)
        self._sort()

    def __len__(self) -> int:
        return len(self.rows)

    # -- reading ------------------------------------------------------------------------------------------------

    def find(self, keys: Sequence[str]) -> IntArray:
        """Rows of the tests, shape (n,); -1, the empty row, for unknown ones."""
        rows = self.rows
        return np.fromiter((rows.get(key, -1) for key in keys), np.int64, len(keys))

    def neighbours(self, keys: Sequence[str], rows: IntArray, reach: int) -> tuple[IntArray, BoolArray]:
        """Rows of the nearest tests in the order of names, and which of them exist. Shapes (n, 2 reach).

        Numbers within names are compared as numbers. A test is not a neighbour of itself.
        """
        count = len(self._ordered)
        offsets = np.concatenate([np.arange(-reach, 0), np.arange(1, reach + 1)])
        at = self._rank[rows]
        for place in np.flatnonzero(rows < 0).tolist():
            at[place] = bisect_left(self._names, natural(keys[place]))
        known = rows >= 0
        # An unknown test lies between two known ones: the next one is at its own place.
        index = at[:, None] + offsets[None, :] - ((~known)[:, None] & (offsets > 0)[None, :])
        exists = (index >= 0) & (index < count)
        if not count:
            return np.full(index.shape, -1), exists
        return self._ordered[np.clip(index, 0, count - 1)], exists

    # -- writing ------------------------------------------------------------------------------------------------

    def update(self, keys: Sequence[str], informative: BoolArray, failed: BoolArray) -> None:
        """Enter one episode: which of its tests have a verdict, and which of those failed. Shapes (n,)."""
        if not informative.any():
            return
        rows = self._intern(keys)
        self.clock += 1
        self._count(rows, informative, failed)
        judged, bad = rows[informative], failed[informative]
        for part in _occurrences(judged):
            self._enter(judged[part], bad[part])
        column = self.column
        column["waited"][rows] += 1
        column["waited"][judged] = 0
        column["last"][judged] = self.clock
        column["last_failure"][judged[bad]] = self.clock
        column["seen"][rows] = self.clock
        self.patterns *= _PATTERN_DECAY
        if len(self) > MAX_TESTS:
            self._forget(MAX_TESTS * 3 // 4)

    # -- state --------------------------------------------------------------------------------------------------

    def state(self) -> State:
        """Everything, as plain arrays and numbers."""
        state: State = {name: values[: len(self)].copy() for name, values in self.column.items()}
        keys = json.dumps(list(self.rows)).encode()
        return state | {
            "keys": np.frombuffer(keys, np.uint8),
            "clock": self.clock,
            "share": self.share,
            "failing": self.failing,
            "onset": self.onset.copy(),
            "new": self.new.copy(),
            "patterns": self.patterns.copy(),
        }

    def restore(self, state: State) -> None:
        """Restore a state, bit for bit.

        Raises:
            CorruptArtifactError: a part is missing or of another shape.
        """
        others = ("keys", "clock", "share", "failing", "onset", "new", "patterns")
        missing = [name for name in (*_COLUMNS, *others) if name not in state]
        if missing:
            raise CorruptArtifactError(f"lacks {', '.join(missing)}", "memory", "a state of failure statistics")
        keys = json.loads(np.asarray(state["keys"]).tobytes())
        self.rows = {key: row for row, key in enumerate(keys)}
        self.column = {}
        self._reserve(len(keys))
        for name in _COLUMNS:
            values = np.asarray(state[name])
            if values.shape != self.column[name][: len(keys)].shape:
                raise CorruptArtifactError(f"is of shape {values.shape}", f"memory.{name}", f"{len(keys)} tests")
            self.column[name][: len(keys)] = values
        self.clock, self.share = int(state["clock"]), float(state["share"])
        self.onset, self.new = np.array(state["onset"]), np.array(state["new"])
        self.failing = float(state["failing"])
        self.patterns = np.array(state["patterns"])
        self._sort()

    # -- inside -------------------------------------------------------------------------------------------------

    def _intern(self, keys: Sequence[str]) -> IntArray:
        before = len(self)
        rows = np.fromiter((self.rows.setdefault(key, len(self.rows)) for key in keys), np.int64, len(keys))
        if len(self) > before:
            self._reserve(len(self))
            self.column["first"][before : len(self)] = self.clock
            self._sort()
        return rows

    def _reserve(self, count: int) -> None:
        old = len(self.column["runs"]) if self.column else 0
        if count < old:
            return
        capacity = max(64, 2 * count)
        for name, (dtype, empty, width) in _COLUMNS.items():
            grown: NDArray[Any] = np.full((capacity, width) if width else (capacity,), empty, dtype)
            if old:
                grown[: old - 1] = self.column[name][: old - 1]
            self.column[name] = grown

    def _sort(self) -> None:
        """Sort the names. By position: rows, and names in their comparable form; by row: the position."""
        named = sorted((natural(key), row) for key, row in self.rows.items())
        self._names = [name for name, _ in named]
        self._ordered = np.array([row for _, row in named], np.int64)
        self._rank = np.zeros(len(self.column["runs"]), np.int64)
        self._rank[self._ordered] = np.arange(len(named))

    def _count(self, rows: IntArray, informative: BoolArray, failed: BoolArray) -> None:
        """The numbers of all tests together."""
        bad = failed[informative]
        new = self.column["runs"][rows[informative]] == 0
        calm = self.column["streak"][rows[informative]] <= 0
        self.share = _SHARE_DECAY * self.share + (1.0 - _SHARE_DECAY) * float(bad.mean())
        self.failing = _SHARE_DECAY * self.failing + (1.0 - _SHARE_DECAY) * float(bad.any())
        shrink = min(1.0, _CANDIDATES_A_CYCLE / max(int(new.sum()), 1))
        self.new = _SHARE_DECAY * self.new + shrink * np.array([(bad & new).sum(), (~bad & new).sum()])
        if calm.any():
            self.onset = 0.99 * self.onset + np.array([bad[calm].mean(), 1.0])

    def _enter(self, rows: IntArray, bad: BoolArray) -> None:
        """One execution of each of these different tests."""
        column = self.column
        pattern, known, streak = column["pattern"][rows], column["known"][rows], column["streak"][rows]
        for length in range(PATTERN + 1):
            fits = known >= max(length, 1)
            tail = pattern[fits] & ((1 << length) - 1)
            np.add.at(self.patterns[0, length], tail, bad[fits])
            np.add.at(self.patterns[1, length], tail, 1.0)
        column["flips"][rows] += (known > 0) & ((pattern & 1) != bad)
        column["pattern"][rows] = ((pattern << 1) | bad) & (2**PATTERN - 1)
        column["known"][rows] = np.minimum(known + 1, PATTERN)
        column["failed"][rows] = column["failed"][rows] * np.array(DECAYS) + bad[:, None]
        column["weight"][rows] = column["weight"][rows] * np.array(DECAYS) + 1.0
        column["runs"][rows] += 1
        more = np.where(bad, np.maximum(streak, 0) + 1, np.minimum(streak, 0) - 1)
        column["streak"][rows] = more

    def _forget(self, keep: int) -> None:
        stay = np.sort(np.argsort(-self.column["seen"][: len(self)], kind="stable")[:keep])
        keys = list(self.rows)
        state = self.state()
        for name in _COLUMNS:
            state[name] = np.asarray(state[name])[stay]
        state["keys"] = np.frombuffer(json.dumps([keys[row] for row in stay.tolist()]).encode(), np.uint8)
        self.restore(state)


_DIGITS = re.compile(r"\d+")


def natural(key: str) -> str:
    """A text whose order compares the numbers in the key as numbers (of up to 20 digits)."""
    return _DIGITS.sub(lambda digits: digits.group().zfill(20), key)


def _occurrences(rows: IntArray) -> list[IntArray]:
    """Indices, split so that no row appears twice in a part and each row's order is kept."""
    order = np.argsort(rows, kind="stable")
    ordered, index = rows[order], np.arange(len(rows))
    begins = np.ones(len(rows), np.bool_)
    begins[1:] = ordered[1:] != ordered[:-1]
    if begins.all():
        return [index]
    turn = np.empty(len(rows), np.int64)
    turn[order] = index - np.maximum.accumulate(np.where(begins, index, 0))
    return [np.flatnonzero(turn == number) for number in range(int(turn.max()) + 1)]


def rates(memory: FailureStatistics, rows: IntArray) -> FloatArray:
    """Failure rates at each memory, drawn towards the share of failing tests, in (0, 1). Shape (n, len(DECAYS))."""
    failed, weight = memory.column["failed"][rows], memory.column["weight"][rows]
    drawn: FloatArray = (failed + PRIOR_WEIGHT * memory.share) / (weight + PRIOR_WEIGHT)
    return drawn


PRIOR_WEIGHT = 0.3
"""Executions that the share of failing tests counts for in a rate."""
