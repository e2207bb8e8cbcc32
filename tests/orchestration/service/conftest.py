"""A store with agents, and owners that share it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.scheduling.settings import AgentSettings
from orchestration.runtime.artifacts import ArtifactStore
from orchestration.service.owners import archiving
from orchestration.service.owners.agent_owner import AgentOwner, OwnerSettings
from orchestration.service.settings import ServiceSettings
from orchestration.service.store.codec import settings_text
from orchestration.service.store.sql import SqlStore
from tests.orchestration.service.owner_driver import Driver


@pytest.fixture
def store(tmp_path: Path) -> SqlStore:
    """A store with one agent of each sort."""
    opened = SqlStore(str(tmp_path / "service.db"))
    for kind in ("bandit", "failure_rate"):
        settings = AgentSettings(kind, exploration="epsilon_greedy" if kind == "failure_rate" else "none")
        opened.create_agent(kind, settings_text(settings), "", 1.0)
    return opened


@pytest.fixture
def make_owner(store: SqlStore, tmp_path: Path) -> Callable[..., AgentOwner]:
    """Makes owners that share the store, as processes would that follow each other."""

    def make(**settings: Any) -> AgentOwner:
        url = str(tmp_path / "states")
        return AgentOwner(OwnerSettings(store.url, url, **settings), store, ArtifactStore(url))

    return make


@pytest.fixture
def driver(make_owner: Callable[..., AgentOwner]) -> Driver:
    """Speaks with the bandit."""
    return Driver(make_owner())


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of the archive that a short test fills."""
    monkeypatch.setattr(archiving, "EVENTS_PER_FILE", 6)
    monkeypatch.setattr(archiving, "EPISODES_PER_FILE", 3)


@pytest.fixture(params=["here", "servers"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> ServiceSettings:
    """An agent keeps four episodes. SQLite and a folder, then PostgreSQL and S3."""
    others: dict[str, str] = {}
    if request.param == "servers":
        bucket = request.getfixturevalue("s3_url")
        others = {
            "store_url": request.getfixturevalue("postgresql_url"),
            "artifact_url": f"{bucket}/states",
            "archive_url": f"{bucket}/archive",
        }
    return ServiceSettings.in_folder(tmp_path, inline=True, kept_episodes=4, snapshot_every=2, **others)
