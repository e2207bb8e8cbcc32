"""Histories from JUnit XML reports: one file, or one folder, is one cycle."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agents.scheduling.loaders.ci_history import CiHistory, Cycle, TestNames
from agents.scheduling.loaders.junit_report import ReportedCase, read_report
from agents.scheduling.testcase import Verdict
from envsearch.errors import InputError


def load_junit(path: Path, errors_as: Verdict = Verdict.ERROR) -> CiHistory:
    """The history in a report, or in a folder of them.

    A file is one cycle. In a folder each XML file is a cycle, and each subfolder is one: all reports below it together.
    Cycles are in natural order of their names (run-2 before run-10).

    Args:
        errors_as: see `junit_report.read_report`.

    Raises:
        InputError: there is no report, or one is broken; names the file, line and column.
    """
    names = TestNames()
    if path.is_file():
        return CiHistory(path.stem, (_cycle(path, [path], names, errors_as),))
    entries = sorted((entry for entry in _entries(path) if _reports(entry)), key=lambda entry: natural(entry.name))
    if not entries:
        raise InputError("contains no report", "", "files *.xml, or folders of them", str(path))
    return CiHistory(path.name, tuple(_cycle(entry, _reports(entry), names, errors_as) for entry in entries))


def cycle_of(cases: Sequence[ReportedCase], name: str, names: TestNames) -> Cycle:
    """One cycle of reported cases, in their order."""
    return Cycle(
        tests=names.cases([case.name for case in cases]),
        verdicts=tuple(case.verdict for case in cases),
        durations=np.array([case.duration for case in cases], np.float64),
        name=name,
    )


def natural(text: str) -> list[tuple[int, int, str]]:
    """A sort key that compares numbers inside texts by value."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text)]


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", source=str(folder)) from error


def _reports(entry: Path) -> list[Path]:
    if entry.is_dir():
        return sorted(entry.rglob("*.xml"), key=lambda file: [natural(part) for part in file.parts])
    return [entry] if entry.suffix.lower() == ".xml" else []


def _cycle(entry: Path, reports: Sequence[Path], names: TestNames, errors_as: Verdict) -> Cycle:
    cases = [case for report in reports for case in read_report(report, errors_as)]
    return cycle_of(cases, entry.stem if entry.is_file() else entry.name, names)
