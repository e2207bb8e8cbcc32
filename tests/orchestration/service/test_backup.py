"""A backup restored into an empty store is the same service; a damaged one is named and changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from envsearch.errors import CorruptArtifactError, InputError
from orchestration.cli.app import app
from orchestration.runtime.artifacts import ArtifactStore
from orchestration.service.api.agents import CreateAgent
from orchestration.service.api.recommendations import RecommendationRequest, ResultsRequest
from orchestration.service.owners.snapshots import Snapshots
from orchestration.service.owners.state_recovery import replay_log
from orchestration.service.service import SchedulingService, ServiceSettings
from orchestration.service.store.backup import TABLES, Places, back_up
from orchestration.service.store.connecting import absolute_url, connect
from orchestration.service.store.restoring import restore_backup
from orchestration.service.store.sql import SqlStore
from orchestration.service.tokens import Scope

IDS = ("a", "b", "c")


def settings_in(home: Path, **others: Any) -> ServiceSettings:
    return ServiceSettings.in_folder(home, inline=True, snapshot_every=3, **others)


def places_of(settings: ServiceSettings) -> Places:
    return Places(settings.store_url, settings.artifact_url, settings.archive_url)


async def run_episode(service: SchedulingService, agent: str, number: int) -> None:
    answer = await service.recommend(agent, RecommendationRequest.of(IDS, job="unit"))
    verdicts = ("failed", "passed", "failed" if number % 2 else "passed")
    await service.results(agent, answer.episode_id, ResultsRequest.of(IDS, verdicts, (1.0, 2.0, 0.5)))
    await service.reward(agent, answer.episode_id)


async def used_service(settings: ServiceSettings, episodes: int) -> None:
    """Two agents with episodes, versions, snapshots and an archive, an agent that was deleted, and a token."""
    service = SchedulingService(settings)
    service.tokens.create([Scope.ADMIN])
    for name in ("first", "second", "gone"):
        await service.create_agent(CreateAgent(name, "bandit"))
    for number in range(episodes):
        for name in ("first", "second"):
            await run_episode(service, name, number)
    await service.recommend("first", RecommendationRequest.of(IDS))  # stays open
    await service.delete_agent("gone")
    await service.housekeep()
    await service.close()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServiceSettings:
    monkeypatch.setattr("orchestration.service.owners.archiving.EVENTS_PER_FILE", 6)
    monkeypatch.setattr("orchestration.service.owners.archiving.EPISODES_PER_FILE", 2)
    old = settings_in(tmp_path / "old", kept_episodes=5)
    asyncio.run(used_service(old, 12))
    return old


def rows_of(url: str) -> dict[str, list[Any]]:
    engine = connect(absolute_url(url))
    try:
        with engine.connect() as connection:
            return {
                table.name: list(map(tuple, connection.execute(sa.select(table).order_by(*table.primary_key.columns))))
                for table in TABLES
            }
    finally:
        engine.dispose()


def state_bits(settings: ServiceSettings, agent: str) -> dict[str, bytes]:
    store = SqlStore(settings.store_url)
    try:
        snapshots = Snapshots(store, ArtifactStore(settings.artifact_url), 8)
        state = replay_log(store, agent, snapshots).state()
    finally:
        store.close()
    return {name: np.asarray(value).tobytes() for name, value in state.items()}


def files_in(folder: str) -> dict[str, bytes]:
    root = Path(folder)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_restored_service_is_the_same_and_goes_on(settings: ServiceSettings, tmp_path: Path) -> None:
    copied = back_up(places_of(settings), tmp_path / "copy")
    new = settings_in(tmp_path / "new", kept_episodes=5)
    assert restore_backup(tmp_path / "copy", places_of(new)) == copied
    before = rows_of(settings.store_url)
    assert rows_of(new.store_url) == before
    assert copied.rows == {name: len(rows) for name, rows in before.items()}
    assert all(copied.rows.values())
    assert files_in(new.archive_url) == files_in(settings.archive_url) != {}
    assert copied.states == len(before["snapshots"])
    for agent in ("first", "second"):
        assert state_bits(new, agent) == state_bits(settings, agent)

    async def goes_on() -> tuple[int, int]:
        service = SchedulingService(new)
        await run_episode(service, "first", 0)
        await service.create_agent(CreateAgent("third", "random"))
        info = await service.agent("first")
        await service.close()
        return info.version, info.episodes

    assert asyncio.run(goes_on()) == (13, 14)
    numbers = {row[1]: row[0] for row in rows_of(new.store_url)["agents"]}
    assert numbers["third"] == 4, "the number of a deleted agent is never used again"


def test_a_backup_of_a_running_service_is_of_one_moment(settings: ServiceSettings, tmp_path: Path) -> None:
    stop = threading.Event()

    async def work() -> None:
        service = SchedulingService(settings)
        number = 0
        while not stop.is_set():
            await run_episode(service, ("first", "second")[number % 2], number)
            number += 1
        await service.close()

    worker = threading.Thread(target=lambda: asyncio.run(work()))
    worker.start()
    try:
        for turn in range(3):
            back_up(places_of(settings), tmp_path / f"copy{turn}")
    finally:
        stop.set()
        worker.join()
    for turn in range(3):
        new = settings_in(tmp_path / f"new{turn}")
        restore_backup(tmp_path / f"copy{turn}", places_of(new))
        rows = rows_of(new.store_url)
        for agent in rows["agents"]:
            counters = dict(zip(("last_seq", "version", "episodes"), agent[7:10], strict=True))
            events = [row for row in rows["events"] if row[0] == agent[0]]
            assert max(row[1] for row in events) == counters["last_seq"]
            assert max(row[4] for row in events) == counters["version"]
            assert max(row[2] for row in rows["episodes"] if row[0] == agent[0]) == counters["episodes"] - 1
            state_bits(new, agent[1])


def damages(copy: Path) -> Iterator[Path]:
    """Damage one file after another; each is mended when the next one is asked for."""
    for path in sorted(path for path in copy.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        for broken in (whole[:-1], whole[: len(whole) // 2], whole[:20] + bytes([whole[20] ^ 1]) + whole[21:], None):
            if broken is None:
                path.unlink()
            else:
                path.write_bytes(broken)
            yield path
            path.write_bytes(whole)


def test_a_damaged_backup_is_named_and_nothing_is_written(settings: ServiceSettings, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    back_up(places_of(settings), copy)
    new = settings_in(tmp_path / "new")
    count = 0
    for path in damages(copy):
        with pytest.raises(InputError) as refusal:
            restore_backup(copy, places_of(new))
        assert path.name in str(refusal.value)
        assert not (tmp_path / "new").exists() or not any((tmp_path / "new").iterdir())
        count += 1
    assert count > 20
    restore_backup(copy, places_of(new))


def test_files_of_a_manifest_stay_in_the_backup(settings: ServiceSettings, tmp_path: Path) -> None:
    from orchestration.service.store.backup import MANIFEST, body_digest

    copy = tmp_path / "copy"
    back_up(places_of(settings), copy)
    body = json.loads((copy / MANIFEST).read_text())["body"]
    for name in ("../x", "/etc/passwd", "states/../../x", "other/x"):
        wrong = {**body, "files": {name: {"size": 1, "sha256": ""}}}
        (copy / MANIFEST).write_text(json.dumps({"format": 1, "sha256": body_digest(wrong), "body": wrong}))
        with pytest.raises(CorruptArtifactError, match="names"):
            restore_backup(copy, places_of(settings_in(tmp_path / "new")))


def test_a_store_that_is_not_empty_stays_as_it_is(settings: ServiceSettings, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    back_up(places_of(settings), copy)
    other = settings_in(tmp_path / "other")
    asyncio.run(used_service(other, 1))
    before, files = rows_of(other.store_url), files_in(other.artifact_url)
    with pytest.raises(InputError, match="is not empty"):
        restore_backup(copy, places_of(other))
    assert rows_of(other.store_url) == before
    assert files_in(other.artifact_url) == files


def test_an_attempt_that_failed_can_be_repeated(
    settings: ServiceSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestration.service.store import restoring

    copy = tmp_path / "copy"
    back_up(places_of(settings), copy)
    new = settings_in(tmp_path / "new")

    def fails(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, contextlib.suppress(KeyboardInterrupt):
        patched.setattr(restoring, "_go_on_after", fails)
        restore_backup(copy, places_of(new))
    assert not any(rows_of(new.store_url).values())
    restore_backup(copy, places_of(new))
    assert rows_of(new.store_url) == rows_of(settings.store_url)


def test_what_is_no_service_or_no_backup_is_refused(settings: ServiceSettings, tmp_path: Path) -> None:
    nowhere = places_of(settings_in(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="no such store"):
        back_up(nowhere, tmp_path / "copy")
    with pytest.raises(InputError, match="is not a backup"):
        restore_backup(tmp_path, nowhere)
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match="already exists"):
        back_up(places_of(settings), tmp_path / "there")
    assert not (tmp_path / "copy").exists()


def test_a_copy_that_fails_leaves_nothing(
    settings: ServiceSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestration.service.store import backup

    def fails(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_copy_archive", fails)
    with pytest.raises(InputError, match="No space left"):
        back_up(places_of(settings), tmp_path / "copies" / "copy")
    assert list((tmp_path / "copies").iterdir()) == []


def test_the_command_line(settings: ServiceSettings, tmp_path: Path) -> None:
    runner = CliRunner()
    copy, new = str(tmp_path / "copy"), str(tmp_path / "new")
    home = str(Path(settings.artifact_url).parent)
    result = runner.invoke(app, ["backup", copy, "--home", home, "--format", "json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["rows"]["agents"] == 2
    result = runner.invoke(app, ["restore", copy, "--home", new])
    assert result.exit_code == 0, result.output
    assert "2 agents" in result.stdout
    assert isinstance(runner.invoke(app, ["restore", copy, "--home", new]).exception, InputError)


def test_from_sqlite_to_postgresql_and_back(settings: ServiceSettings, tmp_path: Path, postgresql_url: str) -> None:
    back_up(places_of(settings), tmp_path / "copy")
    server = Places(postgresql_url, str(tmp_path / "states"), str(tmp_path / "archive"))
    restore_backup(tmp_path / "copy", server)
    assert rows_of(postgresql_url) == rows_of(settings.store_url)
    assert back_up(server, tmp_path / "again").rows == back_up(places_of(settings), tmp_path / "third").rows
    store = SqlStore(postgresql_url)
    try:
        assert store.create_agent("new", "{}", "", 0.0)[0].id == 4
    finally:
        store.close()
    new = settings_in(tmp_path / "new")
    restore_backup(tmp_path / "again", places_of(new))
    assert rows_of(new.store_url) == rows_of(settings.store_url)
