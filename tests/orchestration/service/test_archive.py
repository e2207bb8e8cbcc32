"""Off-loading: everything arrives in the archive once, nothing is removed before, and the agent stays as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest
from msgspec import structs

from agents.scheduling.episode_codec import episode_from_bytes
from envsearch.errors import InputError, StoreUnavailableError
from orchestration.runtime.artifacts import ArtifactStore
from orchestration.service.api.agents import RestoreRequest
from orchestration.service.api.recommendations import RecommendationRequest, ResultsRequest
from orchestration.service.errors import NotFoundError, UnavailableError
from orchestration.service.owners.archiving import Archivist, base_of
from orchestration.service.owners.snapshot_writer import SnapshotWriter
from orchestration.service.owners.snapshots import Snapshots
from orchestration.service.owners.state_recovery import replay_log
from orchestration.service.service import SchedulingService, ServiceSettings
from orchestration.service.store.archive import EXECUTIONS, Archive
from orchestration.service.store.sql import SqlStore
from tests.orchestration.service.archived_agents import IDS, cycles, service_of

pytestmark = pytest.mark.usefixtures("small_pieces")


def test_every_execution_arrives_once_and_is_read_in_one_line(settings: ServiceSettings) -> None:
    async def test() -> None:
        service = await service_of(settings, "_odd", "7")
        for _ in range(3):
            for name in ("_odd", "7"):
                await cycles(service, name, 5)
            await service.housekeep()
            await service.housekeep()
        await service.close()

    asyncio.run(test())
    executions = pd.read_parquet(f"{settings.archive_url}/executions")
    assert set(executions.agent) == {"_odd", "7"}
    assert not executions.duplicated(["agent", "episode", "test"]).any()
    # 30 events of 15 episodes after the one that made the agent, in pieces of 6: the last one is not full.
    assert len(executions) == 2 * 2 * 15
    assert set(executions.verdict) == {"passed", "failed"}
    assert executions.duration.isna().sum() == len(executions) // 2
    assert (executions.job == "job").all()


def test_old_episodes_leave_the_store_with_all_they_held(settings: ServiceSettings) -> None:
    async def test() -> None:
        service = await service_of(settings, "agent")
        answers = await cycles(service, "agent", 20)
        await service.housekeep()
        kept = (await service.episodes("agent")).episodes
        store = SqlStore(settings.store_url)
        archived = pd.read_parquet(f"{settings.archive_url}/episodes")
        assert len(kept) + len(archived) == 20
        assert 4 <= len(kept) < 4 + 3 + 4
        assert list(archived.number) == list(range(len(archived)))
        first = archived.iloc[0]
        assert (first.episode, first.total) == (answers[0].episode_id, answers[0].total)
        assert episode_from_bytes(first.recommendation).id == first.episode
        assert len(first.rewards) == 2
        row = store.agent("agent")
        assert row is not None
        assert row.base_seq > 0
        for version in (0, 1):
            with pytest.raises(NotFoundError):
                await service.restore("agent", RestoreRequest(version))
        await service.passivate("agent")
        with pytest.raises(NotFoundError):
            await service.reward("agent", answers[0].episode_id)
        assert (await service.reward("agent", answers[-1].episode_id)) == structs.replace(answers[-1], repeated=True)
        await cycles(service, "agent", 3)
        live = _state(service)
        snapshots = Snapshots(store, ArtifactStore(settings.artifact_url), 8)
        replayed = replay_log(store, "agent", snapshots).state()
        assert _same(live, replayed)
        await service.close()

    asyncio.run(test())


def test_a_version_whose_past_has_left_the_store_is_not_found(settings: ServiceSettings) -> None:
    """Episodes end in another order than they began in, so that what is off-loaded leaves gaps between other events."""

    async def test() -> None:
        service = await service_of(settings, "agent")
        asked = RecommendationRequest.of(IDS, job="job")
        opened = [(await service.recommend("agent", asked)).episode_id for _ in range(24)]
        for place in np.arange(24).reshape(4, 6)[:, ::-1].ravel():
            await service.results("agent", opened[place], ResultsRequest.of(IDS, ("failed", "passed")))
            await service.reward("agent", opened[place])
        await service.housekeep()
        assert len((await service.episodes("agent")).episodes) < 24
        listed = {entry.version for entry in (await service.versions("agent")).versions}
        paged: set[int] = set()
        cursor: str | None = ""
        while cursor is not None:
            page = await service.versions("agent", cursor, limit=2)
            paged |= {entry.version for entry in page.versions}
            cursor = page.next_cursor
        assert paged == listed
        restorable = {version for version in range(25) if await _restored(service, version)}
        assert 0 < len(restorable) < 24
        assert restorable == listed
        await service.close()

    asyncio.run(test())


@pytest.mark.parametrize(
    ("archived", "jumps", "base"),
    [
        (9, [], 0),
        (40, [], 40),
        (39, [], 30),
        (40, [(35, 12)], 40),  # the snapshot has taken it in
        (39, [(35, 32)], 30),  # made from the same snapshot
        (39, [(35, 29)], 20),
        (39, [(35, 9)], 0),
        (39, [(35, 21), (38, 12)], 10),
        (39, [(25, 5), (35, 31)], 30),
    ],
)
def test_events_leave_only_up_to_where_nothing_before_is_needed(
    archived: int, jumps: list[tuple[int, int]], base: int
) -> None:
    assert base_of([10, 20, 30, 40], archived, jumps) == base


@pytest.mark.parametrize("version", [5, 20, 40, 47, 59])
def test_a_restored_version_stays_while_it_is_needed(
    settings: ServiceSettings, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An owner restores a version and dies before its next snapshot; old episodes are off-loaded in between."""
    settings = replace(settings, snapshot_every=7, snapshots_kept=2)

    async def test() -> None:
        service = await service_of(settings, "agent")
        await cycles(service, "agent", 60)
        saved = SnapshotWriter.save
        monkeypatch.setattr(SnapshotWriter, "save", lambda *_, **__: True)
        await service.restore("agent", RestoreRequest(version))
        await service.housekeep()
        monkeypatch.setattr(SnapshotWriter, "save", saved)
        live = _state(service)
        another = SchedulingService(settings)
        await another.recommend("agent", RecommendationRequest.of(IDS, job="job"))
        woken = _state(another)
        assert _same(live, woken)
        for _ in range(3):
            await cycles(another, "agent", 20)
            await another.housekeep()
        assert len((await another.episodes("agent")).episodes) < 4 + 3 + 12, "what is off-loaded catches up"
        await another.close()

    asyncio.run(test())


