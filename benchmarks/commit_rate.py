"""Rewards by one owner compared with bare commits of its store, alternating in one run.

    python -m benchmarks.commit_rate [--rounds 5] [--batch 1 8 32] [--count 400]

A reward is an event, a row and the agent's counters, flushed to the disk. One side asks the owner for rewards, in
batches as they arrive from that many callers; the other commits rows of the same sizes through the same store and does
nothing else. The ratio says how much of a reward's time is the store's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from agents.scheduling.settings import AgentSettings
from orchestration.service.api.recommendations import RecommendationRequest, ResultsRequest
from orchestration.service.owners.agent_owner import AgentOwner, OwnerSettings
from orchestration.service.owners.owner_call import OwnerAnswer
from orchestration.service.store.codec import settings_text
from orchestration.service.store.rows import AgentCommit, EventRow, RewardRow
from orchestration.service.store.sql import SqlStore
from orchestration.service.typed_calls import owner_call

TESTS = tuple(f"tests/test_module_{number % 17}.py::test_case_{number}" for number in range(100))
VERDICTS = tuple("failed" if number % 20 == 0 else "passed" for number in range(100))


@dataclass(frozen=True, slots=True)
class Row:
    """Medians over the rounds; `ratio` is the owner's by the store's."""

    batch: int
    rewards_per_second: float
    rows_per_second: float
    commits_per_second: float
    ratio: float


class Both:
    """One owner, and the same store below it."""

    def __init__(self, folder: Path, kind: str) -> None:
        settings = OwnerSettings(str(folder / "service.db"), str(folder / "states"))
        self.store = SqlStore(settings.store_url)
        for name in ("owner", "bare"):
            self.store.create_agent(name, settings_text(AgentSettings(kind)), "", time.time())
        self.owner = AgentOwner(settings, self.store, background=True)
        bare = self.store.take_over("bare")
        assert bare is not None
        self._bare, self._seq, self._number = bare, bare.last_seq, 0

    def rewards(self, count: int, batch: int) -> float:
        """Rewards per second."""
        names = [f"e{self._number + place}" for place in range(count)]
        self._number += count
        results = ResultsRequest.of(TESTS, VERDICTS, (1.0,) * len(TESTS))
        for name in names:
            opened = owner_call("owner", "recommend", RecommendationRequest.of(TESTS), episode_id=name)
            self.owner.execute([opened, owner_call("owner", "results", results, episode_id=name)])
        calls = [owner_call("owner", "reward", episode_id=name) for name in names]
        started = time.perf_counter()
        for first in range(0, count, batch):
            answers = self.owner.execute(calls[first : first + batch])
            assert all(isinstance(answer, OwnerAnswer) for answer in answers)
        return count / (time.perf_counter() - started)

    def commits(self, count: int, batch: int) -> float:
        """Rows per second."""
        kept = self.store.rewards(1, 0, 1)[0]
        answer = self.store.reward(1, kept.episode_id)
        assert answer is not None
        ready = [self._commit(answer, min(batch, count - first)) for first in range(0, count, batch)]
        started = time.perf_counter()
        for commit in ready:
            self.store.commit([commit])
        return count / (time.perf_counter() - started)

    def _commit(self, answer: RewardRow, rewards: int) -> AgentCommit:
        """What the owner writes for so many rewards; rows of the same sizes."""
        events, rows = [], []
        for _ in range(rewards):
            self._seq += 1
            name = f"bare-{self._seq}"
            events.append(EventRow(self._bare.id, self._seq, "reward", name, self._seq, time.time(), b""))
            payload = {**asdict(answer), "agent_id": self._bare.id, "episode_id": name, "seq": self._seq}
            rows.append(RewardRow(**payload))
        row = self._bare
        counters = (self._seq, self._seq, row.episodes, time.time())
        return AgentCommit(row.id, row.owner_epoch, *counters, row.settings, "", [], events, rows)


def measure(kind: str, rounds: int, batches: Sequence[int], count: int) -> list[Row]:
    """Both sides in turn."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="proctor-commits-") as folder:
        both = Both(Path(folder), kind)
        both.rewards(20, 1)
        for batch in batches:
            pairs = [(both.rewards(count, batch), both.commits(count, batch)) for _ in range(rounds)]
            ours, bare = (statistics.median(side) for side in zip(*pairs, strict=True))
            rows.append(Row(batch, round(ours), round(bare), round(bare / batch), round(ours / bare, 2)))
    return rows


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.commit_rate", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--kind", default="failure_rate")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--count", type=int, default=400, help="rewards of one side in one round")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    options = parser.parse_args()
    rows = measure(options.kind, options.rounds, options.batch, options.count)
    if options.format == "json":
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    print("| callers at once | rewards/s | the store's rows/s | commits/s | ratio |\n|---:|---:|---:|---:|---:|")
    for row in rows:
        print("| " + " | ".join(str(value) for value in asdict(row).values()) + " |")


if __name__ == "__main__":
    main()
