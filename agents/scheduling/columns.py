"""Tests and rankings in columns: sequences whose entries are created on access.

A recommendation needs ids and durations as columns anyway. To create one object per test and per position takes longer
than to rank the tests, and the objects keep the garbage collector busy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, overload

import numpy as np

from agents.scheduling.episode import RankedTest
from agents.scheduling.observation import BoolArray, FloatArray, IntArray
from agents.scheduling.testcase import SEPARATOR, FeatureValue, TestCase

Features = tuple[tuple[str, FeatureValue], ...]
Reasons = tuple[str, ...]


Entry = TypeVar("Entry")


class _Entries(Sequence[Entry]):
    """A sequence that equals another one with equal entries."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, tuple | list | _Entries):
            return NotImplemented
        return len(self) == len(other) and all(left == right for left, right in zip(self, other, strict=True))


class TestColumns(_Entries[TestCase]):
    """n candidates of one job.

    Args:
        ids: shape (n,).
        job: of all of them.
        durations: expected seconds or None, shape (n,); (): none is known.
        features: of each test, shape (n,); (): there are none.
        checked: the caller has checked all ids and durations.

    Raises:
        InputError: an id is empty, or a number is out of range; the same error as of `TestCase`.
    """

    __slots__ = ("_keys", "_unique", "durations", "features", "ids", "job", "seconds")
    __test__ = False  # pytest: not a class of tests

    ids: tuple[str, ...]
    job: str
    durations: tuple[float | None, ...]
    features: tuple[Features, ...]
    seconds: FloatArray
    """`durations` with NaN for None, shape (n,); read-only."""

    def __init__(
        self,
        ids: Sequence[str],
        job: str = "",
        durations: Sequence[float | None] = (),
        features: Sequence[Features] = (),
        checked: bool = False,
    ) -> None:
        self.ids, self.job = tuple(ids), job
        self.durations, self.features = tuple(durations), tuple(features)
        self.seconds = seconds_of(self.durations) if self.durations else np.full(len(self.ids), np.nan)
        self.seconds.flags.writeable = False  # an observation may be this very array
        self._keys: tuple[str, ...] | None = None
        self._unique: bool | None = None
        if self.features or not (checked or self._valid()):
            for _ in self:  # creating the invalid test raises its error
                pass

    def _valid(self) -> bool:
        """Whether all ids and durations are valid."""
        measured = self.seconds
        if unknown := self.durations.count(None) if self.durations else len(self.ids):
            measured = measured[~np.isnan(measured)]  # a NaN that was not None is missing from the sum below
        valid = len(measured) + unknown == len(self.ids) and bool(((measured >= 0.0) & (measured < np.inf)).all())
        return valid and all(self.ids) and SEPARATOR not in self.job and SEPARATOR not in "".join(self.ids)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the tests' histories, shape (n,); the same object each time."""
        if self._keys is None:
            start = self.job + SEPARATOR
            self._keys = tuple([start + own for own in self.ids]) if self.job else self.ids
        return self._keys

    @property
    def unique(self) -> bool:
        """Whether each id appears once."""
        if self._unique is None:
            self._unique = len(set(self.ids)) == len(self.ids)
        return self._unique

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, place: int) -> TestCase: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[TestCase, ...]: ...
    def __getitem__(self, place: int | slice) -> TestCase | tuple[TestCase, ...]:
        """The test at that place."""
        if isinstance(place, slice):
            return tuple(self[index] for index in range(*place.indices(len(self))))
        duration = self.durations[place] if self.durations else None
        return TestCase(self.ids[place], self.job, duration, self.features[place] if self.features else ())


class RankedColumns(_Entries[RankedTest]):
    """A ranking of n tests, the test to run first in front; each column has shape (n,).

    Args:
        places: index of each of them among the candidates; None: looked up by id.
        chances: the estimated probability that each test fails, None where there is no estimate; (): none is estimated.
    """

    __slots__ = ("chances", "ids", "places", "priority", "reasons", "seconds", "selected")

    def __init__(
        self,
        ids: Sequence[str],
        priority: Sequence[float],
        selected: Sequence[bool],
        seconds: Sequence[float],
        reasons: Sequence[Reasons],
        places: IntArray | None = None,
        chances: Sequence[float | None] = (),
    ) -> None:
        self.places = places
        self.ids, self.priority, self.selected = tuple(ids), tuple(priority), tuple(selected)
        self.seconds, self.reasons, self.chances = tuple(seconds), tuple(reasons), tuple(chances)

    def __len__(self) -> int:
        return len(self.ids)

    def places_among(self, ids: Sequence[str]) -> IntArray:
        """Index of each position's test among these candidates, shape (n,)."""
        if self.places is None:
            index = {name: place for place, name in enumerate(ids)}
            self.places = np.array([index[name] for name in self.ids], np.int64)
        return self.places

    @overload
    def __getitem__(self, place: int) -> RankedTest: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[RankedTest, ...]: ...
    def __getitem__(self, place: int | slice) -> RankedTest | tuple[RankedTest, ...]:
        """The entry at that place; its position is one more."""
        if isinstance(place, slice):
            return tuple(self[index] for index in range(*place.indices(len(self))))
        position = 1 + (place if place >= 0 else place + len(self.ids))
        return RankedTest(
            self.ids[place],
            position,
            self.priority[place],
            self.selected[place],
            self.seconds[place],
            self.reasons[place],
            self.chances[place] if self.chances else None,
        )


def seconds_of(durations: Sequence[float | None]) -> FloatArray:
    """NaN for None, shape (n,)."""
    return np.array(durations, np.float64)


def ids_of(tests: Sequence[TestCase]) -> tuple[str, ...]:
    """Ids of the tests, shape (n,)."""
    return tests.ids if isinstance(tests, TestColumns) else tuple([test.id for test in tests])


def keys_of(tests: Sequence[TestCase]) -> tuple[str, ...]:
    """The keys of the tests' histories, shape (n,)."""
    return tests.keys if isinstance(tests, TestColumns) else tuple([test.key for test in tests])


def declared_seconds(tests: Sequence[TestCase]) -> FloatArray:
    """Expected seconds as the job declared them, NaN where it declared none, shape (n,)."""
    return tests.seconds if isinstance(tests, TestColumns) else seconds_of([test.duration for test in tests])


def ranking_columns(ranking: Sequence[RankedTest]) -> RankedColumns:
    """The same in columns."""
    if isinstance(ranking, RankedColumns):
        return ranking
    return RankedColumns(
        [entry.id for entry in ranking],
        [entry.priority for entry in ranking],
        [entry.selected for entry in ranking],
        [entry.expected_duration for entry in ranking],
        [entry.reasons for entry in ranking],
        chances=[entry.chance for entry in ranking],
    )


def among(ids: Sequence[str], names: Sequence[str]) -> BoolArray:
    """Which ids are among these names, shape (n,)."""
    if not names:
        return np.zeros(len(ids), np.bool_)
    members = set(names)
    return np.array([name in members for name in ids], np.bool_)


def chances_column(chances: FloatArray | None, order: IntArray) -> Sequence[float | None]:
    """The chances in the order of a ranking: None in place of NaN; () if no test has an estimate."""
    if chances is None:
        return ()
    unknown = np.isnan(chances)
    if unknown.all():
        return ()
    values = chances.astype(object) if unknown.any() else chances
    if unknown.any():
        values[unknown] = None
    column: list[float | None] = values[order].tolist()
    return column
