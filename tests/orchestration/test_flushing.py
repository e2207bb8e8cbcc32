"""Which commits wait for the disk: all but those that only open episodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from agents.scheduling.settings import AgentSettings
from orchestration.actors.calls import Call, Request
from orchestration.actors.columns import Candidates, Results
from orchestration.actors.holder import AgentHolder, HolderSettings
from orchestration.actors.messages import PatchAgent, RecommendationRequest, ResultsRequest, RewardRequest
from orchestration.actors.payloads import settings_text
from orchestration.stores.artifacts import ArtifactStore
from orchestration.stores.sql import SqlStore


class Levels:
    """The level of `PRAGMA synchronous` at each commit of a store."""

    def __init__(self, store: SqlStore) -> None:
        self.seen: list[str] = []
        sa.event.listen(store._engine, "commit", self._note)

    def _note(self, connection: sa.Connection) -> None:
        level: Any = connection.connection.driver_connection
        self.seen.append({1: "NORMAL", 2: "FULL"}[level.execute("PRAGMA synchronous").fetchone()[0]])

    def of(self, holder: AgentHolder, request: Request, episode_id: str = "") -> list[str]:
        """Levels of the commits that a call makes."""
        self.seen.clear()
        answer = holder.execute([Call("nightly", request, episode_id=episode_id)])[0]
        assert not isinstance(answer, Exception), answer
        return list(self.seen)


def test_results_and_rewards_wait_for_the_disk_and_recommendations_do_not(tmp_path: Path) -> None:
    store = SqlStore(str(tmp_path / "service.db"))
    store.create_agent("nightly", settings_text(AgentSettings("failure_rate")), "", 0.0)
    artifacts = ArtifactStore(str(tmp_path / "states"))
    holder = AgentHolder(HolderSettings(store.url, artifacts.url), store, artifacts)
    levels = Levels(store)
    recommend = RecommendationRequest(Candidates(("a", "b")))
    assert levels.of(holder, recommend, "first")[-1] == "NORMAL"
    assert levels.of(holder, recommend, "second") == ["NORMAL"]
    assert levels.of(holder, ResultsRequest("first", Results(("a",), ("passed",)))) == ["FULL"]
    assert levels.of(holder, recommend, "third") == ["NORMAL"]
    assert levels.of(holder, RewardRequest("first")) == ["FULL"]
    assert levels.of(holder, PatchAgent(reward="apfdc")) == ["FULL"]
    assert levels.of(holder, PatchAgent(description="release")) == ["FULL"]
    told = RecommendationRequest(Candidates(("c",), histories=((("failed", None, None),),)))
    assert levels.of(holder, told, "fourth") == ["FULL"], "told histories are events"
    store.close()
