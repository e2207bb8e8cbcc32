"""Load on a real `proctor serve`: rising concurrency over many agents, then one noisy agent among calm ones.

    python -m benchmarks.load [--minutes 10] [--agents 50] [--shards 2] [--connections 1 8 32 ... ] [--format json]

Every connection runs whole cycles (recommend, results, reward) on one agent after another. An answer of 429 or 503 with
Retry-After is push-back: the connection waits and calls again. Everything else but 200 is an error, and makes the exit
code 1. Load generator and service share the machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.chaos_service import Served
from benchmarks.http_load import request_bytes

HOST = "127.0.0.1"
TESTS = 20
STEPS = (1, 8, 32, 64, 128, 256, 512, 1024)
CALM_CONNECTIONS, NOISY_CONNECTIONS = 4, 300
LONGEST_WAIT = 5.0
PROBLEM = "application/problem+json"

RECOMMENDATION = json.dumps({"job": "load", "test_cases": [{"id": f"test_{n}"} for n in range(TESTS)]}).encode()
RESULTS = json.dumps(
    {"results": [{"id": f"test_{n}", "verdict": "failed" if n == 3 else "passed"} for n in range(TESTS)]}
).encode()


@dataclass
class Tally:
    """What the connections saw.

    Attributes:
        times: seconds of calls that were answered with 200.
        pushed_back: answers of 429 or 503 that said when to come back.
        errors: whatever else came, by what it was.
    """

    times: list[float] = field(default_factory=list)
    pushed_back: int = 0
    errors: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Row:
    """One step. Times in milliseconds, memory of all of the service's processes (RSS) in MiB."""

    step: str
    connections: int
    answered: int
    per_second: float
    p50: float
    p99: float
    pushed_back: int
    errors: int
    rss_mib: float


