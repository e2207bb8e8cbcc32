"""Ray Serve on this machine: what must be set before it starts, how it starts, when it is ready, how it stops.

Ray and Serve read their settings from the environment of the process that starts them and pass it to their workers, so
everything here is set before either is imported.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import secrets
import shlex
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx

from envsearch.errors import InputError, ProctorError
from orchestration.runtime.edge import ANSWER_SECONDS, SECRET
from orchestration.runtime.haproxy import connections_allowed
from orchestration.runtime.ray import RayRuntime, cause_in, start_ray, stop_ray

APPLICATION = "serve_app.app:app"
"""Import path of the application: this package does not import that one, Serve does."""

APPLICATION_NAME = "proctor"

OBJECT_STORE_BYTES = 300_000_000

READY_SECONDS = 120.0

SERVE_ENVIRONMENT: Mapping[str, str] = {
    # HAProxy in front of the replicas, and user code in the replica's own loop: each is worth about a factor of two.
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_HAPROXY_NBTHREAD": "2",
    # There is no load balancer in front of one machine: stop at once instead of draining for half a minute.
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0.1",
    # Serve reloads HAProxy when replicas change. The old process first answers its calls, the longest too.
    "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": str(ANSWER_SECONDS + 5),
    "RAY_SERVE_LOG_TO_STDERR": "0",
    # HAProxy ends with the actor that manages it. Serve notices after three checks, by default 10 s apart.
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
    # On a slow machine a new proxy needs longer than Serve's 5 s, and would be killed at each start.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
}
"""What Serve is started with; a variable that is already set is kept."""

HAPROXY_FILES: Mapping[str, str] = {
    "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "haproxy.cfg",
    "RAY_SERVE_HAPROXY_SOCKET_PATH": "admin.sock",
    "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": "",
    "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "state",
    "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": "metrics.sock",
}
"""HAProxy's files, in a folder of this run that no other user can open: its socket takes commands."""

HAPROXY_PROGRAM = """#!/bin/sh
PYTHONPATH={root} exec {python} -P -m orchestration.runtime.haproxy "$@"
"""
"""What Ray starts as HAProxy (see that module); deploy/haproxy is the same for a cluster."""

FOLDER_PREFIX = "proctor-serve-"
"""Of the temporary folder of a service. The file `owner` in it names the process."""

LONGEST_FOLDER = 27
"""Characters: sockets lie two levels below, and their names have at most 97."""

LEAST_PORT, PORTS = 20_000, 10_000
"""Between the ports of Ray's workers, from 10,002, and those of Serve's replicas, from 30,000."""

FREE_PORTS = ("RAY_SERVE_HAPROXY_METRICS_PORT", "RAY_SERVE_HAPROXY_STATS_PORT", "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT")
"""Ports that would clash with another service on this machine."""


def url_of(host: str, port: int) -> str:
    """The root of a service that listens there."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def check_port(host: str, port: int, patience: float = 5.0) -> None:
    """Make sure that nothing listens there: HAProxy would share the port silently, and calls would go to either.

    Args:
        patience: seconds to wait for a killed predecessor to release it.

    Raises:
        InputError: the address is in use, or does not belong to this machine.
    """
    if not host:  # every address of this machine, to the operating system
        raise InputError("the address is empty", "host", "an address of this machine; 0.0.0.0 for all of them")
    end = time.monotonic() + patience
    while True:
        try:
            return _listen_once(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > end:
                problem = f"cannot listen on {host}:{port} ({error.strerror})"
                raise InputError(problem, "port", "a free port") from error
        time.sleep(0.2)


def _listen_once(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        probe.listen(1)


def free_port() -> int:
    """A free port of the loopback interface outside of the system's own range.

    A port in that range (from 32768 on Linux) may be assigned to any new connection a moment later.
    """
    for port in (LEAST_PORT + secrets.randbelow(PORTS) for _ in range(100)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise ProctorError(f"no port of 127.0.0.1 from {LEAST_PORT} to {LEAST_PORT + PORTS - 1} seems to be free")


@contextmanager
def serving(host: str, port: int, arguments: Mapping[str, Any]) -> Iterator[str]:
    """The application, served by a Ray of its own while the context lasts.

    Args:
        arguments: of the application (see `serve_app.settings.ServiceArguments`).

    Returns:
        The URL, once the service is ready.

    Raises:
        InputError: the port is in use, or too few files may be open.
        ProctorError: the service did not become ready.
    """
    check_port(host, port)
    connections_allowed()
    remove_left_folders()
    folder = _temporary_folder()
    set_environment(folder)
    runtime = None
    try:
        runtime = start_ray(address="local", object_store_bytes=OBJECT_STORE_BYTES)
        _run_application(host, port, arguments)
        url = url_of(host, port)
        await_ready(url)
        yield url
    finally:
        if runtime is not None:
            _stop(runtime)
        shutil.rmtree(folder, ignore_errors=True)


def _temporary_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
    (folder / "owner").write_text(str(os.getpid()), encoding="ascii")
    if len(str(folder)) > LONGEST_FOLDER:
        shutil.rmtree(folder)
        raise InputError(f"{folder.parent} is too long a path for sockets", "TMPDIR", "a short one, such as /tmp")
    return folder


def remove_left_folders() -> None:
    """Remove the temporary folders of this user's services that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        with suppress(OSError):  # of another user, or removed in this moment
            owner = (folder / "owner").read_text(encoding="ascii")
            if owner.isdigit() and not Path("/proc", owner).exists():
                shutil.rmtree(folder)


