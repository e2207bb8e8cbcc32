"""Calls of one function on many items, here or as Ray tasks: for work whose results are small and come back directly.

Campaigns have their own executors (`base.Executor`), whose results go to a store.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from envsearch.errors import ProctorError, unknown_name
from envsearch.extras import is_installed, missing_extra
from orchestration.runtime.ray import (
    ONE_THREAD,
    abandon,
    end_on_sigterm,
    extend_search_path,
    said_at_once,
    search_path,
    start_ray,
    stop_ray,
)

Item = TypeVar("Item")
Result = TypeVar("Result")

EXECUTORS = ("auto", "ray", "inline")
AHEAD = 2
"""Tasks in flight per CPU."""
MAX_RETRIES = 3
"""How often an item is computed again after its worker died."""


def fan_out(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    executor: str = "auto",
    cpus: int | None = None,
    address: str | None = None,
    interrupted: Callable[[], None] | None = None,
) -> Iterator[tuple[Item, Result]]:
    """Every item with its result, as they complete. When the iterator is closed or interrupted, the rest is cancelled.

    Args:
        function: of a module, so that a worker finds it.
        executor: ``ray``, ``inline`` (one after another, in this process), or ``auto``: Ray for several items where it
            is installed and there is a cluster or more than one CPU.
        cpus, address: see `orchestration.runtime.ray.start_ray`.
        interrupted: called before Ray is left, see `said_at_once`.

    Raises:
        InputError: no such executor; also whatever the function raised.
    """
    if executor not in EXECUTORS:
        raise unknown_name("executor", executor, EXECUTORS, "executor")
    if (executor == "ray" or address) and not is_installed("ray"):
        raise missing_extra("executor ray", "ray", "executor")
    if executor == "ray" or (executor == "auto" and len(items) > 1 and _several_cpus(cpus, address)):
        yield from _as_tasks(function, items, cpus, address, interrupted)
        return
    end_on_sigterm()
    for item in items:
        yield item, function(item)


def _several_cpus(cpus: int | None, address: str | None) -> bool:
    if not is_installed("ray"):
        return False
    return bool(address or os.environ.get("RAY_ADDRESS")) or (cpus or len(os.sched_getaffinity(0))) > 1


def _as_tasks(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    cpus: int | None,
    address: str | None,
    interrupted: Callable[[], None] | None,
) -> Iterator[tuple[Item, Result]]:
    import ray

    runtime = start_ray(cpus, address)
    running: dict[Any, Item] = {}
    try:
        environment = {} if runtime.owned else {"runtime_env": {"env_vars": ONE_THREAD}}
        task: Any = ray.remote(_run).options(num_cpus=1, max_retries=MAX_RETRIES, name="proctor item", **environment)
        source = iter(items)
        slots = cpus or max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]
        while True:
            for item in itertools.islice(source, max(0, slots * AHEAD - len(running))):
                running[task.remote(function, item, search_path())] = item
            if not running:
                return
            with said_at_once(interrupted):
                done, _ = ray.wait(list(running), num_returns=1)
            yield running.pop(done[0]), _result(done[0])
    finally:
        abandon(running, runtime)
        stop_ray(runtime)


def _run(function: Callable[[Item], Result], item: Item, folders: tuple[str, ...]) -> Result:
    extend_search_path(folders)
    return function(item)


def _result(reference: Any) -> Any:
    import ray
    from ray import exceptions

    try:
        return ray.get(reference)
    except exceptions.RayTaskError as error:
        if isinstance(error.cause, ProctorError):  # a user's mistake: one line, without Ray's wrapping
            raise error.cause from error
        raise
