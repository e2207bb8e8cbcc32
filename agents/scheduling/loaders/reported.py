"""What one report says: its test cases, and what went wrong outside of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agents.scheduling.testcase import Verdict


@dataclass(frozen=True, slots=True)
class Place:
    """What a report says about a test besides its class and name."""

    suites: tuple[str, ...] = ()
    package: str = ""
    file: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class ReportedCase:
    """One ``testcase`` element.

    Attributes:
        name: ``classname::name``; without a class, the suite's name comes first, if there is one.
        verdict: of its last execution.
        duration: seconds; None: not reported.
        executions: 1, plus 1 for each reported rerun.
        flaky: it failed and then passed.
        place: what tells it from another test of the same name.
        suite: number of its ``testsuite`` element in the report.
    """

    name: str
    verdict: Verdict
    duration: float | None
    executions: int = 1
    flaky: bool = False
    place: Place = Place()
    suite: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """One report file.

    Attributes:
        source: its path.
        outside: what went wrong outside of tests, one text each.
        uncollected: modules whose tests could not be collected; part of `outside`.
        notes: what was passed over, one line each.
        started_at: earliest timestamp, Unix seconds; None: not reported.
    """

    source: str
    cases: tuple[ReportedCase, ...]
    outside: tuple[str, ...] = ()
    uncollected: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    started_at: float | None = None

    def __iter__(self) -> Iterator[ReportedCase]:
        return iter(self.cases)

    def __len__(self) -> int:
        return len(self.cases)
