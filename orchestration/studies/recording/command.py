"""Runs the user's own test command and reports how it ended."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from types import FrameType

from envsearch.errors import InputError

NOT_FOUND = 127
SIGNAL_BASE = 128
"""A shell's exit code for a command that a signal ended is this plus the signal's number."""


def run_command(command: Sequence[str]) -> int:
    """Run a command with this process's own streams and folder; its exit code as a shell reports it.

    Ctrl-C reaches the command by itself, SIGTERM is passed on to it. Either way this waits for the command's end.
    A signal that this process ignores (``nohup``) stays ignored.

    Raises:
        InputError: the command cannot be started.
        KeyboardInterrupt: Ctrl-C or SIGTERM arrived while it ran.
    """
    interrupted: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        interrupted.append(number)
        if number == signal.SIGTERM and process.poll() is None:
            process.terminate()

    process = _start(command)
    attended = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in attended}
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if interrupted:
        raise KeyboardInterrupt
    return code if code >= 0 else SIGNAL_BASE - code


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(list(command))
    except OSError as error:
        problem = f"{command[0]!r} cannot be run ({error.strerror})"
        raise InputError(problem, "COMMAND", "a program and its arguments", "proctor record") from error
