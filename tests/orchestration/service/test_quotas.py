"""Quotas: what a tenant occupies is measured now and then, and what passes in between is added."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from orchestration.service.errors import QuotaError
from orchestration.service.quotas import FULL_SHARE, MEASURES, Occupied, QuotaKeeper, Quotas

AGENTS: tuple[Occupied, ...] = ("agents",)
EPISODES: tuple[Occupied, ...] = ("open_episodes",)
BYTES: tuple[Occupied, ...] = ("stored_bytes",)


@dataclass
class Table:
    """What a store says."""

    agents: int = 0
    episodes: int = 0
    size: int = 0
    asked: list[str] = field(default_factory=list)

    def agents_of(self, prefix: str) -> int:
        self.asked.append(prefix)
        return self.agents

    def open_episodes_of(self, prefix: str) -> int:
        self.asked.append(prefix)
        return self.episodes

    def stored_bytes_of(self, prefix: str) -> int:
        self.asked.append(prefix)
        return self.size


class Clock:
    """A clock that is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_without_quotas_nothing_is_measured() -> None:
    table = Table()
    QuotaKeeper(table).take("team-", Quotas(), (*AGENTS, *EPISODES, *BYTES), 10)
    assert table.asked == []


def test_what_passes_between_measurements_counts() -> None:
    table, clock = Table(episodes=1), Clock()
    keeper = QuotaKeeper(table, clock)
    for _ in range(2):
        keeper.take("team-", Quotas(open_episodes=3), EPISODES, 0)
    with pytest.raises(QuotaError, match="quota is 3 episodes without a reward"):
        keeper.take("team-", Quotas(open_episodes=3), EPISODES, 0)
    assert table.asked == ["team-"]
    keeper.take("other-", Quotas(open_episodes=3), EPISODES, 0)


def test_what_was_given_back_counts_soon() -> None:
    table, clock = Table(agents=2), Clock()
    keeper = QuotaKeeper(table, clock)
    with pytest.raises(QuotaError):
        keeper.take("", Quotas(agents=2), AGENTS, 0)
    table.agents, clock.now = 1, clock.now + FULL_SHARE * MEASURES["agents"].seconds
    keeper.take("", Quotas(agents=2), AGENTS, 0)


def test_a_measurement_ages() -> None:
    table, clock = Table(size=10), Clock()
    keeper, quotas = QuotaKeeper(table, clock), Quotas(stored_bytes=1000)
    keeper.take("a", quotas, BYTES, 900)
    clock.now += MEASURES["stored_bytes"].seconds
    table.size = 2000
    with pytest.raises(QuotaError, match="1000 stored bytes"):
        keeper.take("a", quotas, BYTES, 1)


def test_a_refused_call_counts_nowhere() -> None:
    table = Table(size=10)
    keeper, quotas = QuotaKeeper(table), Quotas(open_episodes=1, stored_bytes=5)
    for _ in range(3):
        with pytest.raises(QuotaError, match="stored bytes"):
            keeper.take("a", quotas, (*EPISODES, *BYTES), 1)


def test_what_is_remembered_is_bounded() -> None:
    keeper = QuotaKeeper(Table())
    for number in range(1500):
        keeper.take(f"team{number}-", Quotas(agents=1), AGENTS, 0)
    assert len(keeper._measured) <= 1000


def test_while_one_call_measures_others_use_what_was_measured_before() -> None:
    table, clock = Table(size=10), Clock()
    keeper, quotas = QuotaKeeper(table, clock), Quotas(stored_bytes=1000)
    keeper.take("a", quotas, BYTES, 1)
    clock.now += MEASURES["stored_bytes"].seconds
    asked = list(table.asked)

    def slow(prefix: str) -> int:
        table.asked.append(prefix)
        keeper.take("a", quotas, BYTES, 1)  # another call meanwhile
        return 20

    table.stored_bytes_of = slow  # type: ignore[method-assign]
    keeper.take("a", quotas, BYTES, 1)
    assert table.asked == [*asked, "a"]
