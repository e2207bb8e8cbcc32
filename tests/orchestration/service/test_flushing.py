"""Which commits wait for the disk: all but those that only open episodes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from agents.scheduling.settings import AgentSettings
from orchestration.runtime.artifacts import ArtifactStore
from orchestration.service.owners.agent_owner import AgentOwner, OwnerSettings
from orchestration.service.owners.columns import Candidates, Results
from orchestration.service.owners.messages import PatchAgent, RecommendationRequest, ResultsRequest, RewardRequest
from orchestration.service.owners.owner_call import OwnerCall, Request
from orchestration.service.store import sqlite_commits
from orchestration.service.store.codec import settings_text
from orchestration.service.store.connecting import open_sqlite
from orchestration.service.store.sql import SqlStore


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

    def of(self, owner: AgentOwner, request: Request, episode_id: str = "") -> list[str]:
        """Levels of the commits that a call makes."""
        self.seen.clear()
        answer = owner.execute([OwnerCall("nightly", request, episode_id=episode_id)])[0]
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
    recommend = RecommendationRequest(Candidates(("a", "b")))
    assert levels.of(owner, recommend, "first") == ["NORMAL"]
    assert levels.of(owner, recommend, "second") == ["NORMAL"]
    assert levels.of(owner, ResultsRequest("first", Results(("a",), ("passed",)))) == ["FULL"]
    assert levels.of(owner, recommend, "third") == ["NORMAL"]
    assert levels.of(owner, RewardRequest("first")) == ["FULL"]
    assert levels.of(owner, PatchAgent(reward="apfdc")) == ["FULL"]
    assert levels.of(owner, PatchAgent(description="release")) == ["FULL"]
    with_histories = RecommendationRequest(Candidates(("c",), histories=((("failed", None, None),),)))
    assert levels.of(owner, with_histories, "fourth") == ["FULL"], "supplied histories are events"
    store.close()
