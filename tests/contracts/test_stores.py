"""Every store of the table keeps the same promises."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from orchestration.service.errors import ConflictError, NotOwnerError
from orchestration.service.store.connecting import connect
from orchestration.service.store.registry import STORES, state_store
from orchestration.service.store.roles import StateStore
from orchestration.service.store.rows import (
    AgentCommit,
    AgentRow,
    AuditQuery,
    AuditRow,
    EpisodeRow,
    EventRow,
    RewardRow,
    SnapshotRow,
    TokenRow,
)


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    """An empty store of every kind; PostgreSQL's is an empty database of a real server."""
    urls: dict[str, Callable[[], str]] = {
        "sqlite": lambda: f"sqlite:///{tmp_path / 'service.db'}",
        "postgresql": lambda: request.getfixturevalue("postgresql_url"),
    }
    opened = state_store(urls[request.param]())
    yield opened
    opened.close()


@pytest.fixture
def owned(store: StateStore) -> AgentRow:
    """An agent that was just taken over."""
    store.create_agent("nightly", "{}", "", 1.0)
    row = store.take_over("nightly")
    assert row is not None
    return row


def _episode(row: AgentRow, number: int) -> EpisodeRow:
    return EpisodeRow(row.id, f"e{number}", number, "job", 0, 5.0, 2, 1, 0.25, "", "", "", b"\x00\xff" * 10)


def _event(row: AgentRow, seq: int, kind: str = "results", version: int = 0, subject: str = "e0") -> EventRow:
    return EventRow(row.id, seq, kind, subject, version, 6.0, b"payload")


def _reward(row: AgentRow, seq: int, number: int, version: int) -> RewardRow:
    return RewardRow(row.id, f"e{number}", seq, number, version, 2, 0.25, 1.5, '{"apfd": 0.1}', 7.0, b"rewards")


def _commit(row: AgentRow, **changes: object) -> AgentCommit:
    plain = AgentCommit(row.id, row.owner_epoch, row.last_seq, row.version, row.episodes, 9.0, "{}", "")
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_an_agent_is_made_once(store: StateStore) -> None:
    first, created = store.create_agent("nightly", '{"a":1}', "text", 1.0)
    again, made_again = store.create_agent("nightly", '{"a":2}', "other", 2.0)
    assert (created, made_again) == (True, False)
    assert again == first
    assert store.agent("nightly") == first
    assert store.agent("nobody") is None
    (event,) = store.events(first.id, 0)
    assert (event.seq, event.kind, event.payload) == (1, "settings", b'{"a":1}')


def test_agents_are_listed_by_name_in_pages(store: StateStore) -> None:
    for name in ("b", "a_1", "aX1", "c"):
        store.create_agent(name, "{}", "", 1.0)
    assert [row.name for row in store.agents("", 2)] == sorted(["b", "a_1", "aX1", "c"])[:2]
    assert [row.name for row in store.agents("b", 10)] == ["c"]
    assert [row.name for row in store.agents("", 10, prefix="a_")] == ["a_1"]
    assert store.count_agents() == 4


PREFIXES = ("team-", "TEAM-", "team_", "t%", "team", "_", "%", "team-a", "a")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_is_compared_exactly(store: StateStore, prefix: str) -> None:
    """Neither the case of letters nor a wildcard of SQL lets an agent of another tenant in."""
    names = [
        "team-a",
        "TEAM-a",
        "Team-a",
        "team_a",
        "teamXa",
        "team",
        "tea",
        "t%a",
        "txa",
        "a",
        "_a",
        "%a",
        "team-\x7e",
    ]
    for name in names:
        store.create_agent(name, "{}", "", 1.0)
    own = sorted(name for name in names if name.startswith(prefix))
    assert [row.name for row in store.agents("", 100, prefix)] == own
    assert store.agents_of(prefix) == len(own)
    assert [row.name for row in store.agents(own[0], 100, prefix)] == own[1:]


def test_a_listing_of_bounded_bytes_ends_with_the_row_that_exceeds_them(store: StateStore) -> None:
    for name in "abcd":
        store.create_agent(name, "x" * 1000, "", 1.0)
    assert [row.name for row in store.agents("", 10, most_bytes=2500)] == ["a", "b", "c"]
    assert [row.name for row in store.agents("c", 10, most_bytes=1)] == ["d"]
    assert len(store.agents("", 3, most_bytes=100_000)) == 3


