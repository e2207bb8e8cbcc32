"""Options that several commands share: one definition, one help text."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.output import OutputFormat


class ExecutorName(StrEnum):
    """What ``--executor`` accepts."""

    AUTO = "auto"
    RAY = "ray"
    INLINE = "inline"


Home = Annotated[Path | None, typer.Option(help="Folder of results (env: PROCTOR_HOME; default: ./proctor-data).")]
Store = Annotated[
    str | None,
    typer.Option(envvar="PROCTOR_STORE", help="URL of the result store, any fsspec URL (default: <home>/store)."),
]
Executor = Annotated[
    ExecutorName, typer.Option(help="Where work runs: ray, inline (in this process), or auto (whichever fits).")
]
Cpus = Annotated[int | None, typer.Option(min=1, help="Cores to use (default: all).")]
Address = Annotated[str | None, typer.Option(help="Address of a running Ray cluster.")]
TrackingUri = Annotated[str | None, typer.Option(help="MLflow tracking URI, or none (default: SQLite in the home).")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
Format = Annotated[OutputFormat, typer.Option("--format", help="How to print.")]
