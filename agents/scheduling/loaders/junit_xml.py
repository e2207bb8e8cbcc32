"""Histories from JUnit XML reports: one file, or one folder, is one cycle."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from agents.scheduling.loaders.ci_history import CiHistory, Cycle, TestNames
from agents.scheduling.loaders.junit_report import read_report
from agents.scheduling.loaders.reported import Report, ReportedCase
from agents.scheduling.loaders.run_cases import run_cases
from agents.scheduling.testcase import Verdict
from envsearch.errors import InputError


def load_junit(path: Path, errors_as: Verdict = Verdict.ERROR) -> CiHistory:
    """The history in a report, or in a folder of them.

    A file is one cycle. In a folder each XML file is a cycle, and each subfolder is one: all reports below it together.
    Cycles are in the order of the reports' timestamps if all have one, else in natural order of their names (run-2
    before run-10). What cannot be read is passed over and named in the history's notes.

    Args:
        errors_as: see `junit_report.read_report`.

    Raises:
        InputError: there is no report, or none can be read; names the file, line and column.
    """
    runs = _runs(path, errors_as)
    cases = run_cases([run.reports for run in runs])
    names = TestNames()
    cycles = [cycle_of(executed.cases, run.name, names) for run, executed in zip(runs, cases, strict=True)]
    notes = [note for run in runs for note in run.notes] + [note for each in cases for note in each.notes]
    notes += [f"{run.name}: {problem}" for run in runs for report in run.reports for problem in report.outside]
    full = [cycle for cycle in cycles if len(cycle)]
    notes += [f"{cycle.name}: contains no test case; passed over" for cycle in cycles if not len(cycle)]
    if not full:
        raise InputError("contains no test case" + "".join(f"; {note}" for note in notes[:3]), source=str(path))
    return CiHistory(path.stem if path.is_file() else path.name, tuple(full), tuple(notes))


def cycle_of(cases: Sequence[ReportedCase], name: str, names: TestNames) -> Cycle:
    """One cycle of reported cases, in their order."""
    return Cycle(
        tests=names.cases([case.name for case in cases]),
        verdicts=tuple(case.verdict for case in cases),
        durations=np.array([case.duration for case in cases], np.float64),
        name=name,
    )


@dataclass(slots=True)
class ReadRun:
    """The reports of one run that could be read.

    Attributes:
        notes: why others could not, one line each.
        problem: the first reason.
    """

    name: str
    reports: list[Report] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problem: InputError | None = None

    @property
    def started_at(self) -> float | None:
        """The earliest timestamp of its reports; None: none has one."""
        return min((r.started_at for r in self.reports if r.started_at is not None), default=None)


def read_run(name: str, paths: Collection[Path], errors_as: Verdict = Verdict.ERROR) -> ReadRun:
    """All reports of a run; those that cannot be read are named and passed over."""
    run = ReadRun(name)
    for path in paths:
        try:
            run.reports.append(read_report(path, errors_as))
        except InputError as error:
            run.problem = run.problem or error
            run.notes.append(f"{error}; passed over")
    return run


def natural(text: str) -> list[tuple[int, int, str]]:
    """A sort key that compares numbers inside texts by value."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text)]


def _runs(path: Path, errors_as: Verdict) -> list[ReadRun]:
    """The runs that have a report, in the order in which they ran.

    Raises:
        InputError: there are none.
    """
    if path.is_file():
        runs = [read_run(path.stem, [path], errors_as)]
    else:
        entries = sorted((entry for entry in _entries(path) if _reports(entry)), key=lambda entry: natural(entry.name))
        runs = [read_run(e.stem if e.is_file() else e.name, _reports(e), errors_as) for e in entries]
    if not runs:
        raise InputError("contains no report", "", "files *.xml, or folders of them", str(path))
    readable = [run for run in runs if run.reports]
    if not readable:
        raise next(run.problem for run in runs if run.problem)
    readable[0].notes[:0] = [note for run in runs if not run.reports for note in run.notes]
    return _in_time(readable)


def _in_time(runs: list[ReadRun]) -> list[ReadRun]:
    moments = {id(run): run.started_at for run in runs}
    if all(moment is not None for moment in moments.values()):
        return sorted(runs, key=lambda run: moments[id(run)] or 0.0)
    if len(runs) > 1 and any(moment is not None for moment in moments.values()):
        runs[0].notes.append("not all reports have a timestamp: the cycles are in the order of their names")
    return runs


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", source=str(folder)) from error


def _reports(entry: Path) -> list[Path]:
    if entry.is_dir():
        return sorted(entry.rglob("*.xml"), key=lambda file: [natural(part) for part in file.parts])
    return [entry] if entry.suffix.lower() == ".xml" else []
