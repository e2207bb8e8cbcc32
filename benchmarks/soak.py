"""Many episodes on one agent, as fast as they go: is memory flat, is the history cut, is the archive complete?

    python -m benchmarks.soak [--episodes 100000] [--tests 5] [--seconds 0] [--format table|json]

The agent's owner, the SQLite store and the Parquet archive are the real ones, in this process and in a temporary
folder; only HTTP and Ray are left out. `--seconds` ends the run earlier. The exit code is 1 if memory grows, or an
episode is missing or appears twice.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from agents.scheduling.settings import AgentSettings
from orchestration.service.api.recommendations import RecommendationRequest, ResultsRequest
from orchestration.service.owners.agent_owner import AgentOwner, OwnerSettings
from orchestration.service.owners.archiving import Archivist
from orchestration.service.owners.owner_call import OwnerAnswer
from orchestration.service.store.archive import EPISODES, EXECUTIONS, Archive
from orchestration.service.store.codec import settings_text
from orchestration.service.store.sql import SqlStore
from orchestration.service.typed_calls import owner_call

AGENT = "soak"
WARM_SHARE = 0.2
"""Of the run, after which memory must be flat: caches fill up first."""
GROWTH = 1.15
"""Most that memory may grow from then on."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How it stood after so many episodes.

    Attributes:
        rss_mib: of this process.
        history_runs: executions in the agent's memory.
        store_mib: of the SQLite file, its write-ahead log included.
        stored: episodes in the store; the others are in the archive.
    """

    episodes: int
    seconds: float
    rss_mib: float
    history_runs: int
    store_mib: float
    stored: int


@dataclass(frozen=True, slots=True)
class Soak:
    """What came of a run; `missing` and `doubled` count episodes, and executions of tests in the archive's table."""

    marks: tuple[Mark, ...]
    missing: int
    doubled: int
    executions_missing: int
    executions_doubled: int
    growth: float