def test_what_a_tenant_occupies(store: StateStore, owned: AgentRow) -> None:
    store.create_agent("NIGHTLY", "{}", "", 1.0)
    other = store.take_over("NIGHTLY")
    assert other is not None
    empty = store.stored_bytes_of("night")
    rows = {"new_episodes": [_episode(owned, 0), _episode(owned, 1)], "new_rewards": [_reward(owned, 2, 0, 1)]}
    store.commit([_commit(owned, new_events=[_event(owned, 2)], **rows)])
    store.commit([_commit(other, new_episodes=[_episode(other, 0)])])
    store.add_snapshot(SnapshotRow(owned.id, 2, 0, 1.0, "{}", "ab" * 32, 300), owned.owner_epoch)
    assert (store.agents_of("night"), store.open_episodes_of("night")) == (1, 1)
    payloads = 2 * len(_episode(owned, 0).payload) + len(b"payload") + len(b"rewards")
    assert store.stored_bytes_of("night") - empty == payloads + 300
    assert store.open_episodes_of("") == 2
    assert (store.agents_of("x"), store.open_episodes_of("x"), store.stored_bytes_of("x")) == (0, 0, 0)


def test_a_commit_is_read_back(store: StateStore, owned: AgentRow) -> None:
    store.commit(
        [
            _commit(
                owned,
                last_seq=3,
                version=1,
                episodes=1,
                new_episodes=[_episode(owned, 0)],
                new_events=[_event(owned, 2), _event(owned, 3, "reward", 1)],
                new_rewards=[_reward(owned, 3, 0, 1)],
            )
        ]
    )
    row = store.agent("nightly")
    assert row == replace(owned, last_seq=3, version=1, episodes=1, updated_at=9.0)
    assert store.episode(owned.id, "e0") == _episode(owned, 0)
    assert store.events(owned.id, 1) == [_event(owned, 2), _event(owned, 3, "reward", 1)]
    assert store.events(owned.id, 1, 2) == [_event(owned, 2)]
    assert store.events_of(owned.id, "e0") == store.events(owned.id, 1)
    assert store.reward(owned.id, "e0") == _reward(owned, 3, 0, 1)
    assert store.version_event(owned.id, 1) == _event(owned, 3, "reward", 1)
    listed = [(replace(_episode(owned, 0), payload=b""), replace(_reward(owned, 3, 0, 1), payload=b""))]
    assert store.episodes(owned.id, None, 10) == listed
    assert store.rewards(owned.id, 0, 10) == [listed[0][1]]
    assert store.episodes_between(owned.id, 0, 1) == [(_episode(owned, 0), _reward(owned, 3, 0, 1))]


def test_a_replaced_owner_writes_nothing(store: StateStore, owned: AgentRow) -> None:
    newer = store.take_over("nightly")
    assert newer is not None
    assert newer.owner_epoch == owned.owner_epoch + 1
    with pytest.raises(NotOwnerError):
        store.commit([_commit(owned, last_seq=2, new_events=[_event(owned, 2)])])
    with pytest.raises(NotOwnerError):
        store.add_snapshot(SnapshotRow(owned.id, 2, 0, 1.0, "{}", "ab" * 32, 3), owned.owner_epoch)
    assert store.agent("nightly") == newer
    assert store.events(owned.id, 1) == []
    assert store.snapshots(owned.id) == []


def test_a_group_is_whole_or_not_at_all(store: StateStore, owned: AgentRow) -> None:
    store.create_agent("other", "{}", "", 1.0)
    other = store.take_over("other")
    assert other is not None
    store.take_over("nightly")
    fine = _commit(other, last_seq=2, new_events=[_event(other, 2)])
    with pytest.raises(NotOwnerError):
        store.commit([fine, _commit(owned, last_seq=2)])
    assert store.events(other.id, 1) == []
    assert store.agent("other") == other


@pytest.mark.parametrize("kind", ["episode", "event", "reward"])
def test_a_row_that_is_there_already_undoes_the_commit(store: StateStore, owned: AgentRow, kind: str) -> None:
    rows: dict[str, dict[str, list[object]]] = {
        "episode": {"new_episodes": [_episode(owned, 0)]},
        "event": {"new_events": [_event(owned, 2)]},
        "reward": {"new_rewards": [_reward(owned, 3, 0, 1)]},
    }
    store.commit([_commit(owned, **rows[kind])])
    before = store.agent("nightly")
    with pytest.raises(ConflictError):
        store.commit([_commit(owned, last_seq=77, **rows[kind])])
    assert store.agent("nightly") == before


