"""States of an agent: restored, saved and read again, thinned out with age."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.scheduling.scheduler import Scheduler
from agents.scheduling.settings import AgentSettings
from orchestration.runtime.artifacts import ArtifactStore
from orchestration.service.api.agents import PatchAgent, RestoreRequest
from orchestration.service.errors import (
    NotFoundError,
)
from orchestration.service.owners.agent_owner import AgentOwner
from orchestration.service.owners.snapshots import Snapshots, kept_seqs
from orchestration.service.owners.state_recovery import StateRecovery, replay_log
from orchestration.service.store.sql import SqlStore
from tests.orchestration.service.owner_driver import IDS, Driver, equal_states


@pytest.mark.parametrize("version", [0, 1, 4, 5])
def test_a_restored_version_is_the_same_bits(
    driver: Driver, store: SqlStore, make_owner: Callable[..., AgentOwner], version: int
) -> None:
    states = {0: Scheduler(AgentSettings("bandit"))}
    for number in range(5):
        driver.cycle(f"e{number}", failing=IDS[number % 3])
        states[number + 1] = replay_log(store, "bandit")
    driver.open("late")
    driver.tell("late", a="failed")
    answer = driver.ask("restore", RestoreRequest(version), idempotency_key="key")
    assert (answer.agent_version, answer.restored) == (6, version)
    assert equal_states(driver.scheduler, states[version])
    assert driver.ask("restore", RestoreRequest(version), idempotency_key="key") == answer
    assert equal_states(replay_log(store, "bandit"), states[version])
    assert driver.reward("late").agent_version == 7
    assert equal_states(driver.scheduler, replay_log(store, "bandit"))
    woken = Driver(make_owner())
    assert woken.ask("restore", RestoreRequest(6)).agent_version == 8
    assert equal_states(woken.scheduler, states[version])


def test_versions_restored_from_restored_ones_are_read_once_each(
    driver: Driver, store: SqlStore, make_owner: Callable[..., AgentOwner], monkeypatch: pytest.MonkeyPatch
) -> None:
    applied = 0
    apply = StateRecovery._apply

    def counted(*arguments: Any) -> None:
        nonlocal applied
        applied += 1
        apply(*arguments)

    driver.cycle("e1")
    monkeypatch.setattr(StateRecovery, "_apply", counted)
    for version in range(1, 61):
        assert driver.ask("restore", RestoreRequest(version)).agent_version == version + 1
    assert applied <= 60 * 5, "each restored version once more than doubled what had to be read"
    applied = 0
    assert equal_states(driver.scheduler, replay_log(store, "bandit"))
    assert Driver(make_owner()).reward("e1").repeated
    assert applied <= 10


@pytest.mark.parametrize("seed", range(4))
def test_a_state_is_the_same_whatever_was_restored_in_between(
    store: SqlStore, make_owner: Callable[..., AgentOwner], seed: int
) -> None:
    """Rewards, late results, changed settings and restored versions in any order, with snapshots in between."""
    rng = random.Random(seed)
    driver = Driver(make_owner(snapshot_every=rng.choice([3, 1000])))
    states = {0: Scheduler(AgentSettings("bandit"))}
    open_episodes: list[str] = []
    for number in range(40):
        step = rng.choice(["cycle", "open", "late", "restore", "restore", "settings"])
        if step == "cycle":
            driver.cycle(f"e{number}", failing=rng.choice(IDS))
        elif step == "open":
            driver.open(f"e{number}")
            open_episodes.append(f"e{number}")
        elif step == "late" and open_episodes:
            driver.tell(open_episodes[-1], **{rng.choice(IDS): "failed"})
            if rng.random() < 0.5:
                driver.reward(open_episodes.pop())
        elif step == "restore":
            version = rng.choice(sorted(states))
            newest = driver.ask("restore", RestoreRequest(version)).agent_version
            assert equal_states(driver.scheduler, states[version])
            states[newest] = states[version]
        elif step == "settings":
            driver.ask("patch", PatchAgent(reward=rng.choice(["failure_count", "time_ranked", "apfdc"])))
        replayed = replay_log(store, "bandit")
        assert equal_states(driver.scheduler, replayed)
        assert driver.scheduler.settings == replayed.settings
        row = store.agent("bandit")
        assert row is not None
        states.setdefault(row.version, replayed)
        if rng.random() < 0.2:
            driver = Driver(make_owner(snapshot_every=rng.choice([3, 1000])))
            driver.ask("restore", RestoreRequest(row.version), idempotency_key="wakes it")
            row = store.agent("bandit")
            assert row is not None
            states.setdefault(row.version, replay_log(store, "bandit"))


def test_a_version_that_is_not_there_cannot_be_restored(driver: Driver) -> None:
    driver.cycle("e1")
    assert isinstance(driver.ask("restore", RestoreRequest(2)), NotFoundError)


def test_agents_beyond_the_memory_are_saved_and_come_back(
    make_owner: Callable[..., AgentOwner], store: SqlStore
) -> None:
    owner = make_owner(agents_in_memory=1)
    drivers = [Driver(owner, name) for name in ("bandit", "failure_rate")]
    for number in range(3):
        for driver in drivers:
            driver.cycle(f"e{number}")
            assert owner.awake == 1
    assert owner.wake_ups == 6
    for driver in drivers:
        assert driver.reward("e0").agent_version == 1
        assert driver.scheduler.version == 3
        assert equal_states(driver.scheduler, replay_log(store, driver.agent))


def test_a_damaged_snapshot_costs_nothing_but_time(
    make_owner: Callable[..., AgentOwner], store: SqlStore, tmp_path: Path
) -> None:
    first = Driver(make_owner(snapshot_every=2))
    for number in range(6):
        first.cycle(f"e{number}")
    first.owner.passivate()
    files = sorted((tmp_path / "states").rglob("*.npz"))
    assert len(files) >= 3
    for path in files[:-1]:
        path.write_bytes(path.read_bytes()[:-7])
    files[-1].unlink()
    second = Driver(make_owner())
    assert second.reward("e5").agent_version == 6
    assert equal_states(second.scheduler, replay_log(store, "bandit"))


def test_snapshots_are_thinned_out_with_age(make_owner: Callable[..., AgentOwner], store: SqlStore) -> None:
    driver = Driver(make_owner(snapshot_every=1, snapshots_kept=2))
    for number in range(20):
        driver.cycle(f"e{number}")
    rows = store.snapshots(1)
    assert rows[-1].version == 20
    assert 3 < len(rows) < 12
    snapshots = Snapshots(store, ArtifactStore(driver.owner.settings.artifact_url), 2)
    for row in rows:
        assert snapshots.newest(1, row.seq) is not None


def test_what_is_kept_now_is_not_thinned_out_differently_later() -> None:
    kept: list[int] = []
    for seq in range(0, 20_000, 7):
        kept.append(seq)
        stay = kept_seqs(kept, 8)
        assert set(kept[-8:]) <= stay
        kept = [seq for seq in kept if seq in stay]
    assert len(kept) < 8 * 14
    gaps = np.diff(kept)
    assert all(gap <= max(7, 20_000 - seq) for seq, gap in zip(kept, gaps, strict=False))
