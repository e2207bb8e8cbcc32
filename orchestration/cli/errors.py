"""How a command ends when something is wrong: one line on stderr, an exit code, no traceback for a user's mistake.

| what happened | stderr | exit code |
|---|---|---|
| `InputError`, a store that cannot be used, wrong command line | one line | 2 |
| a file or folder that cannot be used: its name, its disk, its permissions | one line | 2 |
| `CampaignStoppedError` | its text | 3 |
| another `ProctorError`: something outside failed, such as Ray at its start | one line | 1 |
| Ctrl-C, SIGTERM | how to continue, where that is possible (`resumable`) | 130 |
| the reader of the output closed it | nothing | 1 |

Anything else is a defect in the program and keeps its traceback.
"""

from __future__ import annotations

import errno
import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

from envsearch.errors import CampaignStoppedError, InputError, ProctorError
from orchestration.service.errors import ServiceError

FAILED = 1
USAGE = 2
STOPPED = 3
INTERRUPTED = 130
BROKEN_PIPE = 1

UNUSABLE = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EIO,
        errno.EROFS,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
    }
)
"""Errors of the operating system about files and folders that a user named."""


def run_app(app: typer.Typer, argv: Sequence[str] | None = None) -> NoReturn:
    """Run a command line and exit with its code.

    Args:
        argv: arguments without the program's name; None takes those of the process.

    Raises:
        SystemExit: always, also on success (code 0).
    """
    with user_errors():
        code = app(args=None if argv is None else list(argv), standalone_mode=False)
        sys.stdout.flush()
    sys.exit(code if isinstance(code, int) else 0)


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn a user's mistakes into their line and exit code.

    Raises:
        SystemExit: in place of every error in the table above.
    """
    try:
        yield
    except InputError as error:
        _leave(f"error: {error}", USAGE)
    except CampaignStoppedError as error:
        _leave(str(error), STOPPED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        _silence_stdout()
        sys.exit(BROKEN_PIPE)
    except ServiceError as error:
        _leave(f"error: {' '.join(str(error).split())}", USAGE)
    except ProctorError as error:
        _leave(f"error: {' '.join(str(error).split())}", FAILED)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            _leave(f"error: {str(error.filename)[:60]}...: the name is too long; expected the name of a file", USAGE)
        if error.errno not in UNUSABLE:
            raise
        where = f"{error.filename}: " if error.filename else ""
        _leave(
            f"error: {where}it cannot be used ({error.strerror}); expected a file or folder that this user may access",
            USAGE,
        )
    except Exception as error:
        if not _is_usage_error(error):
            raise
        _leave_usage_error(error)


@contextmanager
def resumable(things: str) -> Iterator[Callable[[], None]]:
    """Say how to continue after an interruption, once, and exit with its code.

    Args:
        things: that are kept when they are finished, in the plural.

    Yields:
        A function that says it before the block's end, where leaving the block takes long.
    """

    @functools.cache
    def say() -> None:
        command = " ".join(["proctor", *sys.argv[1:]])
        print(f"interrupted; finished {things} are kept. To continue: {command}", file=sys.stderr, flush=True)

    try:
        yield say
    except KeyboardInterrupt:
        say()
        sys.exit(INTERRUPTED)


def _leave(text: str, code: int) -> NoReturn:
    print(text, file=sys.stderr)
    sys.exit(code)


def _is_usage_error(error: Any) -> bool:
    """Whether the command line parser raised it. Detected by attributes: typer bundles click or requires it."""
    return callable(getattr(error, "format_message", None)) and isinstance(getattr(error, "exit_code", None), int)


def _leave_usage_error(error: Any) -> NoReturn:
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        sys.exit(error.exit_code)
    context = getattr(error, "ctx", None)
    hint = f" (see {context.command_path} --help)" if context is not None else ""
    _leave(f"error: {' '.join(error.format_message().split())}{hint}", error.exit_code)


def _silence_stdout() -> None:
    """Nothing reads stdout any more: the rest of its buffer must not fail again when Python exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
