"""The process's environment: Ray's start and stop, one thread per worker, signals that end a run cleanly.

Ray is imported inside the functions, so that commands that do not need it start fast.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from envsearch.errors import InputError, ProctorError

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
"""Environment of a worker: numerical libraries read it when they are loaded, before any code of this project runs."""

STARTS = 3
"""Attempts to start a local cluster."""

OBJECT_STORE_BYTES = 500_000_000
"""Tasks exchange a few kilobytes; Ray's own default would take 30 % of the memory."""


def spare_collector() -> None:
    """Exclude the objects that exist now from the garbage collection of a server's process, and collect rarely.

    Imported modules stay forever, and calls leave few reference cycles. Collecting after every 700 objects, and now and
    then through everything, would take a tenth of the calls' time.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def end_on_sigterm() -> None:
    """Let SIGTERM (`kill`, `ray job stop`) end a run the way Ctrl-C does. Only the main thread can ask for it."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt("SIGTERM")


@contextmanager
def said_at_once(interrupted: Callable[[], None] | None) -> Iterator[None]:
    """Call `interrupted` if Ctrl-C or SIGTERM ends the block, before anything around the block is closed.

    Leaving Ray (`stop_ray`) with tasks at work can end the process: a worker that dies in these milliseconds makes Ray
    write to the connection it has just closed, and exit (Ray 2.60). And `ray job stop` kills after three seconds.
    """
    try:
        yield
    except KeyboardInterrupt:
        if interrupted is not None:
            interrupted()
        raise


@dataclass(frozen=True, slots=True)
class RayRuntime:
    """A Ray this process is connected to.

    Attributes:
        owned: started here, so that `stop_ray` ends it; an existing cluster is only disconnected from.
        connected: connected here; False where the caller was connected already.
    """

    owned: bool
    connected: bool


def start_ray(
    cpus: int | None = None, address: str | None = None, object_store_bytes: int = OBJECT_STORE_BYTES
) -> RayRuntime:
    """Connect to the cluster at `address`, to the one this process is a job of, or start one on this machine.

    Args:
        cpus: CPUs of the local cluster, all of the machine's by default; no meaning for an existing cluster.
        address: as for ``ray.init``; by default ``RAY_ADDRESS`` (set inside a Ray job), else a new local cluster.
        object_store_bytes: of the local cluster; no meaning for an existing cluster.

    Raises:
        InputError: there is no cluster at the address, or it refuses this user.
        ProctorError: a cluster of its own did not start.
    """
    import ray

    existing = address or os.environ.get("RAY_ADDRESS")
    if ray.is_initialized():
        runtime = RayRuntime(owned=False, connected=False)
    elif existing and existing != "local":
        _connect(ray, existing, "address" if address else "RAY_ADDRESS")
        runtime = RayRuntime(owned=False, connected=True)
    else:
        _start_local(ray, cpus, object_store_bytes)
        runtime = RayRuntime(owned=True, connected=True)
    end_on_sigterm()  # ray.init replaces a handler that was installed before it
    return runtime


def abandon(references: Iterable[Any], runtime: RayRuntime) -> None:
    """End tasks whose results nobody waits for, running ones too.

    Leaving the cluster (`stop_ray`) ends them as well, and must not follow a cancellation: a result that arrives in
    between aborts the whole process ("Tried to complete task that was not pending", seen in 1 of 20 interruptions with
    Ray 2.60).
    """
    if not runtime.connected:
        import ray

        for reference in references:
            ray.cancel(reference, force=True)  # a plain cancel would wait for the item's end


def stop_ray(runtime: RayRuntime) -> None:
    """Leave the cluster, and end it if it was started here."""
    if runtime.connected:
        import ray

        ray.shutdown()


def _connect(ray: Any, address: str, field: str) -> None:
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except (OSError, RuntimeError, ValueError) as error:
        expected = "host:port of a running cluster (with RAY_AUTH_MODE=token and its token, if it requires one)"
        raise InputError(f"no Ray cluster answers at {address!r} ({_first_line(error)})", field, expected) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def cause_in(text: str) -> str:
    """The line of a traceback of Ray's that names the error; "": there is no text."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [line for line in lines if "Error: " in line]
    return (named or lines or [""])[-1]


def _knock(address: str) -> None:
    """Check that something listens there: if nothing does, ray.init ends the whole process with a stack trace."""
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if separator:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10.0).close()


def _start_local(ray: Any, cpus: int | None, object_store_bytes: int) -> None:
    if cpus is not None and cpus < 1:
        raise InputError(f"{cpus} is out of range", "cpus", "a positive whole number")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report its usage over the network
    os.environ.update(ONE_THREAD)  # workers inherit it before they load a numerical library
    token = Path.home() / ".ray" / "auth_token"
    had_token = token.exists()
    _start_patiently(ray, num_cpus=cpus, object_store_memory=object_store_bytes)
    if not had_token and token.exists():
        token.chmod(0o600)  # Ray creates the cluster's new token readable by everybody


def _start_patiently(ray: Any, **options: Any) -> None:
    """Start a cluster here, also where a busy machine takes longer than the 30 s for which Ray waits.

    Raises:
        ProctorError: Ray did not start.
    """
    for attempt in range(1, STARTS + 1):
        try:
            ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="error", **options)
            return
        except Exception as error:  # Ray raises plain Exception
            with suppress(Exception):
                ray.shutdown()  # ends the processes of the half-started node
            if attempt == STARTS:
                raise ProctorError(f"Ray did not start, tried {STARTS} times ({_first_line(error)})") from error


def search_path() -> tuple[str, ...]:
    """Folders outside the Python installation from which this process imports: where a user's own parts are."""
    installed = tuple({str(Path(prefix)) for prefix in (sys.prefix, sys.base_prefix)})
    folders = (str(Path(entry or ".").absolute()) for entry in ("", *sys.path))
    return tuple(dict.fromkeys(folder for folder in folders if not folder.startswith(installed)))


def extend_search_path(folders: tuple[str, ...]) -> None:
    """Import from these folders too, after everything else; folders that this machine lacks are left out."""
    present = set(sys.path)
    sys.path.extend(folder for folder in folders if folder not in present and Path(folder).is_dir())
