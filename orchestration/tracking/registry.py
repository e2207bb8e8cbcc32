"""The explicit table of trackers, and where a tracking URI leads."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit, urlunsplit

from envsearch.errors import InputError
from orchestration.tracking.base import Tracker

TRACKERS: dict[str, tuple[str, str]] = {
    "none": ("orchestration.tracking.null_tracker", "NullTracker"),
    "mlflow": ("orchestration.tracking.mlflow_tracker", "MlflowTracker"),
}
"""Name -> (module, class); the module is imported when its tracker is asked for."""

DATABASES = ("postgresql", "mysql", "mssql", "sqlite")
SERVERS = ("http", "https")
DATABASE_NAME = "mlflow.db"
UI_SETTING = "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false"
"""The server's job runner forks eight processes and takes a gigabyte; nothing of ours needs it."""
EXPECTED = "none, sqlite:///FILE, postgresql://..., mysql://... or http(s)://..."


def tracker(uri: str | None, home: Path) -> Tracker:
    """The tracker of a campaign home.

    Args:
        uri: ``none``; an MLflow tracking URI; or None for the environment's ``MLFLOW_TRACKING_URI`` and, without
            that, a SQLite file in the home.
        home: folder of the campaigns.

    Raises:
        InputError: the URI is of no known kind.
    """
    resolved = tracking_uri(uri, home)
    module, class_name = TRACKERS["none" if resolved == "none" else "mlflow"]
    return cast(Tracker, getattr(import_module(module), class_name)(resolved, home))


def tracking_uri(uri: str | None, home: Path) -> str:
    """The URI in full: the default filled in, a relative SQLite path made absolute.

    Raises:
        InputError: the URI is of no known kind.
    """
    given = uri if uri is not None else os.environ.get("MLFLOW_TRACKING_URI")
    if not given:
        return f"sqlite:///{(home / DATABASE_NAME).resolve()}"
    if given.lower() == "none":
        return "none"
    scheme = given.partition("://")[0].partition("+")[0].lower()
    if "://" not in given or scheme not in (*DATABASES, *SERVERS, "databricks"):
        raise InputError(f"{shown_uri(given)!r} is no tracking URI", "tracking", EXPECTED)
    if scheme == "sqlite":
        path = given.partition(":///")[2]
        if not path:
            raise InputError(f"{given!r} names no file", "tracking", "sqlite:///FILE")
        return f"sqlite:///{Path(path).resolve()}"
    return given


def shown_uri(uri: str) -> str:
    """A URI fit for messages: its password is masked."""
    parts = urlsplit(uri)
    if not parts.password:
        return uri
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")))


def ui_command(uri: str) -> str:
    """The line that opens the user interface of a tracker's URI: a command, or the address of a server.

    Args:
        uri: as `Tracker.uri` says it; empty text comes back for ``none``.
    """
    if uri == "none":
        return ""
    if uri.partition("://")[0] not in DATABASES and uri.partition("+")[0] not in DATABASES:
        return shown_uri(uri)
    return f"{UI_SETTING} {_mlflow_program()} ui --workers 1 --backend-store-uri {shlex.quote(shown_uri(uri))}"


def _mlflow_program() -> str:
    """``mlflow`` where the shell finds this interpreter's own one, else its path, short if below the current folder."""
    program = Path(sys.executable).parent / "mlflow"
    if shutil.which("mlflow") == str(program):
        return "mlflow"
    here = Path.cwd()
    return shlex.quote(str(program.relative_to(here) if program.is_relative_to(here) else program))