class Connection:
    """One caller.

    Args:
        patient: it waits as long as the answer says before it retries; a noisy caller does not.
    """

    def __init__(self, port: int, tally: Tally, end: float, patient: bool = True) -> None:
        self._port, self._tally, self._end, self._patient = port, tally, end, patient
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def run(self, agents: Sequence[str], first: int) -> None:
        """Cycles, one agent after another."""
        turn = first
        try:
            while time.perf_counter() < self._end:
                await self._cycle(f"/v1/agents/{agents[turn % len(agents)]}")
                turn += 1
        finally:
            if self._writer is not None:
                self._writer.close()

    async def _cycle(self, agent: str) -> None:
        answer = await self._call(f"{agent}/recommendations", RECOMMENDATION)
        if answer is not None:
            episode = f"{agent}/episodes/{json.loads(answer)['episode_id']}"
            if await self._call(f"{episode}/results", RESULTS) is not None:
                await self._call(f"{episode}/reward")

    async def _call(self, path: str, body: bytes = b"") -> bytes | None:
        """The answer's body; None: an error, or the time is over."""
        request = request_bytes("POST", HOST, self._port, path, body)
        while time.perf_counter() < self._end:
            started = time.perf_counter()
            try:
                status, headers, answer = await self._exchange(request)
            except (OSError, asyncio.IncompleteReadError) as error:
                self._tally.errors[type(error).__name__] += 1
                self._writer = None
                await asyncio.sleep(0.1)
                return None
            if status == 200:
                self._tally.times.append(time.perf_counter() - started)
                return answer
            if status not in (429, 503) or "retry-after" not in headers or headers.get("content-type") != PROBLEM:
                self._tally.errors[f"{status} {answer[:80]!r}"] += 1
                return None
            self._tally.pushed_back += 1
            wait = min(LONGEST_WAIT, float(headers["retry-after"])) if self._patient else 0.0
            await asyncio.sleep(wait)
        return None

    async def _exchange(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_connection(HOST, self._port)
        self._writer.write(request)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self._writer.close()
            self._writer = None
        return int(lines[0].split(" ")[1]), headers, body


def drive(port: int, agents: Sequence[str], connections: int, seconds: float, patient: bool = True) -> Tally:
    """So many connections for so long."""
    tally = Tally()

    async def run() -> None:
        end = time.perf_counter() + seconds
        callers = [Connection(port, tally, end, patient) for _ in range(connections)]
        # A call that was sent before the end is still heard.
        await asyncio.gather(*(caller.run(agents, place) for place, caller in enumerate(callers)))

    asyncio.run(run())
    return tally


def resident(served: Served) -> float:
    """MiB in memory of all processes of the service; what they share counts in each."""
    page, total = os.sysconf("SC_PAGESIZE"), 0
    for process in served.processes():
        try:
            total += int(Path(f"/proc/{process}/statm").read_text().split()[1]) * page
        except OSError:
            continue
    return total / 2**20


def row(step: str, connections: int, seconds: float, tally: Tally, served: Served) -> Row:
    """A step's figures."""
    times = 1000 * np.asarray(tally.times or [np.nan])
    return Row(
        step,
        connections,
        len(tally.times),
        round(len(tally.times) / seconds, 1),
        round(float(np.quantile(times, 0.5)), 1),
        round(float(np.quantile(times, 0.99)), 1),
        tally.pushed_back,
        tally.errors.total(),
        round(resident(served), 0),
    )


def rising(served: Served, agents: Sequence[str], steps: Sequence[int], seconds: float) -> list[Row]:
    """One step for each number of connections."""
    rows = []
    for connections in steps:
        tally = drive(served.port, agents, connections, seconds)
        rows.append(row("rising", connections, seconds, tally, served))
        print(rows[-1], dict(tally.errors), file=sys.stderr, flush=True)
    return rows


def noisy(served: Served, agents: Sequence[str], seconds: float) -> list[Row]:
    """Calm callers of all agents but one, without and with a flood of that one from another process."""
    loud, calm = agents[:1], agents[1:]
    alone = drive(served.port, calm, CALM_CONNECTIONS, seconds)
    rows = [row("calm agents alone", CALM_CONNECTIONS, seconds, alone, served)]
    flood = multiprocessing.get_context("spawn").Process(
        target=_flood, args=(served.port, loud, NOISY_CONNECTIONS, seconds + 4)
    )
    flood.start()
    time.sleep(2.0)
    mixed = drive(served.port, calm, CALM_CONNECTIONS, seconds)
    rows.append(
        row(f"calm agents, {NOISY_CONNECTIONS} connections on another", CALM_CONNECTIONS, seconds, mixed, served)
    )
    flood.join()
    for entry in rows:
        print(entry, file=sys.stderr, flush=True)
    return rows


def _flood(port: int, agents: Sequence[str], connections: int, seconds: float) -> None:
    tally = drive(port, agents, connections, seconds, patient=False)
    print(f"flood: {len(tally.times)} served, {tally.pushed_back} pushed back, {dict(tally.errors)}", file=sys.stderr)


def measure(options: argparse.Namespace) -> list[Row]:
    """The whole run."""
    folder = Path(tempfile.mkdtemp(prefix="proctor-load-"))
    served = Served(folder, "--shards", str(options.shards), "--max-live", str(options.agents + 4), small=False)
    try:
        served.start()
        agents = [f"load-{number:02d}" for number in range(options.agents)]
        for name in agents:
            served.post("/v1/agents", {"name": name, "kind": options.kind})
            served.post(f"/v1/agents/{name}/recommendations", json.loads(RECOMMENDATION))
        seconds = 60 * options.minutes / (len(options.connections) + 2)
        return [*rising(served, agents, options.connections, seconds), *noisy(served, agents, seconds)]
    finally:
        served.close()
        shutil.rmtree(folder, ignore_errors=True)


def as_table(rows: Sequence[Row]) -> str:
    """Markdown."""
    names = tuple(asdict(rows[0]))
    lines = [f"| {' | '.join(name.replace('_', ' ') for name in names)} |", "|---|" + "---:|" * (len(names) - 1)]
    return "\n".join([*lines, *(f"| {' | '.join(str(value) for value in asdict(entry).values())} |" for entry in rows)])


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--agents", type=int, default=50)
    parser.add_argument("--kind", default="failure_rate")
    parser.add_argument("--shards", type=int, default=2, help="owners that share the agents; 0: an owner for each")
    parser.add_argument("--connections", type=int, nargs="+", default=list(STEPS))
    parser.add_argument("--format", choices=("table", "json"), default="table")
    options = parser.parse_args()
    rows = measure(options)
    print(json.dumps([asdict(entry) for entry in rows], indent=2) if options.format == "json" else as_table(rows))
    return 1 if any(entry.errors for entry in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
