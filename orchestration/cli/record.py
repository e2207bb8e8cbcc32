"""``proctor record``: run any test command that writes JUnit XML, and append the run to a history as one cycle."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestration.studies.recording.recorder import Recorded

NOTHING_RECORDED = 2
"""Exit code if the command succeeded but its run could not be recorded."""


def record(
    history: Annotated[Path, typer.Argument(metavar="HISTORY", help="Parquet file to append to; created if missing.")],
    command: Annotated[
        list[str],
        typer.Argument(metavar="-- COMMAND...", help="What to run; {junit} is replaced by a temporary report file."),
    ],
    junit: Annotated[
        list[str] | None,
        typer.Option(help="Where the command writes its reports, a glob pattern; may be repeated."),
    ] = None,
    job: Annotated[str, typer.Option(help="Name of the job, stored with each test.")] = "",
    build: Annotated[
        str, typer.Option(help="Name of the run; recordings with the same one (shards) become one cycle.")
    ] = "",
    errors_as_failures: Annotated[
        bool, typer.Option("--errors-as-failures", help="Treat <error> in a report as a failure of the test.")
    ] = False,
) -> None:
    """Run COMMAND and append its JUnit reports to HISTORY as one cycle.

    The exit code is the command's own. Reports are the XML files that COMMAND names, else *junit*.xml and TEST-*.xml
    below the current folder, unless --junit or {junit} says otherwise; only files that the command wrote count. If none
    can be read, the history is unchanged.
    """
    from agents.scheduling.testcase import Verdict
    from orchestration.studies.recording.recorder import record_run

    errors_as = Verdict.FAILED if errors_as_failures else Verdict.ERROR
    done = record_run(history, command, junit or (), job, errors_as, build)
    for note in done.notes:
        print(f"note: {note}", file=sys.stderr)
    if done.problem:
        print(f"error: {done.problem}{_ended(done)}", file=sys.stderr)
        sys.exit(done.exit_code or NOTHING_RECORDED)
    print(_summary(history, done), file=sys.stderr)
    sys.exit(done.exit_code)


def _summary(history: Path, done: Recorded) -> str:
    from orchestration.studies.recording.run_reading import shown_paths

    errors = f"{done.errors} error{'' if done.errors == 1 else 's'}"
    numbers = f"{done.tests} tests, {done.failed} failed, {errors}, {done.skipped} skipped"
    outside = f"; outside of tests: {'; '.join(done.outside[:3])}" if done.outside else ""
    silent = done.exit_code and not (done.failed or done.errors or done.outside)
    broken = " although no test failed: the run may have broken off" if silent else ""
    reports = f"read {shown_paths(done.reports)}"
    return f"{history}: cycle {done.cycle}, {numbers}{outside}; exit code {done.exit_code}{broken}; {reports}"


def _ended(done: Recorded) -> str:
    return f"; exit code {done.exit_code}" if done.exit_code else ""
