"""A recorded CI history: cycles of test cases with their verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from agents.scheduling.loaders.safe_names import safe_name
from agents.scheduling.observation import BoolArray, FloatArray
from agents.scheduling.testcase import TestCase, Verdict


@dataclass(frozen=True, slots=True, eq=False)
class Cycle:
    """One CI cycle of n candidates, in the job's own order.

    Attributes:
        tests: with unique ids; repeated rows of one test share their `history_id`.
        verdicts: shape (n,).
        durations: measured seconds, shape (n,); NaN: not measured.
        name: of the cycle in its source.
        finished_at: Unix time, seconds; None: not recorded.
    """

    tests: tuple[TestCase, ...]
    verdicts: tuple[Verdict, ...]
    durations: FloatArray
    name: str = ""
    finished_at: float | None = None

    def __len__(self) -> int:
        return len(self.tests)

    @property
    def failed(self) -> BoolArray:
        """Which tests failed, shape (n,)."""
        return np.fromiter((verdict is Verdict.FAILED for verdict in self.verdicts), np.bool_, len(self.verdicts))

    def with_errors_as(self, verdict: Verdict) -> Cycle:
        """The same cycle with another verdict for its errors."""
        return replace(self, verdicts=tuple(verdict if own is Verdict.ERROR else own for own in self.verdicts))


@dataclass(frozen=True, slots=True, eq=False)
class CiHistory:
    """Cycles in the order in which they ran.

    Attributes:
        notes: what was passed over while it was read, one line each.
    """

    name: str
    cycles: tuple[Cycle, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.cycles)

    def __iter__(self) -> Iterator[Cycle]:
        return iter(self.cycles)

    @property
    def failing_cycles(self) -> int:
        """How many cycles have a failing test."""
        return sum(Verdict.FAILED in cycle.verdicts for cycle in self.cycles)

    @property
    def errors(self) -> int:
        """How many executions are errors of the infrastructure."""
        return sum(cycle.verdicts.count(Verdict.ERROR) for cycle in self.cycles)

    def with_errors_as(self, verdict: Verdict) -> CiHistory:
        """The same history with another verdict for its errors."""
        return replace(self, cycles=tuple(cycle.with_errors_as(verdict) for cycle in self.cycles))


class TestNames:
    """Creates test cases from a source's names: rows that repeat a name get distinct ids and share one history.

    The first row keeps the name, later ones are called ``name#2``, ``name#3`` (or the next number that is free in the
    cycle). Equal test cases are one object over all cycles.
    """

    __test__ = False  # pytest: not a class of tests

    def __init__(self, job: str = "") -> None:
        self.job = job
        self._cases: dict[tuple[str, str], TestCase] = {}

    def cases(self, names: Sequence[str]) -> tuple[TestCase, ...]:
        """One test case per row of a cycle, in order."""
        names = [safe_name(name) for name in names]
        cases = []
        for own, name in zip(distinct_ids(names), names, strict=True):
            case = self._cases.get((own, name))
            if case is None:
                case = TestCase(own, self.job, history_id="" if own == name else name)
                self._cases[own, name] = case
            cases.append(case)
        return tuple(cases)


def distinct_ids(names: Sequence[str]) -> list[str]:
    """Unique ids for the rows of a cycle, in order."""
    if len(set(names)) == len(names):
        return list(names)
    taken, counts, ids = set(names), dict.fromkeys(names, 0), []
    for name in names:
        counts[name] += 1
        own = name
        if counts[name] > 1:
            while (own := f"{name}#{counts[name]}") in taken:
                counts[name] += 1
            taken.add(own)
        ids.append(own)
    return ids
