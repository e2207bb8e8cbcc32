"""Records one run of a test command as the next cycle of a history."""

from __future__ import annotations

import fcntl
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from agents.scheduling.loaders.ci_history import Cycle, TestNames
from agents.scheduling.loaders.junit_report import read_report
from agents.scheduling.loaders.junit_xml import cycle_of
from agents.scheduling.testcase import Verdict
from envsearch.errors import InputError, StoreUnavailableError
from orchestration.studies.recording.command import run_command
from orchestration.studies.recording.reports import DEFAULT_PATTERNS, ReportFolder

PLACEHOLDER = "{junit}"
"""In a command: replaced by a temporary report file, which is removed after the run."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The outcome of one recorded run.

    Attributes:
        exit_code: the command's own.
        cycle: number in the history; None: nothing was recorded.
        tests, failed: numbers of the cycle.
        problem: why nothing was recorded; "" if the run was recorded.
    """

    exit_code: int
    cycle: int | None = None
    tests: int = 0
    failed: int = 0
    problem: str = ""


def record_run(
    history: Path,
    command: Sequence[str],
    patterns: Sequence[str] = (),
    job: str = "",
    errors_as: Verdict = Verdict.ERROR,
) -> Recorded:
    """Run a command in the current folder and append its reports to a history.

    Args:
        history: recorded Parquet file; created if missing.
        patterns: of the reports; without any, `DEFAULT_PATTERNS`. Ignored if the command contains `PLACEHOLDER`.
        job: stored with every test of the cycle.
        errors_as: see `junit_report.read_report`.

    Raises:
        InputError: the history is not a recorded file, or the command cannot start. Then nothing was run.
        KeyboardInterrupt: nothing was recorded.
    """
    check_history(history)
    with tempfile.TemporaryDirectory(prefix="proctor-record-") as folder:
        named = any(PLACEHOLDER in part for part in command)
        own = str(Path(folder) / "junit.xml")
        reports = ReportFolder(Path.cwd(), [own] if named else patterns or DEFAULT_PATTERNS)
        code = run_command([part.replace(PLACEHOLDER, own) for part in command])
        try:
            cycle = _cycle(reports.written(), job, errors_as, time.time())
            number = append_locked(history, cycle)
        except InputError as error:
            return Recorded(code, problem=str(error))
    return Recorded(code, number, len(cycle), int(cycle.failed.sum()))


def check_history(history: Path) -> None:
    """Refuse a file that cannot be appended to before the tests run for an hour.

    Raises:
        InputError: the file is not a recorded history, or its folder does not exist.
    """
    from agents.scheduling.loaders.parquet import column_names
    from agents.scheduling.loaders.recorded import COLUMNS

    if not history.parent.is_dir():
        raise InputError("its folder does not exist", "HISTORY", "a file in a folder that exists", str(history))
    if history.exists():
        missing = [name for name in COLUMNS if name not in column_names(history)]
        if missing:
            problem = f"is not a recorded history (no column {', '.join(missing)})"
            raise InputError(problem, "HISTORY", "a file that `proctor record` created", str(history))


def append_locked(history: Path, cycle: Cycle) -> int:
    """Append a cycle; concurrent processes take turns. Returns the number of the cycle.

    Raises:
        InputError: the file is not a recorded history, or cannot be written. Then it is unchanged.
    """
    from agents.scheduling.loaders.recorded import append_cycle

    with _locked(history):
        return append_cycle(cycle, history)


@contextmanager
def _locked(history: Path) -> Iterator[None]:
    """A lock of the operating system, which releases it if the process is killed."""
    path = history.with_name(f".{history.name}.lock")
    try:
        file = path.open("w")
    except OSError as error:
        problem = f"cannot be written ({error.strerror})"
        raise StoreUnavailableError(problem, "", "a folder that this user may write", str(path)) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _cycle(reports: Sequence[Path], job: str, errors_as: Verdict, finished_at: float) -> Cycle:
    """All reports of a run as one cycle.

    Raises:
        InputError: a report is broken, or no report contains a test.
    """
    cases = [case for report in reports for case in read_report(report, errors_as)]
    if not cases:
        raise InputError("contains no test case; nothing was recorded", "", "at least one", str(reports[0]))
    return replace(cycle_of(cases, "", TestNames(job)), finished_at=finished_at)
