"""Records one run of a test command as the next cycle of a history."""

from __future__ import annotations

import fcntl
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from agents.scheduling.loaders.ci_history import Cycle
from agents.scheduling.testcase import Verdict
from envsearch.errors import InputError, StoreUnavailableError
from orchestration.studies.recording.command import run_command
from orchestration.studies.recording.known_tests import KnownTests
from orchestration.studies.recording.reports import DEFAULT_PATTERNS, ReportFolder, named_in
from orchestration.studies.recording.run_reading import RunReports, read_written

PLACEHOLDER = "{junit}"
"""In a command: replaced by a temporary report file, which is removed after the run."""

SUFFIXES = (".parquet", ".pq")


@dataclass(frozen=True, slots=True)
class Recorded:
    """The outcome of one recorded run.

    Attributes:
        exit_code: the command's own.
        cycle: number in the history; None: nothing was recorded.
        tests, failed, errors, skipped: numbers of the run.
        outside: what went wrong outside of tests, one text each.
        reports: that were read.
        notes: what was passed over, one line each.
        problem: why nothing was recorded; "" if the run was recorded.
    """

    exit_code: int
    cycle: int | None = None
    tests: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0
    outside: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str = ""

    @classmethod
    def of(cls, exit_code: int, number: int, run: RunReports) -> Recorded:
        """A recorded run."""
        count = Counter(run.cycle.verdicts)
        skipped = count[Verdict.SKIPPED] + count[Verdict.NOT_RUN]
        numbers = (len(run.cycle), count[Verdict.FAILED], count[Verdict.ERROR], skipped)
        return cls(exit_code, number, *numbers, run.outside, run.paths, run.notes)


def record_run(
    history: Path,
    command: Sequence[str],
    patterns: Sequence[str] = (),
    job: str = "",
    errors_as: Verdict = Verdict.ERROR,
    build: str = "",
) -> Recorded:
    """Run a command in the current folder and append its reports to a history.

    Args:
        history: recorded Parquet file; created if missing.
        patterns: of the reports; without any, the XML files that the command names, else `DEFAULT_PATTERNS`. Ignored
            if the command contains `PLACEHOLDER`.
        job: stored with every test of the cycle.
        errors_as: see `junit_report.read_report`.
        build: name of the run; runs with the same one, such as shards, become one cycle.

    Raises:
        InputError: the history is not a recorded file, or the command cannot start. Then nothing was run.
        KeyboardInterrupt: nothing was recorded.
    """
    check_history(history)
    with tempfile.TemporaryDirectory(prefix="proctor-record-") as folder:
        own = str(Path(folder) / "junit.xml")
        reports = _folder(command, patterns, own)
        code = run_command([part.replace(PLACEHOLDER, own) for part in command])
        try:
            run = read_written(reports, KnownTests.of_file(history, job), job, errors_as)
            number = append_locked(history, replace(run.cycle, finished_at=time.time()), build)
        except InputError as error:
            return Recorded(code, problem=str(error))
    return Recorded.of(code, number, run)


def _folder(command: Sequence[str], patterns: Sequence[str], own: str) -> ReportFolder:
    """Where the run's reports will lie; `own` is the path behind the placeholder."""
    if any(PLACEHOLDER in part for part in command):
        return ReportFolder(Path.cwd(), [own])
    if patterns:
        return ReportFolder(Path.cwd(), patterns)
    return ReportFolder(Path.cwd(), DEFAULT_PATTERNS, named_in(command))


def check_history(history: Path) -> None:
    """Refuse a file that cannot be appended to before the tests run for an hour.

    Raises:
        InputError: the file is not a recorded history, its name would be read as another format, or its folder does
            not exist.
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
    elif history.suffix.lower() not in SUFFIXES:
        raise InputError("is not the name of a Parquet file", "HISTORY", " or ".join(SUFFIXES), str(history))


def append_locked(history: Path, cycle: Cycle, build: str = "") -> int:
    """Append a cycle; concurrent processes take turns. Returns the number of the cycle.

    Raises:
        InputError: the file is not a recorded history, or cannot be written. Then it is unchanged.
    """
    from agents.scheduling.loaders.recorded import append_cycle

    with _locked(history):
        return append_cycle(cycle, history, build)


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
