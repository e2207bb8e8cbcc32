"""One JUnit XML report, read safely: no document type, no entities, bounded size, depth and lengths."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

from agents.scheduling.testcase import Verdict
from envsearch.errors import InputError

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 64
MAX_CASES = 1_000_000
MAX_NAME = 4096
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class ReportedCase:
    """One ``testcase`` element.

    Attributes:
        name: ``classname::name``; without a class, the suite's name comes first, if there is one.
        verdict: of its last execution.
        duration: seconds; None: not reported.
        executions: 1, plus 1 for each reported rerun.
        flaky: it failed and then passed.
    """

    name: str
    verdict: Verdict
    duration: float | None
    executions: int = 1
    flaky: bool = False


def read_report(path: Path, errors_as: Verdict = Verdict.ERROR) -> list[ReportedCase]:
    """The test cases of a report file, in its order.

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


def parse_report(file: BinaryIO, source: str, errors_as: Verdict = Verdict.ERROR) -> list[ReportedCase]:
    """As `read_report`, from an open binary file."""
    reader = _Reader(source, errors_as)
    size = 0
    while chunk := file.read(_CHUNK):
        size += len(chunk)
        if size > MAX_BYTES:
            raise InputError("is too large", "", f"at most {MAX_BYTES // 2**20} MiB", source)
        reader.feed(chunk)
    return reader.finish()


@dataclass(slots=True)
class _Open:
    """A test case whose end tag has not been read yet."""

    name: str
    duration: float | None
    verdict: Verdict = Verdict.PASSED
    reruns: int = 0
    flaky: bool = False


@dataclass(slots=True)
class _Reader:
    """Handlers of one parse. Everything but test cases, suites and outcomes is ignored."""

    source: str
    errors_as: Verdict
    cases: list[ReportedCase] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    suites: list[str] = field(default_factory=list)
    case: _Open | None = None
    parser: expat.XMLParserType = field(default_factory=expat.ParserCreate)

    def __post_init__(self) -> None:
        # A document type allows internal and external entities; no JUnit report needs one.
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self.parser.EntityDeclHandler = self._refuse_doctype
        self.parser.ExternalEntityRefHandler = self._refuse_doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    def feed(self, chunk: bytes, last: bool = False) -> None:
        try:
            self.parser.Parse(chunk, last)
        except expat.ExpatError as error:
            place = f"line {error.lineno}, column {error.offset + 1}"
            problem = f"is not well-formed XML ({expat.ErrorString(error.code)})"
            raise InputError(problem, place, "JUnit XML", self.source) from error
        except (ValueError, LookupError) as error:  # an encoding that Python does not know or cannot decode
            raise self._error(f"cannot be decoded ({error})", "JUnit XML in UTF-8") from error

    def finish(self) -> list[ReportedCase]:
        self.feed(b"", last=True)
        return self.cases

    def _refuse_doctype(self, *_: object) -> int:
        raise self._error("has a document type or entities", "JUnit XML without <!DOCTYPE>")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if not self.path and name not in ("testsuites", "testsuite"):
            raise self._error(f"begins with <{tag[:80]}>", "JUnit XML: <testsuites> or <testsuite>")
        if len(self.path) >= MAX_DEPTH:
            raise self._error("is nested too deeply", f"at most {MAX_DEPTH} levels")
        self.path.append(name)
        if name == "testsuite":
            self.suites.append(attributes.get("name", ""))
        elif name == "testcase" and self.case is None:
            self._start_case(attributes)
        elif self.case is not None and self.path[-2] == "testcase":
            self._outcome(self.case, name)

    def _end(self, tag: str) -> None:
        name = self.path.pop()
        if name == "testsuite":
            self.suites.pop()
        elif name == "testcase" and self.case is not None and "testcase" not in self.path:
            case, self.case = self.case, None
            self.cases.append(ReportedCase(case.name, case.verdict, case.duration, 1 + case.reruns, flaky=case.flaky))

    def _start_case(self, attributes: dict[str, str]) -> None:
        if len(self.cases) >= MAX_CASES:
            raise self._error("has too many test cases", f"at most {MAX_CASES}")
        own = attributes.get("name", "")
        if not own:
            raise self._error("a <testcase> has no name", "an attribute name")
        group = attributes.get("classname") or (self.suites[-1] if self.suites else "")
        name = f"{group}::{own}" if group else own
        if len(name) > MAX_NAME:
            raise self._error("the name of a <testcase> is too long", f"at most {MAX_NAME} characters")
        self.case = _Open(name.replace("\x1f", " "), self._seconds(attributes.get("time")))
        if attributes.get("status") in ("notrun", "disabled"):  # GoogleTest
            self.case.verdict = Verdict.NOT_RUN

    def _outcome(self, case: _Open, name: str) -> None:
        """A failure overrides an error, and both override skipped; reruns as Maven Surefire writes them."""
        if name == "failure":
            case.verdict = Verdict.FAILED
        elif name == "error" and case.verdict is not Verdict.FAILED:
            case.verdict = self.errors_as
        elif name == "skipped" and case.verdict is Verdict.PASSED:
            case.verdict = Verdict.SKIPPED
        elif name in ("rerunFailure", "rerunError"):
            case.reruns += 1
        elif name in ("flakyFailure", "flakyError"):
            case.reruns += 1
            case.flaky = True

    def _seconds(self, text: str | None) -> float | None:
        if text is None or not text.strip():
            return None
        try:
            number = float(text.replace(",", ""))  # Surefire groups thousands
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number >= 0.0):
            raise self._error(f"time={text[:40]!r}", "seconds, a finite number of at least 0")
        return number

    def _error(self, problem: str, expected: str) -> InputError:
        place = f"line {self.parser.CurrentLineNumber}, column {self.parser.CurrentColumnNumber + 1}"
        return InputError(problem, place, expected, self.source)
