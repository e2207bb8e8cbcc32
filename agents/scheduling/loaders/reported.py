"""What one report says: its test cases, and what went wrong outside of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from agents.scheduling.testcase import Verdict

LONGEST_NAME = 1000
"""Characters of a test's name, the limit of the service; longer ones end with a digest."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class Place:
    """What a report tells about a test besides its class and name."""

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
    notes: tuple[str, ...] = field(default=())
    started_at: float | None = None

    def __iter__(self) -> Iterator[ReportedCase]:
        return iter(self.cases)

    def __len__(self) -> int:
        return len(self.cases)


def safe_name(text: str) -> str:
    """A test's name as every part of the product takes it: one line, at most `LONGEST_NAME` characters."""
    name = _CONTROL.sub(" ", text)
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{name[: LONGEST_NAME - 17]}~{digest}"
