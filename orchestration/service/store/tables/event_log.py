"""The agents' logs in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from orchestration.service.errors import NotOwnerError
from orchestration.service.store.rows import AgentCommit, EventKind, EventRow
from orchestration.service.store.schema import agents, episodes, events, rewards
from orchestration.service.store.sqlite_commits import COUNTERS, SqliteCommits
from orchestration.service.store.tables.connection import SqlTables

# Statements of every commit are built once: building one takes longer than running it.
_ADVANCE = (
    sa.update(agents)
    .where(agents.c.id == sa.bindparam("of_id"), agents.c.owner_epoch == sa.bindparam("of_epoch"))
    .values({name: sa.bindparam(name) for name in COUNTERS})
)
_INSERTS = {table.name: sa.insert(table) for table in (episodes, events, rewards)}


class SqlEventLog(SqlTables):
    """See `EventLog`."""

    _direct: SqliteCommits | None = None
    """The faster way of commits into SQLite."""

    def commit(self, commits: Sequence[AgentCommit]) -> None:
        """See `EventLog.commit`."""
        # An episode is on the disk at the latest with its first result; until then only a failing machine loses it.
        flush = any(commit.new_events or commit.new_rewards or not commit.new_episodes for commit in commits)
        if self._direct is not None:
            self._direct.commit(commits, flush)
            return
        # Every group locks its agents in the same order, so two groups with agents in common cannot deadlock.
        advanced = sorted(map(_counters, commits), key=lambda values: int(values["of_id"]))
        with self._writing(flush) as connection:
            if any(connection.execute(_ADVANCE, values).rowcount != 1 for values in advanced):
                raise NotOwnerError("an agent has a newer owner, or is deleted")
            _insert_all(connection, episodes, [row for commit in commits for row in commit.new_episodes])
            _insert_all(connection, events, [row for commit in commits for row in commit.new_events])
            _insert_all(connection, rewards, [row for commit in commits for row in commit.new_rewards])

    def events(self, agent_id: int, after: int, until: int | None = None, limit: int = 1000) -> list[EventRow]:
        """See `EventLog.events`."""
        query = sa.select(events).where(events.c.agent_id == agent_id, events.c.seq > after)
        if until is not None:
            query = query.where(events.c.seq <= until)
        return self._all(EventRow, query.order_by(events.c.seq).limit(limit))

    def events_of(self, agent_id: int, subject: str) -> list[EventRow]:
        """See `EventLog.events_of`."""
        query = sa.select(events).where(events.c.agent_id == agent_id, events.c.subject == subject)
        return self._all(EventRow, query.order_by(events.c.seq))

    def version_event(self, agent_id: int, version: int) -> EventRow | None:
        """See `EventLog.version_event`."""
        return self._first(EventRow, _version_events(agent_id).where(events.c.version == version))

    def restored(self, agent_id: int, after: int) -> list[EventRow]:
        """See `EventLog.restored`."""
        return self._all(EventRow, sa.select(events).where(restored_after(agent_id, after)).order_by(events.c.seq))

    def versions(self, agent_id: int, below: int | None, limit: int) -> list[EventRow]:
        """See `EventLog.versions`."""
        query = _version_events(agent_id).order_by(events.c.version.desc()).limit(limit)
        if below is not None:
            query = query.where(events.c.version < below)
        return self._all(EventRow, query)


def restored_after(agent_id: int, after: int) -> sa.ColumnElement[bool]:
    """Events after `after` that restored a version."""
    return (events.c.agent_id == agent_id) & (events.c.seq > after) & (events.c.kind == EventKind.RESTORED.value)


def _counters(commit: AgentCommit) -> dict[str, Any]:
    """Parameters of `_ADVANCE`: the agent's counters, if the commit's owner is still the newest."""
    counters = {name: getattr(commit, name) for name in COUNTERS}
    return {"of_id": commit.agent_id, "of_epoch": commit.owner_epoch, **counters}


def _insert_all(connection: sa.Connection, table: sa.Table, rows: Sequence[Any]) -> None:
    if rows:
        names = table.columns.keys()
        connection.execute(_INSERTS[table.name], [{name: getattr(row, name) for name in names} for row in rows])


def _version_events(agent_id: int) -> sa.Select[Any]:
    makers = events.c.kind.in_([EventKind.REWARD.value, EventKind.RESTORED.value])
    return sa.select(events).where(events.c.agent_id == agent_id, makers)