def test_a_deleted_agent_leaves_nothing_and_its_number_is_not_used_again(store: StateStore, owned: AgentRow) -> None:
    store.commit([_commit(owned, new_episodes=[_episode(owned, 0)], new_events=[_event(owned, 2)])])
    store.add_snapshot(SnapshotRow(owned.id, 2, 0, 1.0, "{}", "ab" * 32, 3), owned.owner_epoch)
    assert store.delete_agent("nightly") is not None
    assert store.delete_agent("nightly") is None
    assert store.events(owned.id, 0) == []
    assert store.episode(owned.id, "e0") is None
    assert store.snapshots(owned.id) == []
    again, created = store.create_agent("nightly", "{}", "", 1.0)
    assert created
    assert again.id != owned.id
    with pytest.raises(NotOwnerError):
        store.commit([_commit(owned, last_seq=2)])
    assert store.take_over("nobody") is None


def test_episodes_and_versions_come_newest_first_in_pages(store: StateStore, owned: AgentRow) -> None:
    events = [_event(owned, number + 2, "reward", number + 1, f"e{number}") for number in range(5)]
    rewards = [_reward(owned, number + 2, number, number + 1) for number in range(5)]
    episodes = [_episode(owned, number) for number in range(5)]
    store.commit([_commit(owned, new_episodes=episodes, new_events=events, new_rewards=rewards)])
    assert [row.number for row, _ in store.episodes(owned.id, None, 2)] == [4, 3]
    assert [row.number for row, _ in store.episodes(owned.id, 3, 10)] == [2, 1, 0]
    assert [event.version for event in store.versions(owned.id, None, 2)] == [5, 4]
    assert [event.version for event in store.versions(owned.id, 2, 10)] == [1]
    assert [row.seq for row in store.rewards(owned.id, 4, 1)] == [5]


def test_snapshots_are_replaced_listed_and_removed(store: StateStore, owned: AgentRow) -> None:
    rows = [SnapshotRow(owned.id, seq, seq, 1.0, "{}", "ab" * 32, 3) for seq in (5, 2, 9)]
    for row in rows:
        store.add_snapshot(row, owned.owner_epoch)
    store.add_snapshot(replace(rows[0], size=4), owned.owner_epoch)
    assert [(row.seq, row.size) for row in store.snapshots(owned.id)] == [(2, 3), (5, 4), (9, 3)]
    store.delete_snapshots(owned.id, [2, 9])
    assert [row.seq for row in store.snapshots(owned.id)] == [5]


def test_restored_versions_are_told_by_their_events(store: StateStore, owned: AgentRow) -> None:
    kinds = ("restored", "reward", "restored", "restored")
    events = [_event(owned, place + 2, kind, place + 1, f"s{place}") for place, kind in enumerate(kinds)]
    store.commit([_commit(owned, new_events=events)])
    assert [event.seq for event in store.restored(owned.id, 0)] == [2, 4, 5]
    assert [event.seq for event in store.restored(owned.id, 2)] == [4, 5]
    assert not store.drop_episodes(owned.id, 0, 2, 3, 0, 1)
    assert store.drop_episodes(owned.id, 0, 2, 3, 0, 2)


def test_archived_episodes_are_dropped_unless_something_came_in(store: StateStore, owned: AgentRow) -> None:
    events = [_event(owned, 2, subject="e0"), _event(owned, 3, subject="e1"), _event(owned, 4, subject="e2")]
    store.commit([_commit(owned, new_episodes=[_episode(owned, number) for number in range(3)], new_events=events)])
    store.set_archived_seq(owned.id, 4)
    store.set_archived_seq(owned.id, 2)
    assert not store.drop_episodes(owned.id, 0, 2, 3, 1, 0)
    assert not store.drop_episodes(owned.id, 0, 2, 3, 2, 1)
    assert len(store.events(owned.id, 0)) == 4
    assert store.drop_episodes(owned.id, 0, 2, 3, 2, 0)
    assert [event.seq for event in store.events(owned.id, 0)] == [1, 4]
    assert [row.number for row, _ in store.episodes(owned.id, None, 9)] == [2]
    row = store.agent("nightly")
    assert row is not None
    assert (row.archived_seq, row.archived_number, row.base_seq) == (4, 2, 3)


