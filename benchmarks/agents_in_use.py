"""A thousand agents, forty in use at a time: memory, and how long waking one takes, alone and in a shard.

python -m benchmarks.agents_in_use [--agents 1000] [--live 40] [--kind failure_rate] [--wake-ups 20]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from orchestration.runtime.ray import start_ray, stop_ray
from orchestration.service.api.agents import CreateAgent
from orchestration.service.api.recommendations import RecommendationRequest, ResultsRequest
from orchestration.service.service import SchedulingService, ServiceSettings

IDS = tuple(f"tests/test_module_{number}.py::test_it" for number in range(100))
VERDICTS = ("failed",) * 3 + ("passed",) * 97
PAUSE_SECONDS = 3.0
"""Before each wake-up that is timed, so that the standby process is ready, as it does between a CI's jobs."""


async def cycle(service: SchedulingService, agent: str) -> None:
    """One whole episode of 100 tests."""
    episode = (await service.recommend(agent, RecommendationRequest.of(IDS))).episode_id
    await service.results(agent, episode, ResultsRequest.of(IDS, VERDICTS, (1.0,) * len(IDS)))
    await service.reward(agent, episode)


async def measure(folder: Path, options: argparse.Namespace, shards: int) -> dict[str, Any]:
    """All agents registered, `live` of them used side by side, some woken one after another."""
    settings = ServiceSettings.in_folder(folder, max_live=options.live, shards=shards, housekeeping_seconds=0.0)
    service = SchedulingService(settings)
    names = [f"agent-{number:04d}" for number in range(options.agents)]
    started = time.perf_counter()
    for name in names:
        await service.create_agent(CreateAgent(name, options.kind))
    registered = time.perf_counter() - started
    started = time.perf_counter()
    await asyncio.gather(*(cycle(service, name) for name in names[: options.live]))
    first = time.perf_counter() - started
    used = service_memory()
    started = time.perf_counter()
    await asyncio.gather(*(cycle(service, name) for name in names[: options.live] for _ in range(5)))
    again = time.perf_counter() - started
    cold, ready = await wake_ups(service, names[: options.wake_ups], shards)
    await service.close(passivate=True)
    return {
        "owners": "an actor per agent" if not shards else f"{shards} shards",
        "kind": options.kind,
        "agents": options.agents,
        "in_use": options.live,
        "register_seconds": round(registered, 2),
        "first_cycle_of_all_seconds": round(first, 2),
        "cycles_per_second": round(5 * options.live / again, 1),
        "memory_gib": round(used / 2**30, 2),
        "wake_up_ms_median": round(float(np.median(ready)) * 1000, 1),
        "wake_up_ms_worst": round(max(ready) * 1000, 1),
        "wake_up_without_spare_ms_median": None if not cold else round(float(np.median(cold)) * 1000, 1),
    }


async def wake_ups(service: SchedulingService, names: list[str], shards: int) -> tuple[list[float], list[float]]:
    """Seconds of the first call after passivation: at once after the last wake-up, and after a pause."""
    cold: list[float] = []
    ready: list[float] = []
    for pause, taken in ((0.0, cold), (PAUSE_SECONDS, ready)):
        if shards and not pause:
            continue
        for name in names:
            await service.passivate(name)
            await asyncio.sleep(0.0 if shards else pause)
            started = time.perf_counter()
            await service.insights(name)
            taken.append(time.perf_counter() - started)
    return cold, ready


def service_memory() -> int:
    """Bytes of this process and of all that it started: what is its own, and its part of what is shared (PSS)."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
    mine = {os.getpid()}
    while True:
        more = {child for child, parent in parents.items() if parent in mine} - mine
        if not more:
            break
        mine |= more
    return sum(map(_share, mine))


def _share(process: int) -> int:
    try:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def main() -> None:
    """Measure both kinds of owners and print JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--live", type=int, default=40)
    parser.add_argument("--kind", default="failure_rate")
    parser.add_argument("--wake-ups", type=int, default=20)
    parser.add_argument("--shards", type=int, nargs="+", default=[0, 2])
    options = parser.parse_args()
    runtime = start_ray(cpus=2)
    try:
        for shards in options.shards:
            with tempfile.TemporaryDirectory(prefix="proctor-benchmark-") as folder:
                print(json.dumps(asyncio.run(measure(Path(folder), options, shards))), flush=True)
    finally:
        stop_ray(runtime)


if __name__ == "__main__":
    main()
