"""From the reports that a command wrote to the cycle of its run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.scheduling.loaders.ci_history import Cycle, TestNames
from agents.scheduling.loaders.junit_xml import ReadRun, cycle_of, read_run
from agents.scheduling.loaders.reported import ReportedCase
from agents.scheduling.loaders.run_cases import run_cases
from agents.scheduling.testcase import Verdict
from envsearch.errors import InputError
from orchestration.studies.recording.known_tests import KnownTests
from orchestration.studies.recording.reports import ReportFolder


@dataclass(frozen=True, slots=True)
class RunReports:
    """What the reports of a run say.

    Attributes:
        paths: of the reports that were read.
        outside: what went wrong outside of tests, one text each.
        notes: what was passed over, one line each.
    """

    cycle: Cycle
    paths: tuple[str, ...]
    outside: tuple[str, ...]
    notes: tuple[str, ...]


def read_written(folder: ReportFolder, known: KnownTests, job: str, errors_as: Verdict) -> RunReports:
    """The reports of a run as one cycle. Known tests of a module that could not be collected are errors.

    Raises:
        InputError: no report was written, none can be read, or none contains a test.
    """
    run = _first_readable(folder, errors_as)
    (executed,) = run_cases([run.reports], known.names)
    outside = tuple(problem for report in run.reports for problem in report.outside)
    cases = (*executed.cases, *_uncollected(run, executed.cases, known, errors_as))
    paths = tuple(report.source for report in run.reports)
    if not cases:
        reason = f" ({outside[0]})" if outside else ""
        raise InputError(f"contains no test case{reason}; nothing was recorded", "", "at least one", paths[0])
    return RunReports(cycle_of(cases, "", TestNames(job)), paths, outside, (*run.notes, *executed.notes))


def _first_readable(folder: ReportFolder, errors_as: Verdict) -> ReadRun:
    """The reports that the command names, if it wrote any that can be read; else those of the patterns."""
    runs = [read_run("", paths, errors_as) for paths in folder.written()]
    for run in runs:
        if run.reports:
            return run
    raise runs[0].problem or InputError("contains no report", source="proctor record")


def _uncollected(
    run: ReadRun, cases: Sequence[ReportedCase], known: KnownTests, errors_as: Verdict
) -> list[ReportedCase]:
    own = {case.name for case in cases}
    modules = [module for report in run.reports for module in report.uncollected]
    return [ReportedCase(name, errors_as, None) for name in known.of_modules(modules) if name not in own]


def shown_paths(paths: Sequence[str], most: int = 3) -> str:
    """The reports for one line, relative to the current folder where they lie below it."""
    here = Path.cwd()
    names = [str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path for path in paths]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
