"""Which commits wait for the disk: all but those that only open episodes."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from agents.scheduling.settings import AgentSettings
from agents.scheduling.testcase import Verdict
from orchestration.runtime.artifacts import ArtifactStore
from orchestration.service.api.agents import PatchAgent
from orchestration.service.api.recommendations import Candidate, PastRun, RecommendationRequest, ResultsRequest
from orchestration.service.owners.agent_owner import AgentOwner, OwnerSettings
from orchestration.service.owners.owner_call import CallKind
from orchestration.service.store import sqlite_commits
from orchestration.service.store.codec import settings_text
from orchestration.service.store.connecting import open_sqlite
from orchestration.service.store.sql import SqlStore
from orchestration.service.typed_calls import owner_call


class Levels:
    """The level of `PRAGMA synchronous` at each commit of an owner."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[str] = []
        self._level = "FULL"
        monkeypatch.setattr(sqlite_commits, "open_sqlite", self._opened)

    def _opened(self, path: str) -> sqlite3.Connection:
        connection = open_sqlite(path)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
        connection.set_trace_callback(self._note)
        return connection

    def _note(self, statement: str) -> None:
        if statement.startswith("PRAGMA synchronous="):
            self._level = statement.partition("=")[2]
        elif statement == "COMMIT":
            self.seen.append(self._level)

    def of(self, owner: AgentOwner, kind: CallKind, request: Any = None, episode_id: str = "") -> list[str]:
        """Levels of the commits that a call makes."""
        self.seen.clear()
        answer = owner.execute([owner_call("nightly", kind, request, episode_id=episode_id)])[0]
        assert not isinstance(answer, Exception), answer
        return list(self.seen)


def test_results_and_rewards_wait_for_the_disk_and_recommendations_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = Levels(monkeypatch)
    store = SqlStore(str(tmp_path / "service.db"))
    store.create_agent("nightly", settings_text(AgentSettings("failure_rate")), "", 0.0)
    artifacts = ArtifactStore(str(tmp_path / "states"))
    owner = AgentOwner(OwnerSettings(store.url, artifacts.url), store, artifacts)
    recommend = RecommendationRequest.of(("a", "b"))
    assert levels.of(owner, "recommend", recommend, "first") == ["NORMAL"]
    assert levels.of(owner, "recommend", recommend, "second") == ["NORMAL"]
    assert levels.of(owner, "results", ResultsRequest.of(("a",), ("passed",)), "first") == ["FULL"]
    assert levels.of(owner, "recommend", recommend, "third") == ["NORMAL"]
    assert levels.of(owner, "reward", episode_id="first") == ["FULL"]
    assert levels.of(owner, "patch", PatchAgent(reward="apfdc")) == ["FULL"]
    assert levels.of(owner, "patch", PatchAgent(description="release")) == ["FULL"]
    with_history = RecommendationRequest([Candidate("c", history=[PastRun(Verdict.FAILED)])])
    assert levels.of(owner, "recommend", with_history, "fourth") == ["FULL"], "supplied histories are events"
    store.close()
