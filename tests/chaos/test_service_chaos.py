"""Some faults of a real `proctor serve`, drawn from a seed; the long run is `make chaos`."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from agents.scheduling.settings import AgentSettings
from benchmarks.chaos import as_table, service_rounds
from benchmarks.chaos_disk import SmallDisk
from benchmarks.chaos_faults import FAULTS
from orchestration.service.api.recommendations import RecommendationRequest
from orchestration.service.errors import UnavailableError
from orchestration.service.owners.agent_owner import AgentOwner, OwnerSettings
from orchestration.service.owners.owner_call import OwnerAnswer
from orchestration.service.store.codec import settings_text
from orchestration.service.store.rows import AgentCommit
from orchestration.service.store.sql import SqlStore
from orchestration.service.typed_calls import owner_call

QUICK = (
    "kill -9 of an owner",
    "kill -9 of a replica",
    "full disk",
    "read-only disk",
    "store hangs",
    "owner is suspended",
    "snapshot cut short",
)
"""Those that are over in some seconds."""


@pytest.mark.cluster
def test_a_service_loses_nothing_through_random_faults(tmp_path: Path) -> None:
    names = [str(name) for name in np.random.default_rng(11).permutation(QUICK)[:4]]
    faults, acknowledged, complaints = service_rounds(tmp_path, np.random.default_rng(12), 4, names, seconds=1.0)
    assert complaints == []
    assert acknowledged > 0
    assert set(faults) == set(names)


def test_the_quick_faults_are_in_the_table() -> None:
    assert set(QUICK) < set(FAULTS)


def test_the_small_disk_is_full_and_read_only(tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path / "disk")
    if not disk.mounted:
        pytest.skip("this user may not mount a tmpfs")
    try:
        disk.fill()
        with pytest.raises(OSError, match="No space"):
            (disk.folder / "file").write_bytes(bytes(1 << 20))
        disk.free()
        (disk.folder / "file").write_bytes(bytes(1 << 20))
        assert disk.protect()
        with pytest.raises(OSError, match="Read-only"):
            (disk.folder / "file").write_bytes(b"")
        disk.release()
        (disk.folder / "file").write_bytes(b"")
    finally:
        disk.close()


def test_a_store_that_was_opened_on_a_read_only_disk_works_when_it_is_writable(tmp_path: Path) -> None:
    """As an owner that started meanwhile: it reads and cannot write, and once the disk is released it can."""
    disk = SmallDisk(tmp_path / "disk")
    if not disk.mounted:
        pytest.skip("this user may not mount a tmpfs")
    try:
        killed = SqlStore(str(tmp_path / "service.db"))
        killed.create_agent("agent", settings_text(AgentSettings("failure_rate")), "", 1.0)
        for path in tmp_path.glob("service.db*"):  # with its log, as kill -9 leaves it
            shutil.copy(path, disk.folder)
        killed.close()
        place = str(disk.folder / "service.db")
        assert disk.protect()
        store = SqlStore(place)
        owner = AgentOwner(OwnerSettings(place, str(disk.folder / "states")), store)
        call = owner_call("agent", "recommend", RecommendationRequest.of(("a",)), episode_id="e", again=True)
        for _ in range(3):
            assert store.count_agents() == 1
            with pytest.raises(UnavailableError, match="readonly"):
                store.commit([AgentCommit(1, 0, 1, 0, 0, 1.0, "", "")])
            assert isinstance(owner.execute([call])[0], UnavailableError)
        disk.release()
        answers = [owner.execute([call])[0] for _ in range(3)]
        assert isinstance(answers[-1], OwnerAnswer)
        store.close()
    finally:
        disk.close()


def test_a_table_tells_what_was_injected_and_lost() -> None:
    from collections import Counter

    text = as_table({"service": (Counter({"full disk": 3}), 40, ["lost"])})
    assert "| service | full disk | 3 |" in text
    assert "3 faults; acknowledged and checked: service 40; lost or doubled: 1" in text
