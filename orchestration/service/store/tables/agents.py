"""Agents in SQL."""

from __future__ import annotations

import dataclasses

import sqlalchemy as sa

from orchestration.service.errors import ConflictError, UnavailableError
from orchestration.service.store.rows import AgentRow, EventKind, EventRow
from orchestration.service.store.schema import agents, episodes, events, rewards, snapshots
from orchestration.service.store.tables.connection import SqlTables

AFTER_NAMES = "\x7f"
"""Sorts after every character that a name can have."""


class SqlAgents(SqlTables):
    """See `AgentTable`."""

    def create_agent(self, name: str, settings: str, description: str, at: float) -> tuple[AgentRow, bool]:
        """See `AgentTable.create_agent`."""
        row = AgentRow(0, name, settings, description, at, at, last_seq=1)
        values = dataclasses.asdict(row)
        del values["id"]
        try:
            with self._writing() as connection:
                key = connection.execute(sa.insert(agents).values(values)).inserted_primary_key
                assert key is not None
                first = EventRow(key[0], 1, EventKind.SETTINGS, "", 0, at, settings.encode())
                connection.execute(sa.insert(events).values(dataclasses.asdict(first)))
        except ConflictError:
            existing = self.agent(name)
            if existing is None:
                raise UnavailableError(f"agent {name!r} is being deleted") from None
            return existing, False
        return dataclasses.replace(row, id=key[0]), True

    def agent(self, name: str) -> AgentRow | None:
        """See `AgentTable.agent`."""
        return self._first(AgentRow, sa.select(agents).where(agents.c.name == name))

    def agents(self, after: str, limit: int, prefix: str = "", most_bytes: int | None = None) -> list[AgentRow]:
        """See `AgentTable.agents`."""
        query = sa.select(agents).where(agents.c.name > after, begins_with(prefix)).order_by(agents.c.name).limit(limit)
        return self._until(AgentRow, query, most_bytes)

    def count_agents(self) -> int:
        """See `AgentTable.count_agents`."""
        with self._reading() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(agents)).scalar_one())

    def delete_agent(self, name: str) -> AgentRow | None:
        """See `AgentTable.delete_agent`."""
        with self._writing() as connection:
            query = sa.select(agents).where(agents.c.name == name).with_for_update()
            values = connection.execute(query).mappings().first()
            if values is None:
                return None
            for table in (snapshots, rewards, events, episodes):
                connection.execute(sa.delete(table).where(table.c.agent_id == values["id"]))
            connection.execute(sa.delete(agents).where(agents.c.id == values["id"]))
            return AgentRow(**values)


def begins_with(prefix: str) -> sa.ColumnElement[bool]:
    """Whether an agent's name begins with exactly this.

    LIKE has wildcards and in SQLite ignores case. Names are compared by code point everywhere, so those of a prefix are
    a range: a store finds it by its index and reads nothing of other tenants.
    """
    return agents.c.name.between(prefix, prefix + AFTER_NAMES) if prefix else sa.true()
