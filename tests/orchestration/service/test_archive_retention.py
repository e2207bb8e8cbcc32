"""How long the past is kept: off-loading by age, and the removal of an agent's archive."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from orchestration.service.api.agents import CreateAgent
from orchestration.service.errors import NotFoundError, UnavailableError
from orchestration.service.service import ServiceSettings
from orchestration.service.store.archive import Archive
from tests.orchestration.service.archived_agents import cycles, service_of

pytestmark = pytest.mark.usefixtures("small_pieces")


def test_an_agent_is_deleted_with_its_archive_on_request(settings: ServiceSettings) -> None:
    async def test() -> None:
        service = await service_of(settings, "agent", "other")
        for name in ("agent", "other"):
            await cycles(service, name, 20)
        await service.housekeep()
        await service.delete_agent("agent")
        assert {"agent", "other"} <= set(pd.read_parquet(f"{settings.archive_url}/executions").agent)
        await service.create_agent(CreateAgent("agent", "bandit"))
        await cycles(service, "agent", 20)
        await service.housekeep()
        before = pd.read_parquet(f"{settings.archive_url}/executions").agent.value_counts()
        await service.delete_agent("agent", "remove")
        after = pd.read_parquet(f"{settings.archive_url}/executions").agent.value_counts()
        assert (after["agent"], after["other"]) == (before["agent"] // 2, before["other"])
        with pytest.raises(NotFoundError):
            await service.agent("agent")
        await service.close()

    asyncio.run(test())


def test_an_agent_stays_if_its_archive_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        settings = ServiceSettings.in_folder(tmp_path, inline=True, kept_episodes=4, snapshot_every=2)
        service = await service_of(settings, "agent")
        await cycles(service, "agent", 20)
        await service.housekeep()
        with monkeypatch.context() as broken:
            broken.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "denied")))
            with pytest.raises(UnavailableError, match="cannot remove"):
                await service.delete_agent("agent", "remove")
        assert (await service.agent("agent")).name == "agent"
        await service.delete_agent("agent", "remove")
        assert list((tmp_path / "archive").rglob("*.parquet")) == []
        await service.close()

    asyncio.run(test())


def test_pieces_are_removed_from_a_remote_archive() -> None:
    archive = Archive("memory://removal/archive")
    for agent_id in (1, 11):
        archive.write("executions", "agent", agent_id, 1, 6, {"agent": ("text", ["agent"])})
    assert archive.remove("agent", 1) == 1
    assert archive.remove("agent", 1) == 0
    assert archive.remove("nobody", 1) == 0
    assert (
        len(pd.read_parquet("memory://removal/archive/executions/agent-agent/11-000000000001-000000000006.parquet"))
        == 1
    )


@pytest.mark.parametrize(("days", "leave"), [(0, False), (30, True), (60, False)])
def test_old_episodes_leave_the_store_by_age(tmp_path: Path, days: int, leave: bool) -> None:
    """Ten of twenty episodes were opened 45 days ago; the number alone would keep all of them."""

    async def test() -> None:
        settings = ServiceSettings.in_folder(tmp_path, inline=True, kept_days=days, snapshot_every=2)
        service = await service_of(settings, "agent")
        await cycles(service, "agent", 20)
        with closing(sqlite3.connect(tmp_path / "service.db")) as connection, connection:
            connection.execute("UPDATE episodes SET opened_at = ? WHERE number < 10", (time.time() - 45 * 86_400,))
        await service.housekeep()
        kept = [entry.number for entry in (await service.episodes("agent")).episodes]
        assert kept == list(range(9 if leave else 0, 20))[::-1]
        assert len(await cycles(service, "agent", 1)) == 1
        await service.close()

    asyncio.run(test())
