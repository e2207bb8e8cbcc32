"""What SQLite grants by letting one writer in at a time holds on PostgreSQL too, where many write at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from envsearch.errors import ProctorError
from orchestration.runtime.artifacts import ArtifactStore
from orchestration.service.api.agents import CreateAgent
from orchestration.service.api.recommendations import RecommendationRequest, ResultsRequest
from orchestration.service.errors import NotOwnerError, UnavailableError
from orchestration.service.owners.snapshots import Snapshots
from orchestration.service.owners.state_recovery import replay_log
from orchestration.service.service import SchedulingService, ServiceSettings
from orchestration.service.store.rows import AgentCommit, AgentRow, EpisodeRow, EventRow
from orchestration.service.store.sql import SqlStore

WRITERS = 8


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    """An empty store."""
    sqlite = request.param == "sqlite"
    opened = SqlStore(str(tmp_path / "service.db") if sqlite else request.getfixturevalue("postgresql_url"))
    yield opened
    opened.close()


def _together(work: Sequence[Callable[[], Any]]) -> None:
    """Run each in a thread of its own; fail with what failed first."""
    failed: list[BaseException] = []
    start = threading.Barrier(len(work))

    def guarded(task: Callable[[], Any]) -> None:
        try:
            start.wait()
            task()
        except BaseException as error:  # noqa: BLE001 - raised below
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(task,)) for task in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def _event(row: AgentRow, seq: int, subject: str = "e0") -> EventRow:
    return EventRow(row.id, seq, "results", subject, 0, 1.0, b"payload")


def _commit(row: AgentRow, seq: int, **rows: Any) -> AgentCommit:
    return AgentCommit(row.id, row.owner_epoch, seq, 0, row.episodes, 1.0, "{}", "", **rows)


def _episode(row: AgentRow, number: int) -> EpisodeRow:
    return EpisodeRow(row.id, f"e{number}", number, "", 0, 1.0, 1, 1, 0.0, "", "", "", b"")


def test_of_eight_that_make_an_agent_one_does(store: SqlStore) -> None:
    made: list[bool] = []
    _together([lambda: made.append(store.create_agent("agent", "{}", "", 1.0)[1])] * WRITERS)
    assert sorted(made) == [False] * (WRITERS - 1) + [True]


def test_eight_owners_write_side_by_side(store: SqlStore) -> None:
    def work(name: str) -> None:
        store.create_agent(name, "{}", "", 1.0)
        row = store.take_over(name)
        assert row is not None
        for seq in range(2, 52):
            store.commit([_commit(row, seq, new_events=[_event(row, seq)])])

    _together([lambda name=name: work(name) for name in "abcdefgh"])  # type: ignore[misc]
    for row in store.agents("", 10):
        assert row.last_seq == 51
        assert [event.seq for event in store.events(row.id, 0)] == list(range(1, 52))


def test_eight_who_fight_for_one_agent_leave_an_unbroken_log(store: SqlStore) -> None:
    store.create_agent("agent", "{}", "", 1.0)
    wrote: list[int] = []

    def work() -> None:
        for _ in range(15):
            row = store.take_over("agent")
            assert row is not None
            try:
                store.commit([_commit(row, row.last_seq + 1, new_events=[_event(row, row.last_seq + 1)])])
            except NotOwnerError:
                continue
            wrote.append(row.last_seq + 1)

    _together([work] * WRITERS)
    row = store.agent("agent")
    assert row is not None
    assert row.owner_epoch == 15 * WRITERS
    assert sorted(wrote) == list(range(2, row.last_seq + 1))
    assert [event.seq for event in store.events(row.id, 0)] == list(range(1, row.last_seq + 1))


def test_groups_with_agents_in_common_never_wait_for_each_other_in_a_circle(store: SqlStore) -> None:
    for name in "abcd":
        store.create_agent(name, "{}", "", 1.0)
    rows = [row for name in "abcd" if (row := store.take_over(name))]

    def work(order: int) -> None:
        for _ in range(25):
            store.commit([_commit(row, 1) for row in rows[::order]])

    _together([lambda order=order: work(order) for order in (1, -1) * 4])  # type: ignore[misc]


def test_of_eight_that_claim_an_owner_one_wins(store: SqlStore) -> None:
    won: list[str] = []
    _together([lambda n=n: won.append(store.claim_owner("owner", None, f"actor {n}")) for n in range(WRITERS)])  # type: ignore[misc]
    assert len(set(won)) == 1
    assert store.owner("owner") == won[0]


def test_no_event_is_lost_that_comes_in_while_its_episode_is_dropped(postgresql_url: str) -> None:
    """A commit has begun when the archivist counts the episode's events: it must wait, and then see one more."""
    store = SqlStore(postgresql_url)
    store.create_agent("agent", "{}", "", 1.0)
    row = store.take_over("agent")
    assert row is not None
    store.commit([_commit(row, 2, new_episodes=[_episode(row, 0)], new_events=[_event(row, 2)])])
    dropped: list[bool] = []
    other = sa.create_engine(postgresql_url.replace("postgresql:", "postgresql+psycopg:"))
    with other.begin() as connection:
        connection.execute(sa.text("UPDATE agents SET last_seq = 3"))
        archivist = threading.Thread(target=lambda: dropped.append(store.drop_episodes(row.id, 0, 1, 2, 1, 0)))
        archivist.start()
        while not connection.execute(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar():
            assert archivist.is_alive(), "it did not wait"
            time.sleep(0.01)
        insert = "INSERT INTO events VALUES (:agent, 3, 'results', 'e0', 0, 1.0, '')"
        connection.execute(sa.text(insert), {"agent": row.id})
    archivist.join()
    other.dispose()
    assert dropped == [False]
    assert store.episode(row.id, "e0") is not None
    assert [event.seq for event in store.events(row.id, 0)] == [1, 2, 3]
    store.close()


def test_what_a_crashed_server_acknowledged_is_there_when_it_is_back(own_postgresql: Any) -> None:
    """The server dies at once in mid-load, several times; the same store object goes on with the next one."""
    store = SqlStore(own_postgresql.url())
    for name in "abcd":
        store.create_agent(name, "{}", "", 1.0)
    acknowledged: dict[str, int] = dict.fromkeys("abcd", 1)
    errors: list[str] = []
    enough = threading.Event()

    def work(name: str) -> None:
        while not enough.is_set():
            try:
                row = store.take_over(name)
                assert row is not None
                seq = row.last_seq
                while not enough.is_set():
                    seq += 1
                    store.commit([_commit(row, seq, new_events=[_event(row, seq)])])
                    acknowledged[name] = seq
            except UnavailableError as error:
                errors.append(str(error))
                time.sleep(0.05)

    def crash() -> None:
        try:
            for _ in range(3):
                before = dict(acknowledged)
                end = time.monotonic() + 60
                while any(acknowledged[name] < before[name] + 20 for name in before):
                    assert time.monotonic() < end, errors[-3:]
                    time.sleep(0.01)
                own_postgresql.crash()
                own_postgresql.start()
        finally:
            enough.set()

    _together([crash, *(lambda name=name: work(name) for name in "abcd")])
    assert errors
    for row in store.agents("", 10):
        seqs = [event.seq for event in store.events(row.id, 0, limit=1_000_000)]
        assert seqs == list(range(1, row.last_seq + 1))
        assert row.last_seq >= acknowledged[row.name]
    store.close()


def test_eight_threads_reward_one_agent_once_each(server_settings: ServiceSettings) -> None:
    """Through the whole service, its states on S3; every second reward is asked for twice."""

    async def test() -> None:
        service = SchedulingService(replace(server_settings, inline=True))
        await service.create_agent(CreateAgent("agent", "bandit"))

        async def work(number: int) -> list[Any]:
            answers = []
            for turn in range(15):
                episode = (await service.recommend("agent", RecommendationRequest.of(("a", "b")))).episode_id
                results = ResultsRequest.of("ab", ("failed" if turn % 2 else "passed", "passed"))
                await service.results("agent", episode, results)
                answers.append(await service.reward("agent", episode))
                if number % 2:
                    again = await service.reward("agent", episode)
                    assert again == msgspec.structs.replace(answers[-1], repeated=True)
            return answers

        answers = await asyncio.gather(*(work(number) for number in range(WRITERS)))
        assert sorted(answer.agent_version for own in answers for answer in own) == list(range(1, 15 * WRITERS + 1))
        await service.passivate("agent")
        store = SqlStore(server_settings.store_url)
        row = store.agent("agent")
        assert row is not None
        saved = Snapshots(store, ArtifactStore(server_settings.artifact_url), 8).newest(row.id)
        assert saved is not None
        replayed = replay_log(store, "agent").state()
        assert {name: np.asarray(value).tobytes() for name, value in saved[1].items()} == {
            name: np.asarray(value).tobytes() for name, value in replayed.items()
        }
        store.close()
        await service.close()

    asyncio.run(test())


def test_a_server_that_does_not_answer_is_told_in_one_line() -> None:
    with pytest.raises(ProctorError) as caught:
        SqlStore("postgresql://nobody@127.0.0.1:9/none")
    assert "\n" not in str(caught.value)
