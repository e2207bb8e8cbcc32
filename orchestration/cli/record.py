"""``proctor record``: run any test command that writes JUnit XML, and append the run to a history as one cycle."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

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
    errors_as_failures: Annotated[
        bool, typer.Option("--errors-as-failures", help="Treat <error> in a report as a failure of the test.")
    ] = False,
) -> None:
    """Run COMMAND and append its JUnit reports to HISTORY as one cycle.

    The exit code is the command's own. Reports are *junit*.xml and TEST-*.xml below the current folder, unless --junit
    or {junit} says otherwise; only files that the command wrote count. If none can be read, the history is unchanged.
    """
    from agents.scheduling.testcase import Verdict
    from orchestration.studies.recording.recorder import record_run

    errors_as = Verdict.FAILED if errors_as_failures else Verdict.ERROR
    done = record_run(history, command, junit or (), job, errors_as)
    if done.problem:
        print(f"error: {done.problem}", file=sys.stderr)
        sys.exit(done.exit_code or NOTHING_RECORDED)
    print(f"{history}: cycle {done.cycle}, {done.tests} tests, {done.failed} failed", file=sys.stderr)
    sys.exit(done.exit_code)
