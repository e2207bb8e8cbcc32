"""Faults below one owner; and that the invariants are broken by an owner that is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.chaos_inline import AGENT, Round
from benchmarks.chaos_ledger import Ledger
from orchestration.service.owners.live_agent import CALLS, LiveAgent
from orchestration.service.owners.owner_call import OwnerAnswer, OwnerCall
from orchestration.service.store.rows import AgentCommit
from orchestration.service.store.sql import SqlStore


@pytest.mark.parametrize(("seed", "kind"), [(1, "bandit"), (2, "failure_rate"), (3, "bandit")])
def test_nothing_acknowledged_is_lost_and_nothing_is_done_twice(tmp_path: Path, seed: int, kind: str) -> None:
    chaos_round = Round(tmp_path, np.random.default_rng(seed), share=0.15, kind=kind)
    assert chaos_round.run(12) == []
    assert len(chaos_round.acknowledged.rewards) >= 8
    assert {"store refuses", "store answers an error after it has written"} <= set(chaos_round.faults)
    assert chaos_round.faults["owner gone"] + chaos_round.faults["owner replaced behind its back"] > 0
    assert chaos_round.faults["clock step"] > 0


def test_the_same_seed_injects_the_same_faults(tmp_path: Path) -> None:
    counts = []
    for name in ("one", "other"):
        chaos_round = Round(tmp_path / name, np.random.default_rng(5))
        assert chaos_round.run(6) == []
        counts.append(chaos_round.faults)
    assert counts[0] == counts[1]


def test_a_store_that_forgets_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that a commit is written and has lost an event of it."""
    really, seen = SqlStore.commit, 0

    def forgetful(self: SqlStore, commits: Sequence[AgentCommit]) -> None:
        nonlocal seen
        for chaos_round in commits:
            seen += len(chaos_round.new_rewards)
            if chaos_round.new_rewards and seen == 12:
                chaos_round.new_events[:] = [event for event in chaos_round.new_events if event.kind != "reward"]
        really(self, commits)

    monkeypatch.setattr(SqlStore, "commit", forgetful)
    chaos_round = Round(tmp_path, np.random.default_rng(1), share=0.0)
    complaints = chaos_round.run(12)
    assert any("are in the log" in text for text in complaints)
    assert any("its log ends with event" in text for text in complaints)


def test_an_owner_that_learns_twice_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reward that is asked for again makes a version again."""
    read, really = CALLS["reward"]

    def twice(self: LiveAgent, call: OwnerCall, request: None) -> OwnerAnswer:
        answer = really(self, call, request)
        if not answer.numbers:
            self.scheduler.version += 1
        return answer

    monkeypatch.setitem(CALLS, "reward", (read, twice))
    chaos_round = Round(tmp_path, np.random.default_rng(1), share=0.0)
    assert any("another state" in text for text in chaos_round.run(6))


class FakeService:
    """Answers of a service with two rewarded episodes."""

    def __init__(self) -> None:
        self.version = 2
        self.rows = [{"episode_id": name, "agent_version": place} for place, name in enumerate("ab", start=1)]
        self.results = {name: [{"id": "t", "verdict": "passed"}] for name in "ab"}
        self.total = 1.0

    def get(self, path: str) -> Any:
        if path == "":
            return {"version": self.version}
        if path.startswith("/metrics"):
            return {"rows": self.rows, "next_cursor": None}
        return {"results": self.results[path.rpartition("/")[2]]}

    def post(self, path: str) -> Any:
        return {"total": self.total, "repeated": True}

    def complaints(self) -> list[str]:
        ledger = Ledger(AGENT)
        for name in "ab":
            ledger.reported(name, {"t": "passed"})
            ledger.rewarded(name, {"total": 1.0, "repeated": False})
        assert ledger.acknowledged == 4
        return ledger.complaints(self.get, self.post)


def test_the_ledger_finds_no_fault_with_a_sound_service() -> None:
    assert FakeService().complaints() == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"rows": [{"episode_id": "a", "agent_version": 1}], "version": 1}, "reward of b is lost"),
        ({"version": 3}, "do not make version 3"),
        ({"total": 2.0}, "given a second time"),
        ({"results": {"a": [], "b": [{"id": "t", "verdict": "passed"}]}}, "a result of a is lost"),
        ({"results": dict.fromkeys("ab", [{"id": "t", "verdict": "passed"}] * 2)}, "appears twice"),
        ({"rows": [{"episode_id": "a", "agent_version": n} for n in (1, 2)]}, "rewarded twice"),
    ],
)
def test_the_ledger_notices(change: dict[str, Any], complaint: str) -> None:
    service = FakeService()
    for name, value in change.items():
        setattr(service, name, value)
    assert any(complaint in text for text in service.complaints())
