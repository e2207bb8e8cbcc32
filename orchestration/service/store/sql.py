"""The scheduling service's state in SQLite or PostgreSQL, through one SQL for both."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import sqlalchemy as sa

from orchestration.service.errors import ConflictError, NotOwnerError, UnavailableError
from orchestration.service.store.base import (
    AgentCommit,
    AgentRow,
    EpisodeRow,
    EventKind,
    EventRow,
    RewardRow,
    SnapshotRow,
    TokenRow,
)
from orchestration.service.store.connecting import absolute_url, connect, stale, told_errors
from orchestration.service.store.migrating import prepare
from orchestration.service.store.schema import agents, episodes, events, owners, rewards, snapshots, tokens
from orchestration.service.store.sqlite_commits import SqliteCommits

Row = TypeVar("Row")
_COUNTERS = ("last_seq", "version", "episodes", "updated_at", "settings", "description")
_PARAMETERS = 500
"""Values per IN list; SQLite takes at most 999 of all parameters in old versions."""


class SqlStore:
    """See `StateStore`. Thread-safe; a process that forks must make its own.

    Args:
        url: a file, ``sqlite:///FILE`` or ``postgresql://...``. Tables that are not there are made.

    Raises:
        InputError: the URL is of no known kind, or the database was made by a newer version.
        UnavailableError: the database cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self.url = absolute_url(url)
        self._engine = connect(self.url)
        self._direct: SqliteCommits | None = None
        self._writer = self._engine.execution_options(write=True)
        self._unflushed = self._engine.execution_options(write=True, flush=False)
        if self.url.startswith("sqlite"):
            sa.event.listen(self._engine, "handle_error", self._after_error)
        with told_errors():
            prepare(self._engine)
        file = self._engine.url.database
        if file is not None and self.url.startswith("sqlite"):
            self._direct = SqliteCommits(file, self._engine.dispose)

    def __reduce__(self) -> tuple[type[SqlStore], tuple[str]]:
        return (SqlStore, (self.url,))

    def close(self) -> None:
        """Let go of all connections."""
        if self._direct is not None:
            self._direct.close()
        self._engine.dispose()

    # -- agents -----------------------------------------------------------------------------------------------------

    def create_agent(self, name: str, settings: str, description: str, at: float) -> tuple[AgentRow, bool]:
        """See `StateStore.create_agent`."""
        row = AgentRow(0, name, settings, description, at, at, last_seq=1)
        values = dataclasses.asdict(row)
        del values["id"]
        try:
            with self._writing() as connection:
                key = connection.execute(sa.insert(agents).values(values)).inserted_primary_key
                assert key is not None
                born = EventRow(key[0], 1, EventKind.SETTINGS, "", 0, at, settings.encode())
                connection.execute(sa.insert(events).values(dataclasses.asdict(born)))
        except ConflictError:
            found = self.agent(name)
            if found is None:
                raise UnavailableError(f"agent {name!r} is being deleted") from None
            return found, False
        return dataclasses.replace(row, id=key[0]), True

    def agent(self, name: str) -> AgentRow | None:
        """See `StateStore.agent`."""
        return self._first(AgentRow, sa.select(agents).where(agents.c.name == name))

    def agents(self, after: str, limit: int, prefix: str = "") -> list[AgentRow]:
        """See `StateStore.agents`."""
        wanted = sa.select(agents).where(agents.c.name > after).order_by(agents.c.name).limit(limit)
        if prefix:
            wanted = wanted.where(agents.c.name.startswith(prefix, autoescape=True))
        return self._all(AgentRow, wanted)

    def count_agents(self) -> int:
        """See `StateStore.count_agents`."""
        with told_errors(), self._engine.connect() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(agents)).scalar_one())

    def delete_agent(self, name: str) -> AgentRow | None:
        """See `StateStore.delete_agent`."""
        with self._writing() as connection:
            mine = sa.select(agents).where(agents.c.name == name).with_for_update()
            found = connection.execute(mine).mappings().first()
            if found is None:
                return None
            for table in (snapshots, rewards, events, episodes):
                connection.execute(sa.delete(table).where(table.c.agent_id == found["id"]))
            connection.execute(sa.delete(agents).where(agents.c.id == found["id"]))
            return AgentRow(**found)

    def take_over(self, name: str) -> AgentRow | None:
        """See `StateStore.take_over`."""
        with self._writing() as connection:
            raised = sa.update(agents).where(agents.c.name == name).values(owner_epoch=agents.c.owner_epoch + 1)
            connection.execute(raised)
            found = connection.execute(sa.select(agents).where(agents.c.name == name)).mappings().first()
            return None if found is None else AgentRow(**found)

    # -- the log ----------------------------------------------------------------------------------------------------

    def commit(self, commits: Sequence[AgentCommit]) -> None:
        """See `StateStore.commit`."""
        # An episode is on the disk at the latest with its first result; until then only a failing machine loses it.
        flush = any(one.new_events or one.new_rewards or not one.new_episodes for one in commits)
        if self._direct is not None:
            self._direct.commit(commits, flush)
            return
        # In one order everywhere: two groups with agents in common wait for each other, and never both.
        advanced = sorted((_counters(one) for one in commits), key=lambda one: int(one["of_id"]))
        with self._writing(flush) as connection:
            if any(connection.execute(_ADVANCE, one).rowcount != 1 for one in advanced):
                raise NotOwnerError("an agent has a newer owner, or is deleted")
            _insert_all(connection, episodes, [row for one in commits for row in one.new_episodes])
            _insert_all(connection, events, [row for one in commits for row in one.new_events])
            _insert_all(connection, rewards, [row for one in commits for row in one.new_rewards])

    def events(self, agent_id: int, after: int, until: int | None = None, limit: int = 1000) -> list[EventRow]:
        """See `StateStore.events`."""
        wanted = sa.select(events).where(events.c.agent_id == agent_id, events.c.seq > after)
        if until is not None:
            wanted = wanted.where(events.c.seq <= until)
        return self._all(EventRow, wanted.order_by(events.c.seq).limit(limit))

    def events_of(self, agent_id: int, subject: str) -> list[EventRow]:
        """See `StateStore.events_of`."""
        mine = (events.c.agent_id == agent_id) & (events.c.subject == subject)
        return self._all(EventRow, sa.select(events).where(mine).order_by(events.c.seq))

    def version_event(self, agent_id: int, version: int) -> EventRow | None:
        """See `StateStore.version_event`."""
        return self._first(EventRow, _version_events(agent_id).where(events.c.version == version))

    def restored(self, agent_id: int, after: int) -> list[EventRow]:
        """See `StateStore.restored`."""
        return self._all(EventRow, sa.select(events).where(_restored_after(agent_id, after)).order_by(events.c.seq))

    def versions(self, agent_id: int, below: int | None, limit: int) -> list[EventRow]:
        """See `StateStore.versions`."""
        wanted = _version_events(agent_id).order_by(events.c.version.desc()).limit(limit)
        if below is not None:
            wanted = wanted.where(events.c.version < below)
        return self._all(EventRow, wanted)

    # -- episodes and rewards ---------------------------------------------------------------------------------------

    def episode(self, agent_id: int, episode_id: str) -> EpisodeRow | None:
        """See `StateStore.episode`."""
        mine = (episodes.c.agent_id == agent_id) & (episodes.c.id == episode_id)
        return self._first(EpisodeRow, sa.select(episodes).where(mine))

    def episodes(self, agent_id: int, below: int | None, limit: int) -> list[tuple[EpisodeRow, RewardRow | None]]:
        """See `StateStore.episodes`."""
        wanted = sa.select(*_without_payload(episodes)).where(episodes.c.agent_id == agent_id)
        if below is not None:
            wanted = wanted.where(episodes.c.number < below)
        rows = self._all(EpisodeRow, wanted.order_by(episodes.c.number.desc()).limit(limit))
        return self._with_rewards(rows, agent_id, payload=False)

    def episodes_between(self, agent_id: int, first: int, below: int) -> list[tuple[EpisodeRow, RewardRow | None]]:
        """See `StateStore.episodes_between`."""
        wanted = sa.select(episodes).where(_numbered(agent_id, first, below)).order_by(episodes.c.number)
        return self._with_rewards(self._all(EpisodeRow, wanted), agent_id, payload=True)

    def reward(self, agent_id: int, episode_id: str) -> RewardRow | None:
        """See `StateStore.reward`."""
        mine = (rewards.c.agent_id == agent_id) & (rewards.c.episode_id == episode_id)
        return self._first(RewardRow, sa.select(rewards).where(mine))

    def rewards(self, agent_id: int, after: int, limit: int) -> list[RewardRow]:
        """See `StateStore.rewards`."""
        wanted = sa.select(*_without_payload(rewards)).where(rewards.c.agent_id == agent_id, rewards.c.seq > after)
        return self._all(RewardRow, wanted.order_by(rewards.c.seq).limit(limit))

    def _with_rewards(
        self, rows: Sequence[EpisodeRow], agent_id: int, payload: bool
    ) -> list[tuple[EpisodeRow, RewardRow | None]]:
        found: dict[str, RewardRow] = {}
        columns = rewards.c if payload else _without_payload(rewards)
        for start in range(0, len(rows), _PARAMETERS):
            ids = [row.id for row in rows[start : start + _PARAMETERS]]
            wanted = sa.select(*columns).where(rewards.c.agent_id == agent_id, rewards.c.episode_id.in_(ids))
            found.update((reward.episode_id, reward) for reward in self._all(RewardRow, wanted))
        return [(row, found.get(row.id)) for row in rows]

    # -- snapshots and archive --------------------------------------------------------------------------------------

    def add_snapshot(self, row: SnapshotRow, owner_epoch: int) -> None:
        """See `StateStore.add_snapshot`."""
        with self._writing() as connection:
            owned = (agents.c.id == row.agent_id) & (agents.c.owner_epoch == owner_epoch)
            if connection.execute(sa.select(agents.c.id).where(owned).with_for_update()).first() is None:
                raise NotOwnerError(f"agent {row.agent_id} has a newer owner than epoch {owner_epoch}, or is deleted")
            connection.execute(sa.delete(snapshots).where(_at(row.agent_id, [row.seq])))
            connection.execute(sa.insert(snapshots).values(dataclasses.asdict(row)))

    def snapshots(self, agent_id: int) -> list[SnapshotRow]:
        """See `StateStore.snapshots`."""
        mine = sa.select(snapshots).where(snapshots.c.agent_id == agent_id)
        return self._all(SnapshotRow, mine.order_by(snapshots.c.seq))

    def delete_snapshots(self, agent_id: int, seqs: Sequence[int]) -> None:
        """See `StateStore.delete_snapshots`."""
        with self._writing() as connection:
            for start in range(0, len(seqs), _PARAMETERS):
                connection.execute(sa.delete(snapshots).where(_at(agent_id, seqs[start : start + _PARAMETERS])))

    def set_archived_seq(self, agent_id: int, seq: int) -> None:
        """See `StateStore.set_archived_seq`."""
        with self._writing() as connection:
            behind = (agents.c.id == agent_id) & (agents.c.archived_seq < seq)
            connection.execute(sa.update(agents).where(behind).values(archived_seq=seq))

    def drop_episodes(
        self, agent_id: int, first: int, below: int, base_seq: int, event_count: int, restored_count: int
    ) -> bool:
        """See `StateStore.drop_episodes`."""
        old = sa.select(episodes.c.id).where(_numbered(agent_id, first, below))
        theirs = (events.c.agent_id == agent_id) & events.c.subject.in_(old)
        with self._writing() as connection:
            # Commits change the agent's row first, so none of them comes between the count and the removal.
            connection.execute(sa.select(agents.c.id).where(agents.c.id == agent_id).with_for_update())
            for wanted, count in ((theirs, event_count), (_restored_after(agent_id, base_seq), restored_count)):
                if connection.execute(sa.select(sa.func.count()).select_from(events).where(wanted)).scalar() != count:
                    return False
            connection.execute(sa.delete(events).where(theirs, events.c.seq <= base_seq))
            gone = (rewards.c.agent_id == agent_id) & rewards.c.episode_id.in_(old)
            connection.execute(sa.delete(rewards).where(gone, rewards.c.seq <= base_seq))
            connection.execute(sa.delete(episodes).where(_numbered(agent_id, first, below)))
            values = {"base_seq": base_seq, "archived_number": below}
            connection.execute(sa.update(agents).where(agents.c.id == agent_id).values(values))
            return True

    # -- owners -----------------------------------------------------------------------------------------------------

    def owners(self) -> dict[str, str]:
        """See `StateStore.owners`."""
        with told_errors(), self._engine.connect() as connection:
            return {row.name: row.actor for row in connection.execute(sa.select(owners))}

    def owner(self, name: str) -> str | None:
        """See `StateStore.owner`."""
        with told_errors(), self._engine.connect() as connection:
            return connection.execute(sa.select(owners.c.actor).where(owners.c.name == name)).scalar()

    def claim_owner(self, name: str, old: str | None, new: str) -> str:
        """See `StateStore.claim_owner`."""
        try:
            with self._writing() as connection:
                if old is None:
                    connection.execute(sa.insert(owners).values(name=name, actor=new))
                    return new
                mine = (owners.c.name == name) & (owners.c.actor == old)
                if connection.execute(sa.update(owners).where(mine).values(actor=new)).rowcount == 1:
                    return new
        except ConflictError:
            pass  # another process was faster
        found = self.owner(name)
        return found if found is not None else self.claim_owner(name, None, new)

    def release_owner(self, name: str, actor: str) -> None:
        """See `StateStore.release_owner`."""
        with self._writing() as connection:
            connection.execute(sa.delete(owners).where(owners.c.name == name, owners.c.actor == actor))

    # -- tokens -----------------------------------------------------------------------------------------------------

    def add_token(self, row: TokenRow) -> None:
        """See `StateStore.add_token`."""
        with self._writing() as connection:
            connection.execute(sa.insert(tokens).values(dataclasses.asdict(row)))

    def token(self, token_id: str) -> TokenRow | None:
        """See `StateStore.token`."""
        return self._first(TokenRow, sa.select(tokens).where(tokens.c.id == token_id))

    def tokens(self) -> list[TokenRow]:
        """See `StateStore.tokens`."""
        return self._all(TokenRow, sa.select(tokens).order_by(tokens.c.created_at, tokens.c.id))

    def revoke_token(self, token_id: str, at: float) -> TokenRow | None:
        """See `StateStore.revoke_token`."""
        with self._writing() as connection:
            live = (tokens.c.id == token_id) & (tokens.c.revoked_at.is_(None) | (tokens.c.revoked_at > at))
            connection.execute(sa.update(tokens).where(live).values(revoked_at=at))
        return self.token(token_id)

    # -- inside -----------------------------------------------------------------------------------------------------

    def _after_error(self, context: Any) -> None:
        if stale(context.original_exception, str(self._engine.url.database)):
            context.is_disconnect = True
            cursor = getattr(context.execution_context, "cursor", None)
            if cursor is not None:  # the error would keep it alive, and it would keep the file open
                cursor.close()
            self._engine.dispose()
            if self._direct is not None:
                self._direct.close()

    @contextmanager
    def _writing(self, flush: bool = True) -> Iterator[sa.Connection]:
        with told_errors(), (self._writer if flush else self._unflushed).begin() as connection:
            yield connection

    def _all(self, kind: type[Row], wanted: sa.Select[Any]) -> list[Row]:
        with told_errors(), self._engine.connect() as connection:
            return [_row(kind, found) for found in connection.execute(wanted).mappings()]

    def _first(self, kind: type[Row], wanted: sa.Select[Any]) -> Row | None:
        found = self._all(kind, wanted.limit(1))
        return found[0] if found else None