@pytest.mark.parametrize("seed", range(6))
def test_an_owner_that_dies_wakes_as_it_was(
    settings: ServiceSettings, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cycles, restored versions, lost snapshots, off-loading and deaths in any order."""
    rng = np.random.default_rng(seed)
    really = Snapshots.save

    def sometimes(*arguments: Any) -> None:
        if rng.random() < 0.5:
            raise UnavailableError("no space left (injected)")
        really(*arguments)

    monkeypatch.setattr(Snapshots, "save", sometimes)

    async def test() -> int:
        changed = replace(settings, snapshot_every=int(rng.integers(1, 9)), snapshots_kept=int(rng.integers(1, 4)))
        service = await service_of(changed, "agent")
        await cycles(service, "agent", 10)
        for _ in range(60):
            step = rng.choice(["cycles", "restore", "off-load", "die"])
            if step == "cycles":
                await cycles(service, "agent", int(rng.integers(1, 8)))
            elif step == "restore":
                versions = (await service.versions("agent")).versions
                assert versions
                chosen = versions[int(rng.integers(len(versions)))]
                await service.restore("agent", RestoreRequest(chosen.version))
            elif step == "off-load":
                await service.housekeep()
            else:
                before = _state(service)
                service = SchedulingService(changed)
                await service.insights("agent")
                after = _state(service)
                assert _same(before, after)
        row = SqlStore(changed.store_url).agent("agent")
        assert row is not None
        await service.close()
        return row.base_seq

    assert asyncio.run(test()) > 0, "something was off-loaded"


def _state(service: SchedulingService) -> dict[str, Any]:
    return service._owners._owner._live["agent"].scheduler.state()


def _same(state: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(np.asarray(state[name]).tobytes() == np.asarray(other[name]).tobytes() for name in state)


async def _restored(service: SchedulingService, version: int) -> bool:
    try:
        await service.restore("agent", RestoreRequest(version))
    except NotFoundError:
        return False
    return True


def test_nothing_is_removed_while_the_archive_cannot_be_written(
    settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        service = await service_of(settings, "agent")
        await cycles(service, "agent", 20)
        with monkeypatch.context() as patched:
            patched.setattr("orchestration.service.store.archive.os.fsync", _full)
            patched.setattr("s3fs.S3FileSystem._call_s3", _full)
            with pytest.raises(StoreUnavailableError, match="No space"):
                await service.housekeep()
        assert len((await service.episodes("agent")).episodes) == 20
        assert _files(settings.archive_url) == {}
        await service.housekeep()
        assert len((await service.episodes("agent")).episodes) < 20
        await service.close()

    asyncio.run(test())


def _files(url: str) -> dict[str, bytes]:
    """Every file below, also a half-written one, by its path."""
    files, base = fsspec.core.url_to_fs(url)
    return {path: files.cat_file(path) for path in files.find(base)}


def _full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def test_two_who_off_load_at_once_write_the_same(settings: ServiceSettings) -> None:
    async def test() -> None:
        service = await service_of(settings, "agent")
        await cycles(service, "agent", 20)
        store = SqlStore(settings.store_url)
        row = store.agent("agent")
        assert row is not None
        first, second = (Archivist(store, Archive(settings.archive_url), 4) for _ in range(2))
        # Both have read the agent before either has written.
        wrote = first._executions(row)[0] + first._episodes(store.agent("agent") or row)
        files = _files(settings.archive_url)
        assert wrote == len(files) > 0
        second._executions(row)
        assert _files(settings.archive_url) == files
        assert second.run() == 0
        await service.close()

    asyncio.run(test())


def test_an_open_episode_is_off_loaded_too_and_can_no_longer_be_rewarded(settings: ServiceSettings) -> None:
    async def test() -> None:
        service = await service_of(settings, "agent")
        await cycles(service, "agent", 20, open_one=True)
        await service.housekeep()
        archived = pd.read_parquet(f"{settings.archive_url}/episodes")
        unrewarded = archived[archived.total.isna()]
        assert list(unrewarded.number) == [1]
        await service.close()

    asyncio.run(test())


def test_an_archive_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError):
        Archive("nonsense://somewhere")


def test_an_archive_may_lie_in_any_file_system() -> None:
    archive = Archive("memory://proctor-archive")
    archive.write(EXECUTIONS, "agent", 1, 1, 2, {"agent": ("text", ["agent"]), "duration": ("number", [None])})
    frame = pd.read_parquet(archive.location(EXECUTIONS, "agent", 1, 1, 2))
    assert frame.agent.tolist() == ["agent"]
    assert frame.duration.isna().all()
