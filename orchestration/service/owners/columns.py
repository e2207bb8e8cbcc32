"""What has one entry per test, in columns: tuples of texts and numbers, not one object per test.

A batch of calls crosses two processes, and columns are pickled several times faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.scheduling.columns import Features, TestColumns
from agents.scheduling.testcase import TestCase, TestResult, Verdict

PastRun = tuple[str, float | None, float | None]
"""One past execution told by the caller: verdict, duration in seconds, Unix time of its end."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The n test cases of a job, in columns; an empty column stands for "not told" throughout.

    Attributes:
        ids: unique, shape (n,).
        durations: expected seconds or None, shape (n,) or ().
        features: (name, number or category) pairs of each test, shape (n,) or ().
        histories: past executions of each test, newest first, shape (n,) or (). Taken up the first time that the
            agent meets the test; what it has seen itself counts more.
        checked: ids and durations are within the limits.
    """

    ids: tuple[str, ...]
    durations: tuple[float | None, ...] = ()
    features: tuple[Features, ...] = ()
    histories: tuple[tuple[PastRun, ...], ...] = ()
    checked: bool = field(default=False, compare=False, repr=False)
    _made: list[TestColumns] = field(default_factory=list, init=False, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    def tests(self, job: str = "") -> TestColumns:
        """As the library wants them; made once for each job that asks in turn.

        Raises:
            InputError: an id is empty, or a number is out of range.
        """
        if not self._made or self._made[0].job != job:
            self._made[:] = [TestColumns(self.ids, job, self.durations, self.features, self.checked)]
        return self._made[0]

    @classmethod
    def of(cls, tests: Sequence[TestCase]) -> Candidates:
        """The columns of these tests."""
        return cls(
            tuple(test.id for test in tests),
            tuple(test.duration for test in tests),
            tuple(test.features for test in tests),
        )


@dataclass(frozen=True, slots=True)
class Ranking:
    """A recommendation of n tests in columns, the test to run first in front; shape (n,) each.

    Position is index + 1. Tests that are not selected follow the selected ones.
    """

    ids: tuple[str, ...]
    priority: tuple[float, ...]
    selected: tuple[bool, ...]
    expected_duration: tuple[float, ...]
    reasons: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Results:
    """Results of k tests in columns, shape (k,); `durations` and `finished_at` may be empty: not told.

    Attributes:
        verdicts: passed, failed, error, skipped or not_run.
        durations: seconds.
        finished_at: Unix time, seconds.
    """

    ids: tuple[str, ...]
    verdicts: tuple[str, ...]
    durations: tuple[float | None, ...] = ()
    finished_at: tuple[float | None, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def results(self) -> tuple[TestResult, ...]:
        """As the library wants them.

        Raises:
            InputError: a number is out of range.
            ValueError: a verdict is not known.
        """
        nothing = (None,) * len(self.ids)
        verdicts = tuple(map(Verdict, self.verdicts))
        return tuple(map(TestResult, self.ids, verdicts, self.durations or nothing, self.finished_at or nothing))

    @classmethod
    def of(cls, results: Sequence[TestResult]) -> Results:
        """The columns of these results."""
        return cls(
            tuple(result.id for result in results),
            tuple(result.verdict.value for result in results),
            tuple(result.duration for result in results),
            tuple(result.finished_at for result in results),
        )