def test_of_several_who_claim_to_own_one_wins(store: StateStore) -> None:
    store.release_owner("o", store.owner("o") or "")
    assert store.owner("o") is None
    assert store.claim_owner("o", None, "first") == "first"
    assert store.claim_owner("o", None, "second") == "first"
    assert store.claim_owner("o", "first", "third") == "third"
    assert store.claim_owner("o", "first", "fourth") == "third"
    store.release_owner("o", "first")
    assert store.owners()["o"] == store.owner("o") == "third"
    store.release_owner("o", "third")
    assert store.claim_owner("o", "third", "fifth") == "fifth"


def test_tokens(store: StateStore) -> None:
    for index in range(2):
        if store.token(f"t{index}") is None:
            store.add_token(TokenRow(f"t{index}", "ab" * 32, "read", "", "note", float(index)))
    assert [row.id for row in store.tokens()][:2] == ["t0", "t1"]
    revoked = store.revoke_token("t1", 9.0)
    assert revoked is not None
    assert revoked.revoked_at == 9.0
    assert store.revoke_token("t1", 10.0) == revoked
    assert store.revoke_token("nobody", 1.0) is None


def _token(token_id: str, **changes: Any) -> TokenRow:
    return replace(TokenRow(token_id, "ab" * 32, "read", "", "note", 1.0), **changes)


def test_a_revoked_token_stays_revoked_and_is_not_replaced(store: StateStore) -> None:
    store.add_token(_token("old", most_agents=3, most_requests_per_second=0.5))
    row = store.revoke_token("old", 100.0)
    assert row == _token("old", most_agents=3, most_requests_per_second=0.5, revoked=True, revoked_at=100.0)
    assert not store.replace_token("old", 200.0, _token("new"))
    assert store.token("new") is None
    assert store.token("old") == row


def test_of_several_replacements_of_a_token_one_is_made(store: StateStore) -> None:
    store.add_token(_token("first"))
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda n: store.replace_token("first", 10.0, _token(f"n{n}")), range(8)))
    assert sum(made) == 1
    assert len([row for row in store.tokens() if row.id.startswith("n")]) == 1
    first = store.token("first")
    assert first is not None
    assert (first.revoked, first.revoked_at) == (False, 10.0)
    revoked = store.revoke_token("first", 90.0)
    assert revoked is not None
    assert (revoked.revoked, revoked.revoked_at) == (True, 10.0)


def _entry(at: float, subject: str = "nightly", token_id: str = "t1") -> AuditRow:
    return AuditRow(at, token_id, "delete_agent", subject, "192.0.2.1", "ok")


def test_the_audit_log_is_read_in_its_order(store: StateStore) -> None:
    entries = [_entry(1.0), _entry(2.0, "other"), _entry(3.0, token_id="t2"), _entry(4.0)]
    for entry in entries:
        store.add_audit(entry)
    rows = store.audit(AuditQuery())
    assert [replace(row, id=0) for row in rows] == entries
    assert [row.id for row in rows] == sorted({row.id for row in rows})
    assert store.audit(AuditQuery(limit=2, newest=True)) == rows[2:]
    assert store.audit(AuditQuery(after=rows[1].id)) == rows[2:]
    assert store.audit(AuditQuery(subject="other")) == [rows[1]]
    assert store.audit(AuditQuery(token_id="t2")) == [rows[2]]
    assert store.audit(AuditQuery(since=3.0)) == rows[2:]


@pytest.mark.parametrize("statement", ["UPDATE audit SET outcome = 'ok'", "DELETE FROM audit"])
def test_the_database_refuses_to_change_the_audit_log(store: StateStore, statement: str) -> None:
    store.add_audit(_entry(1.0))
    engine = connect(store.url)
    with pytest.raises(DBAPIError, match="never changed"), engine.execution_options(write=True).begin() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()
    assert len(store.audit(AuditQuery())) == 1


def test_a_store_survives_pickling(store: StateStore, owned: AgentRow) -> None:
    make: Callable[[bytes], StateStore] = pickle.loads
    other = make(pickle.dumps(store))
    assert other.url == store.url
    assert other.agent("nightly") == owned
    other.close()
