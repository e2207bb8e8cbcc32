"""Snapshots beside the calls: few enough to leave time to the calls, and all when an agent goes to sleep."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from agents.scheduling.settings import AgentSettings
from orchestration.actors.calls import Call
from orchestration.actors.holder import AgentHolder, HolderSettings
from orchestration.actors.messages import Candidates, RecommendationRequest, Results, ResultsRequest, RewardRequest
from orchestration.actors.payloads import settings_text
from orchestration.actors.snapshots import Snapshots
from orchestration.stores.sql import SqlStore


@pytest.fixture
def holder(tmp_path: Path) -> AgentHolder:
    """An owner as a service has it, of one agent that is to be saved after every reward."""
    url = str(tmp_path / "service.db")
    SqlStore(url).create_agent("nightly", settings_text(AgentSettings("failure_rate")), "", 1.0)
    return AgentHolder(HolderSettings(url, str(tmp_path / "states"), snapshot_every=1), background=True)


def rewarded(holder: AgentHolder, number: int) -> None:
    episode = f"e{number}"
    calls = [
        Call("nightly", RecommendationRequest(Candidates(("a",))), episode_id=episode),
        Call("nightly", ResultsRequest(episode, Results(("a",), ("failed",)))),
        Call("nightly", RewardRequest(episode)),
    ]
    for call in calls:
        holder.execute([call])


def test_a_saving_is_followed_by_a_rest_and_sleep_saves_what_is_left(
    holder: AgentHolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    save = Snapshots.save

    def slow(self: Snapshots, agent_id: int, epoch: int, seq: int, *more: Any) -> None:
        time.sleep(0.2)  # so it rests for 10 s, which the next rewards do not take
        save(self, agent_id, epoch, seq, *more)
        saved.append(seq)

    monkeypatch.setattr(Snapshots, "save", slow)
    rewarded(holder, 0)
    while not saved:
        time.sleep(0.001)
    for number in range(1, 10):
        rewarded(holder, number)
    during = list(saved)
    holder.passivate()
    assert len(during) <= 2, "rewards that come one after another were saved one after another"
    assert saved[-1] == 21, "the settings and two events of each of ten episodes"
