"""Logs of the service as JSON lines, each with the agent, the episode and the request that it concerns.

    {"at": "2026-11-20T17:00:00.123Z", "level": "WARNING", "logger": "orchestration.service.service",
     "agent": "nightly", "episode": "5f0c...", "request": "8d1e...", "message": "..."}

`about` names the agent, episode and request of some work; every line logged during that work carries them, from any
module. A request has one name in the client's errors, the answer's headers, and the logs of replicas and owners.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

from envsearch.errors import InputError

FOLDER: Final = "PROCTOR_LOGS"
"""Environment variable: folder of the log files, one for each process; unset: lines go to stderr."""

LEVEL: Final = "PROCTOR_LOG_LEVEL"
"""Environment variable: DEBUG (a line for each call), INFO, WARNING (default) or ERROR."""

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
PROJECT_LOGGERS: Final = ("orchestration", "serve_app", "agents")
FILE_BYTES: Final = 10_000_000
FILES: Final = 5
LONGEST_MESSAGE: Final = 20_000

_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

_ABOUT: ContextVar[tuple[str, str, str]] = ContextVar("about", default=("", "", ""))


def about(agent: str = "", episode: str = "", request: str = "") -> AbstractContextManager[None]:
    """The agent, the episode and the request of the lines logged in this context."""
    return _About((agent, episode, request))


def request_in_work() -> str:
    """Name of the request that this context works for; "": none."""
    return _ABOUT.get()[2]


class _About:
    """A class, because every call enters two: a generator would cost several times as much."""

    __slots__ = ("_subject", "_token")

    def __init__(self, subject: tuple[str, str, str]) -> None:
        self._subject = subject

    def __enter__(self) -> None:
        self._token = _ABOUT.set(self._subject)

    def __exit__(self, *error: object) -> None:
        _ABOUT.reset(self._token)


class JsonLines(logging.Formatter):
    """One line of JSON for each record; line breaks and control characters of a message are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; a traceback is a list of its lines, because escaped line breaks are hard to read."""
        agent, episode, request = _ABOUT.get()
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, object] = {"at": at, "level": record.levelname}
        line |= {"logger": record.name, "process": record.process}
        agent, episode = getattr(record, "agent", agent), getattr(record, "episode", episode)
        named = {"agent": agent, "episode": episode, "request": request}
        line |= {name: value for name, value in named.items() if value}
        line["message"] = record.getMessage()[:LONGEST_MESSAGE]
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["traceback"] = _readable(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=True, default=str)


def _readable(traceback: str) -> list[str]:
    """One entry for each line, without the colours that some libraries put into the texts of their errors."""
    return _COLOURS.sub("", traceback)[-LONGEST_MESSAGE:].splitlines()


def start_logs(name: str, environment: Mapping[str, str] | None = None) -> logging.Handler:
    """Make the loggers of this project write JSON lines; a second call in a process changes nothing.

    Args:
        name: what the process is ("replica", "owner"), for the file's name.

    Raises:
        InputError: the level is unknown, or the folder cannot be written.
    """
    variables = os.environ if environment is None else environment
    root = logging.getLogger(PROJECT_LOGGERS[0])
    for handler in root.handlers:
        if isinstance(handler.formatter, JsonLines):
            return handler
    level = variables.get(LEVEL, "").upper() or "WARNING"
    if level not in LEVELS:
        raise InputError(f"{level[:20]!r}", LEVEL, f"one of {', '.join(LEVELS)}")
    handler = _handler(name, variables.get(FOLDER, ""))
    handler.setFormatter(JsonLines())
    for logger in map(logging.getLogger, PROJECT_LOGGERS):
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
    return handler


def _handler(name: str, folder: str) -> logging.Handler:
    if not folder:
        return logging.StreamHandler(sys.stderr)
    path = Path(folder).expanduser().absolute() / f"{name}-{os.getpid()}.jsonl"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return RotatingFileHandler(path, maxBytes=FILE_BYTES, backupCount=FILES, encoding="utf-8", delay=True)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", FOLDER, "a folder for log files", folder) from error
