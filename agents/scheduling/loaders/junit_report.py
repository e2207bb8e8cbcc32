"""One JUnit XML report, read safely: no document type, no entities, bounded size, depth and lengths."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

from agents.scheduling.loaders.report_numbers import seconds_of
from agents.scheduling.loaders.report_outcomes import ELEMENTS, by_attribute, worst
from agents.scheduling.loaders.report_text import clean_xml
from agents.scheduling.loaders.reported import Place, Report, ReportedCase
from agents.scheduling.loaders.safe_names import safe_name
from agents.scheduling.testcase import Verdict
from envsearch.errors import InputError

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 64
MAX_CASES = 1_000_000
_ROOT = "documents"
"""An element around the file: some runners write one document after another."""

_ROOTS = ("testsuites", "testsuite")
_ATTEMPT = re.compile(r"\s*\(attempt \d+ of \d+\)$", re.IGNORECASE)
_COLLECTION_CLASSES = ("unittest.loader._FailedTest", "Test suite failed to run")
"""What unittest and Jest call the class of a module that they could not import."""

_MOMENT = re.compile(r"-\d{14}$")
"""unittest-xml-reporting puts the time of the run behind the name of a suite."""


def read_report(path: Path, errors_as: Verdict = Verdict.ERROR) -> Report:
    """The test cases of a report file, in its order. A value or case that makes no sense is skipped and noted.

    Args:
        errors_as: the verdict of an ``error`` element. JUnit uses it for everything that went wrong outside of an
            assertion: with pytest a broken fixture, with Java runners also an exception in the code under test (use
            FAILED for these).

    Raises:
        InputError: the file cannot be read, is not JUnit XML, or exceeds a bound; names the line and the column.
    """
    try:
        with path.open("rb") as file:
            return parse_report(file, str(path), errors_as)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", source=str(path)) from error


def parse_report(file: BinaryIO, source: str, errors_as: Verdict = Verdict.ERROR) -> Report:
    """As `read_report`, from an open binary file."""
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise InputError("is too large", "", f"at most {MAX_BYTES // 2**20} MiB", source)
    reader = _Reader(source, errors_as)
    reader.feed(f"<{_ROOT}>{clean_xml(data, source)}</{_ROOT}>".encode())
    return reader.report()


@dataclass(slots=True)
class _Open:
    """A test case whose end tag has not been read yet."""

    case: ReportedCase
    time: str | None
    own: str
    grouped: bool
    outcomes: list[Verdict] = field(default_factory=list)
    reruns: int = 0
    flaky: bool = False
    collection: bool = False


@dataclass(slots=True)
class _Suite:
    """A suite whose end tag has not been read yet."""

    name: str
    package: str
    file: str
    host: str
    number: int


@dataclass(slots=True)
class _Reader:
    """Handlers of one parse. Everything but test cases, suites and outcomes is ignored."""

    source: str
    errors_as: Verdict
    cases: list[ReportedCase] = field(default_factory=list)
    times: list[str | None] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    suites: list[_Suite] = field(default_factory=list)
    suite_count: int = 0
    case: _Open | None = None
    foreign: InputError | None = None
    readable: bool = False
    roots: int = 0
    declared_errors: int = 0
    seen_errors: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    outside: list[str] = field(default_factory=list)
    uncollected: list[str] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    parser: expat.XMLParserType = field(default_factory=lambda: expat.ParserCreate("utf-8"))

    def __post_init__(self) -> None:
        # `clean_xml` has refused them already: a document type allows internal and external entities.
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self.parser.EntityDeclHandler = self._refuse_doctype
        self.parser.ExternalEntityRefHandler = self._refuse_doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    @property
    def suite(self) -> _Suite:
        """The innermost open one."""
        return self.suites[-1] if self.suites else _Suite("", "", "", "", 0)

    def feed(self, data: bytes) -> None:
        try:
            self.parser.Parse(data, True)
        except expat.ExpatError as error:
            problem = f"is not well-formed XML ({expat.ErrorString(error.code)})"
            raise InputError(problem, self._place(error.lineno, error.offset), "JUnit XML", self.source) from error

    def report(self) -> Report:
        if not self.roots:
            problem = "is not well-formed XML (no element)"
            raise self.foreign or InputError(problem, "line 1, column 1", "JUnit XML", self.source)
        seconds = seconds_of(self.times)
        for text, value in zip(self.times, seconds, strict=True):
            if text and text.strip() and value is None:
                self.skipped["times that cannot be read (left out)"] += 1
        if self.declared_errors and not self.seen_errors:
            self.outside.append(f"errors that are counted without a test: {self.declared_errors}")
        return Report(
            self.source,
            tuple(replace(case, duration=value) for case, value in zip(self.cases, seconds, strict=True)),
            tuple(self.outside),
            tuple(self.uncollected),
            tuple(f"{self.source}: {what}: {number}" for what, number in self.skipped.items()),
            min(self.moments, default=None),
        )

    def _refuse_doctype(self, *_: object) -> int:
        raise self._error("has a document type or entities", "JUnit XML without <!DOCTYPE>")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        self.path.append(name)
        if len(self.path) == 2:
            self._start_root(tag, name)
        if len(self.path) > MAX_DEPTH + 1:
            raise self._error("is nested too deeply", f"at most {MAX_DEPTH} levels")
        if not self.readable:
            return
        if name in _ROOTS:
            self._start_suite(name, attributes)
        elif name == "testcase" and self.case is None:
            self._start_case(attributes)
        elif self.case is not None and self.path[-2] == "testcase":
            self._outcome(self.case, name, attributes)
        elif self.path[-2] in _ROOTS and name in ("error", "failure"):
            self._outside(name, attributes)
        elif name == "property" and self.path[-3:-1] == ["testsuite", "properties"]:
            self._property(attributes)

    def _start_root(self, tag: str, name: str) -> None:
        self.readable = name in _ROOTS
        if self.readable:
            self.roots += 1
        elif self.foreign is None:
            self.foreign = self._error(f"begins with <{tag[:80]}>", "JUnit XML: <testsuites> or <testsuite>")

    def _start_suite(self, name: str, attributes: dict[str, str]) -> None:
        if (moment := _unix_seconds(attributes.get("timestamp", ""))) is not None:
            self.moments.append(moment)
        if len(self.path) == 2 and (errors := attributes.get("errors", "")).isdecimal() and len(errors) < 10:
            self.declared_errors += int(errors)
        if name == "testsuite":
            self.suite_count += 1
            own = _MOMENT.sub("", attributes.get("name", ""))
            above = self.suite
            package = attributes.get("package") or above.package
            file, host = attributes.get("file") or above.file, attributes.get("hostname") or above.host
            self.suites.append(_Suite(own, package, file, host, self.suite_count))

    def _property(self, attributes: dict[str, str]) -> None:
        """The project of a suite tells its tests from those of another project better than the host does."""
        if attributes.get("name", "").lower() in ("project", "browser") and attributes.get("value") and self.suites:
            self.suites[-1].host = attributes["value"]

    def _outside(self, name: str, attributes: dict[str, str]) -> None:
        self.seen_errors += name == "error"
        suite = self.suite.name
        message = attributes.get("message") or attributes.get("type") or name
        self.outside.append(": ".join(safe_name(part)[:200] for part in (suite, message) if part))

    def _end(self, tag: str) -> None:
        name = self.path.pop()
        if name == "testsuite" and self.readable:
            self.suites.pop()
        elif name == "testcase" and self.case is not None and "testcase" not in self.path:
            case, self.case = self.case, None
            self._close(case)

    def _close(self, case: _Open) -> None:
        if case.collection and not case.grouped:
            self.uncollected.append(case.own)
            self.outside.append(f"{case.own}: could not be collected")
            return
        verdict = worst(case.outcomes) if case.outcomes else case.case.verdict
        verdict = self.errors_as if verdict is Verdict.ERROR else verdict
        self.cases.append(replace(case.case, verdict=verdict, executions=1 + case.reruns, flaky=case.flaky))
        self.times.append(case.time)

    def _start_case(self, attributes: dict[str, str]) -> None:
        if len(self.cases) >= MAX_CASES:
            raise self._error("has too many test cases", f"at most {MAX_CASES}")
        own = _ATTEMPT.sub("", attributes.get("name", ""))
        if not own.strip():
            self.skipped["<testcase> without a name (passed over)"] += 1
            return
        suite = self.suite
        group = attributes.get("classname", "")
        collection = group in _COLLECTION_CLASSES
        prefix = group or suite.name
        where = Place(
            tuple(part.name for part in self.suites if part.name),
            attributes.get("package") or suite.package,
            attributes.get("file") or suite.file,
            suite.host,
        )
        name = safe_name(f"{prefix}::{own}" if prefix else own)
        case = ReportedCase(name, by_attribute(attributes), None, place=where, suite=suite.number)
        grouped = bool(group) and not collection
        self.case = _Open(case, attributes.get("time"), safe_name(own), grouped, collection=collection)

    def _outcome(self, case: _Open, name: str, attributes: dict[str, str]) -> None:
        """An outcome by element; reruns as Maven Surefire writes them."""
        self.seen_errors += name == "error"
        if name in ELEMENTS:
            case.outcomes.append(ELEMENTS[name])
            case.collection |= name == "error" and attributes.get("message", "").startswith("collection failure")
        elif name in ("rerunFailure", "rerunError"):
            case.reruns += 1
        elif name in ("flakyFailure", "flakyError"):
            case.reruns += 1
            case.flaky = True

    def _here(self) -> str:
        return self._place(self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber)

    def _place(self, line: int, column: int) -> str:
        before = len(_ROOT) + 2 if line == 1 else 0
        return f"line {line}, column {max(column - before, 0) + 1}"

    def _error(self, problem: str, expected: str) -> InputError:
        return InputError(problem, self._here(), expected, self.source)


def _unix_seconds(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