class Run:
    """One agent and all that it writes.

    Args:
        tests: of one episode; one of them is new in every hundredth.
        kept: newest episodes that stay in the store.
    """

    def __init__(self, folder: Path, tests: int, kept: int) -> None:
        self.folder = folder
        settings = OwnerSettings(str(folder / "service.db"), str(folder / "states"))
        self.store = SqlStore(settings.store_url)
        self.store.create_agent(AGENT, settings_text(AgentSettings("failure_rate", history_length=20)), "", time.time())
        self.owner = AgentOwner(settings, self.store, background=True)
        self._archivist = Archivist(self.store, Archive(str(folder / "archive")), kept)
        self._tests = tests

    def episode(self, number: int) -> None:
        """Recommend, results, reward."""
        ids = (*(f"t{place}" for place in range(self._tests - 1)), f"generated[{number // 100 % 500}]")
        name = f"e{number}"
        verdicts = tuple("failed" if (number + place) % 7 == 0 else "passed" for place in range(len(ids)))
        opened = owner_call(AGENT, "recommend", RecommendationRequest.of(ids, job="soak"), episode_id=name)
        reported = owner_call(AGENT, "results", ResultsRequest.of(ids, verdicts, (1.0,) * len(ids)), episode_id=name)
        *_, results, reward = self.owner.execute([opened, reported, owner_call(AGENT, "reward", episode_id=name)])
        assert isinstance(results, OwnerAnswer), results
        assert isinstance(reward, OwnerAnswer), reward

    def mark(self, episodes: int, started: float) -> Mark:
        """How it stands."""
        row = self.store.agent(AGENT)
        assert row is not None
        verdicts = self.owner._live[AGENT].scheduler.history.state()["verdicts"]
        runs = int((np.asarray(verdicts) >= 0).sum())
        size = sum(path.stat().st_size for path in self.folder.glob("service.db*"))
        return Mark(
            episodes,
            round(time.perf_counter() - started, 1),
            round(resident() / 2**20, 1),
            runs,
            round(size / 2**20, 1),
            row.episodes - row.archived_number,
        )

    def archive(self) -> None:
        """One round of the housekeeping."""
        self._archivist.run()

    def audit(self, episodes: int, tests: int) -> tuple[int, int, int, int]:
        """Episodes and executions, missing and doubled, over archive and store together."""
        row = self.store.agent(AGENT)
        assert row is not None
        rows = list(_column(self.folder, EPISODES, "episode"))
        rows += [pair[0].id for pair in self.store.episodes_between(row.id, row.archived_number, row.episodes)]
        expected = {f"e{number}" for number in range(episodes)}
        runs = pd.Series(list(_column(self.folder, EXECUTIONS, "episode")))
        counts = runs.value_counts()
        # Two events each, results and reward: the last incomplete piece of events is still in the store.
        archived = {f"e{number}" for number in range((row.archived_seq - 1) // 2)}
        lacking = sum(int(counts.get(name, 0)) < tests for name in archived)
        doubled = int((counts > tests).sum())
        return len(expected - set(rows)), len(rows) - len(set(rows)), lacking, doubled


def _column(folder: Path, table: str, name: str) -> Iterator[str]:
    for path in sorted((folder / "archive" / table).rglob("*.parquet")):
        yield from pd.read_parquet(path, columns=[name])[name]


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def soak(
    folder: Path, episodes: int, tests: int = 5, kept: int = 2000, measurements: int = 20, seconds: float = 0.0
) -> tuple[Soak, int]:
    """Run so many episodes, or as many as fit into the seconds; the result, and their number."""
    run, started = Run(folder, tests, kept), time.perf_counter()
    every = max(1, episodes // measurements)
    marks: list[Mark] = []
    done = 0
    while done < episodes and not (seconds and time.perf_counter() - started > seconds):
        run.episode(done)
        done += 1
        if done % 1000 == 0 or done % every == 0:
            run.archive()
        if done % every == 0:
            marks.append(run.mark(done, started))
            print(json.dumps(asdict(marks[-1])), file=sys.stderr, flush=True)
    run.owner.passivate()
    run.archive()
    return Soak(tuple(marks), *run.audit(done, tests), growth(marks)), done


def growth(marks: list[Mark]) -> float:
    """Largest memory by that after the warm-up."""
    warm = [mark.rss_mib for mark in marks[int(WARM_SHARE * len(marks)) :]]
    return max(warm) / warm[0] if warm else float("nan")


def complaints(result: Soak) -> list[str]:
    """What is wrong; empty: nothing."""
    texts = [f"memory grew to {result.growth:.2f} times of what it was"] if not result.growth <= GROWTH else []
    names = ("missing", "doubled", "executions_missing", "executions_doubled")
    texts += [f"{name}: {getattr(result, name)}" for name in names if getattr(result, name)]
    return texts


def as_table(result: Soak) -> str:
    """Markdown."""
    names = tuple(asdict(result.marks[0]))
    lines = [f"| {' | '.join(name.replace('_', ' ') for name in names)} |", "|---:" * len(names) + "|"]
    lines += [f"| {' | '.join(str(value) for value in asdict(mark).values())} |" for mark in result.marks]
    audit = {name: value for name, value in asdict(result).items() if name != "marks"}
    return "\n".join([*lines, "", ", ".join(f"{name} {value:.4g}" for name, value in audit.items())])


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--episodes", type=int, default=100_000)
    parser.add_argument("--tests", type=int, default=5, help="of one episode")
    parser.add_argument("--kept", type=int, default=2000, help="newest episodes that stay in the store")
    parser.add_argument("--seconds", type=float, default=0.0, help="end after so many (0: after all episodes)")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="proctor-soak-") as folder:
        result, done = soak(Path(folder), options.episodes, options.tests, options.kept, seconds=options.seconds)
    print(json.dumps(asdict(result)) if options.format == "json" else as_table(result))
    print(f"{done} episodes", *complaints(result), sep="\n", file=sys.stderr)
    return 1 if complaints(result) else 0


if __name__ == "__main__":
    sys.exit(main())