def set_environment(folder: Path) -> None:
    """Set what Serve reads when it is imported.

    Args:
        folder: for HAProxy's files.
    """
    for name, value in SERVE_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name, file in HAPROXY_FILES.items():
        os.environ[name] = str(folder / file) if file else str(folder)
    for name in FREE_PORTS:
        if not os.environ.get(name):
            os.environ[name] = str(free_port())
    os.environ["RAY_SERVE_HAPROXY_BINARY_PATH"] = _own_haproxy(folder)
    os.environ[SECRET] = secrets.token_hex(16)


def _own_haproxy(folder: Path) -> str:
    """The program that secures HAProxy's configuration and becomes HAProxy.

    Raises:
        InputError: it could not be executed, and Ray would start HAProxy without any limit.
    """
    script = folder / "haproxy"
    root = Path(__file__).resolve().parents[2]
    text = HAPROXY_PROGRAM.format(root=shlex.quote(str(root)), python=shlex.quote(sys.executable))
    script.write_text(text, encoding="utf-8")
    script.chmod(0o700)
    if not os.access(script, os.X_OK):
        problem = f"programs in {folder.parent} may not be executed"
        raise InputError(problem, "TMPDIR", "a folder whose programs may be executed")
    return str(script)


def operator_port() -> int:
    """The port of this machine on which health and HAProxy's metrics answer, however full the service is."""
    return int(os.environ["RAY_SERVE_HAPROXY_METRICS_PORT"])


def await_ready(url: str, seconds: float = READY_SECONDS) -> None:
    """Wait until the service reports that it is ready.

    Raises:
        ProctorError: it does not.
    """
    last = "nothing answers"
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            answer = httpx.get(f"{url}/readyz", timeout=5.0)
            if answer.status_code == 200:
                return
            last = f"{answer.status_code} {answer.text[:200]}"
        except httpx.HTTPError as error:
            last = f"{type(error).__name__}: {error}"
        time.sleep(0.1)
    raise ProctorError(f"the service at {url} is not ready after {seconds:g} s ({last})")


def _run_application(host: str, port: int, arguments: Mapping[str, Any]) -> None:
    from ray import serve
    from ray.serve.config import HTTPOptions

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    try:
        serve.start(http_options=HTTPOptions(host=host, port=port), logging_config={"enable_access_log": False})
    except RuntimeError as error:
        if "Failed to bind" in str(error):  # another process took the port after the check
            raise InputError(str(error).strip().splitlines()[-1], "port", "a free port") from error
        raise ProctorError(f"Ray Serve did not start ({cause_in(str(error)) or type(error).__name__})") from error
    module, _, attribute = APPLICATION.partition(":")
    application = getattr(import_module(module), attribute)(dict(arguments))
    serve.run(application, name=APPLICATION_NAME, route_prefix="/")


def _stop(runtime: RayRuntime) -> None:
    serve: Any = import_module("ray.serve")
    # Ray reports the end of the controller as an error.
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        serve.shutdown()
        stop_ray(runtime)