# Statements of every commit are built once: building one takes longer than running it.
_ADVANCE = (
    sa.update(agents)
    .where(agents.c.id == sa.bindparam("of_id"), agents.c.owner_epoch == sa.bindparam("of_epoch"))
    .values({name: sa.bindparam(name) for name in _COUNTERS})
)
_INSERTS = {table.name: sa.insert(table) for table in (episodes, events, rewards)}


def _counters(one: AgentCommit) -> dict[str, Any]:
    """The agent's counters, if its owner is still the newest one."""
    return {"of_id": one.agent_id, "of_epoch": one.owner_epoch, **{name: getattr(one, name) for name in _COUNTERS}}


def _row(kind: type[Row], found: Mapping[Any, Any]) -> Row:
    values = dict(found)
    if "payload" in kind.__dataclass_fields__:  # type: ignore[attr-defined]
        values.setdefault("payload", b"")
    return kind(**values)


def _insert_all(connection: sa.Connection, table: sa.Table, rows: Sequence[Any]) -> None:
    if rows:
        names = table.columns.keys()
        connection.execute(_INSERTS[table.name], [{name: getattr(row, name) for name in names} for row in rows])


def _without_payload(table: sa.Table) -> list[sa.Column[Any]]:
    return [column for column in table.c if column.name != "payload"]


def _version_events(agent_id: int) -> sa.Select[Any]:
    makes = events.c.kind.in_([EventKind.REWARD.value, EventKind.RESTORED.value])
    return sa.select(events).where(events.c.agent_id == agent_id, makes)


def _restored_after(agent_id: int, after: int) -> sa.ColumnElement[bool]:
    return (events.c.agent_id == agent_id) & (events.c.seq > after) & (events.c.kind == EventKind.RESTORED.value)


def _numbered(agent_id: int, first: int, below: int) -> sa.ColumnElement[bool]:
    return (episodes.c.agent_id == agent_id) & (episodes.c.number >= first) & (episodes.c.number < below)


def _at(agent_id: int, seqs: Sequence[int]) -> sa.ColumnElement[bool]:
    return (snapshots.c.agent_id == agent_id) & snapshots.c.seq.in_(list(seqs))
