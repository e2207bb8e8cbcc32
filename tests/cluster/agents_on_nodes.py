"""Agents of one service on two nodes; one node is lost. Driven by test_nodes.py, in a process of its own.

Arguments: the cluster's address, the folder that all nodes share, the URL of the store or "". Prints where the agents
are, reads the lost node's id on standard input, and prints what happened as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import ray

from orchestration.runtime.ray import start_ray, stop_ray
from orchestration.service.api.agents import CreateAgent
from orchestration.service.api.recommendations import RecommendationRequest, ResultsRequest
from orchestration.service.owners.state_recovery import replay_log
from orchestration.service.service import SchedulingService, ServiceSettings
from orchestration.service.store.sql import SqlStore

AGENTS = tuple(f"agent-{number}" for number in range(6))
IDS = ("a", "b", "c")


async def cycle(service: SchedulingService, agent: str, turn: int) -> str:
    """A whole episode; its id."""
    episode = (await service.recommend(agent, RecommendationRequest.of(IDS))).episode_id
    verdicts = tuple("failed" if turn % 3 == number else "passed" for number in range(3))
    await service.results(agent, episode, ResultsRequest.of(IDS, verdicts))
    await service.reward(agent, episode)
    return str(episode)


async def node_of(service: SchedulingService, store: SqlStore, agent: str) -> str:
    """The node of the agent's owner."""
    owner = store.owner(await service._owners.owner_name(agent))  # type: ignore[union-attr]
    for actor in await asyncio.to_thread(_actors):
        if actor["name"] == owner:
            return str(actor["node"])
    return ""


def _actors() -> list[dict[str, str]]:
    from ray._private.state import actors

    return [
        {"name": actor["Name"], "node": actor["Address"]["NodeID"]}
        for actor in actors().values()
        if actor["State"] == "ALIVE"
    ]


async def main(folder: Path, store_url: str) -> None:
    """Work on all agents, lose a node, go on, and compare."""
    others = {"store_url": store_url} if store_url else {}
    settings = ServiceSettings.in_folder(folder, snapshot_every=5, housekeeping_seconds=0.0, standby_owners=0, **others)
    service, store = SchedulingService(settings), SqlStore(settings.store_url)
    rewarded: dict[str, list[str]] = {agent: [] for agent in AGENTS}
    slowest: dict[str, float] = dict.fromkeys(AGENTS, 0.0)
    for agent in AGENTS:
        await service.create_agent(CreateAgent(agent, "failure_rate"))
        for turn in range(7):
            rewarded[agent].append(await cycle(service, agent, turn))
    places = {agent: await node_of(service, store, agent) for agent in AGENTS}
    print(json.dumps(places), flush=True)

    stop, lost = asyncio.Event(), threading.Event()
    errors: list[str] = []

    async def work(agent: str) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            began, already = time.monotonic(), lost.is_set()
            try:
                rewarded[agent].append(await cycle(service, agent, turn))
            except Exception as error:  # noqa: BLE001 - told
                errors.append(f"{agent}: {type(error).__name__}: {error}")
            if already or lost.is_set():
                slowest[agent] = max(slowest[agent], time.monotonic() - began)
            await asyncio.sleep(0.02)

    tasks = [asyncio.create_task(work(agent)) for agent in AGENTS]
    await asyncio.sleep(1.0)
    print("working", flush=True)
    gone = (await asyncio.to_thread(sys.stdin.readline)).strip()
    lost.set()
    counts = {agent: len(done) for agent, done in rewarded.items()}
    end = time.monotonic() + 120
    while any(len(rewarded[agent]) < counts[agent] + 10 for agent in AGENTS) and time.monotonic() < end:
        await asyncio.sleep(0.2)
    stop.set()
    await asyncio.gather(*tasks)
    now = {agent: await node_of(service, store, agent) for agent in AGENTS}
    wrong = [agent for agent in AGENTS if not await _consistent(service, store, agent, rewarded[agent])]
    await service.close()
    report = {"errors": errors, "wrong": wrong, "slowest": slowest, "now": now, "gone": gone}
    print(json.dumps(report | {"after": {agent: len(rewarded[agent]) - counts[agent] for agent in AGENTS}}), flush=True)


async def _consistent(service: SchedulingService, store: SqlStore, agent: str, rewarded: list[str]) -> bool:
    """Every acknowledged reward stands in the log exactly once, and the log can be read as a whole."""
    row = store.agent(agent)
    assert row is not None
    logged = [event.subject for event in store.versions(row.id, None, 1_000_000)]
    await asyncio.to_thread(replay_log, store, agent)
    again = await service.reward(agent, rewarded[0])
    return set(rewarded) <= set(logged) and len(logged) == len(set(logged)) == row.version and again.repeated


if __name__ == "__main__":
    runtime: Any = start_ray(address=sys.argv[1])
    try:
        asyncio.run(main(Path(sys.argv[2]), sys.argv[3]))
    finally:
        stop_ray(runtime)
        assert not ray.is_initialized()
