"""The MLflow client: resolved tracking URIs, complete databases, a quiet import with short timeouts.

MLflow itself is imported inside the functions: commands that do not need it start fast.
"""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import socket
import sqlite3
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from envsearch.errors import InputError

METRICS_PER_CALL = 1000
"""MLflow's limit."""
DATABASES = ("postgresql", "mysql", "mssql", "sqlite")
SERVERS = ("http", "https")
DATABASE_NAME = "mlflow.db"
UI_SETTING = "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false"
"""The server's job runner forks eight processes and takes a gigabyte; Proctor does not need it."""
EXPECTED = "none, sqlite:///FILE, postgresql://..., mysql://... or http(s)://..."

CONNECT_SECONDS = 5.0
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Set before MLflow is imported, unless the user has set them: no telemetry, short timeouts, no chatter."""
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
NOISY_LOGGERS = ("mlflow", "alembic", "urllib3", "sqlalchemy")


def tracking_uri(uri: str | None, home: Path) -> str:
    """The URI in full: the default filled in, a relative SQLite path made absolute.

    Raises:
        InputError: the URI is of an unknown kind.
    """
    requested = uri if uri is not None else os.environ.get("MLFLOW_TRACKING_URI")
    if not requested:
        return f"sqlite:///{(home / DATABASE_NAME).resolve()}"
    if requested.lower() == "none":
        return "none"
    scheme = requested.partition("://")[0].partition("+")[0].lower()
    if "://" not in requested or scheme not in (*DATABASES, *SERVERS, "databricks"):
        raise InputError(f"{shown_uri(requested)!r} is not a tracking URI", "tracking", EXPECTED)
    if scheme == "sqlite":
        path = requested.partition(":///")[2]
        if not path:
            raise InputError(f"{requested!r} does not name a file", "tracking", "sqlite:///FILE")
        return f"sqlite:///{Path(path).resolve()}"
    return requested


def shown_uri(uri: str) -> str:
    """A URI fit for messages: its password is masked."""
    parts = urlsplit(uri)
    if not parts.password:
        return uri
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")))


def ui_command(uri: str) -> str:
    """The line that opens the user interface of a tracker's URI: a command, or the address of a server.

    Args:
        uri: as in `Tracker.uri`; the result is empty for ``none``.
    """
    if uri == "none":
        return ""
    if uri.partition("://")[0] not in DATABASES and uri.partition("+")[0] not in DATABASES:
        return shown_uri(uri)
    return f"{UI_SETTING} {_mlflow_program()} ui --workers 1 --backend-store-uri {shlex.quote(shown_uri(uri))}"


def _mlflow_program() -> str:
    """``mlflow`` if the shell finds this interpreter's program, else its path, relative if below the current folder."""
    program = Path(sys.executable).parent / "mlflow"
    if shutil.which("mlflow") == str(program):
        return "mlflow"
    here = Path.cwd()
    return shlex.quote(str(program.relative_to(here) if program.is_relative_to(here) else program))


def prepare_sqlite(path: Path) -> None:
    """Make sure that a complete database exists at `path`.

    MLflow's migrations are many steps; if they are interrupted or run twice at once, no later run can open the file.
    So they run on this thread's own file, which gets its name when it is complete.
    """
    from mlflow import MlflowClient

    if path.exists():
        with sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True) as connection:
            connection.execute("PRAGMA schema_version")
        connection.close()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    own = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        own.unlink(missing_ok=True)
        MlflowClient(tracking_uri=f"sqlite:///{own}").search_experiments(max_results=1)
        try:
            os.link(own, path)
        except FileExistsError:
            return  # another driver created it first, and the file may hold runs already
        except OSError:  # no hard links on this file system
            own.replace(path)
    finally:
        own.unlink(missing_ok=True)


def knock(uri: str) -> None:
    """Fail in seconds where a database's host is down; its driver would try for minutes. HTTP has its own timeout."""
    parts = urlsplit(uri)
    scheme = parts.scheme.partition("+")[0]
    if scheme in PORTS and parts.hostname:
        socket.create_connection((parts.hostname, parts.port or PORTS[scheme]), CONNECT_SECONDS).close()


@contextmanager
def quiet_mlflow() -> Iterator[None]:
    """Import MLflow with this project's settings and silence its loggers: what matters arrives as an exception."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow.store.db.utils

    # Ten tries with growing pauses take 100 s; three take half a second.
    mlflow.store.db.utils.MAX_RETRY_COUNT = 3
    levels = {name: logging.getLogger(name).level for name in NOISY_LOGGERS}
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
