"""The table of executors."""

from __future__ import annotations

import os
from collections.abc import Callable

from envsearch.errors import unknown_name
from orchestration.execution.executors.base import Executor
from orchestration.execution.executors.inline import InlineExecutor
from orchestration.execution.executors.ray_tasks import RayExecutor
from orchestration.runtime.ray import end_on_sigterm


def _inline(_cpus: int | None, _address: str | None) -> Executor:
    return InlineExecutor()


def _ray(cpus: int | None, address: str | None) -> Executor:
    return RayExecutor(cpus, address)


def _auto(cpus: int | None, address: str | None) -> Executor:
    """Ray where there is a cluster or more than one CPU to use, else this process."""
    cores = cpus or len(os.sched_getaffinity(0))
    cluster = address or os.environ.get("RAY_ADDRESS")
    return _ray(cpus, address) if cluster or cores > 1 else _inline(cpus, address)


EXECUTORS: dict[str, Callable[[int | None, str | None], Executor]] = {
    "auto": _auto,
    "inline": _inline,
    "ray": _ray,
}


def executor(name: str = "auto", cpus: int | None = None, address: str | None = None) -> Executor:
    """The executor of this name, ready to run; from here on SIGTERM ends a run as Ctrl-C does.

    Args:
        cpus: CPUs to use, all by default.
        address: of a Ray cluster; by default the one this process is a job of, else a new local one.

    Raises:
        InputError: no such executor, or no cluster at the address.
    """
    if name not in EXECUTORS:
        raise unknown_name("executor", name, EXECUTORS, "executor")
    chosen = EXECUTORS[name](cpus, address)
    end_on_sigterm()  # after ray.init, which installs a handler of its own
    return chosen
