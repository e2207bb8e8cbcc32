"""A store with agents, and owners that share it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.scheduling.settings import AgentSettings
from orchestration.runtime.artifacts import ArtifactStore
from orchestration.service.owners.agent_owner import AgentOwner, OwnerSettings
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
