"""The command line ``proctor``, also ``python -m orchestration``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code (see `orchestration.cli.errors`)."""
    from orchestration.cli.app import app
    from orchestration.cli.errors import run_app

    run_app(app, argv)
