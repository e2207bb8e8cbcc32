"""What the agents of a prefix occupy, in SQL."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from orchestration.service.store.schema import agents, episodes, events, rewards, snapshots
from orchestration.service.store.tables.agents import begins_with
from orchestration.service.store.tables.connection import SqlTables

_SIZES: tuple[tuple[sa.Table, sa.ColumnElement[Any]], ...] = (
    (episodes, sa.func.length(episodes.c.payload)),
    (events, sa.func.length(events.c.payload)),
    (rewards, sa.func.length(rewards.c.payload)),
    (snapshots, snapshots.c.size),
)
"""Table -> bytes of one of its rows."""


class SqlUsage(SqlTables):
    """See `UsageTable`."""

    def agents_of(self, prefix: str) -> int:
        """See `UsageTable.agents_of`."""
        return self._sum(sa.select(sa.func.count()).select_from(agents).where(begins_with(prefix)))

    def open_episodes_of(self, prefix: str) -> int:
        """See `UsageTable.open_episodes_of`."""
        # An episode has at most one reward, so the difference of two counts, which indexes answer, is enough.
        opened, rewarded = (
            self._sum(sa.select(sa.func.count()).select_from(table).where(_belongs(table, prefix)))
            for table in (episodes, rewards)
        )
        return max(0, opened - rewarded)

    def stored_bytes_of(self, prefix: str) -> int:
        """See `UsageTable.stored_bytes_of`."""
        total = self._sum(sa.select(sa.func.sum(sa.func.length(agents.c.settings))).where(begins_with(prefix)))
        for table, size in _SIZES:
            total += self._sum(sa.select(sa.func.sum(size)).where(_belongs(table, prefix)))
        return total

    def _sum(self, query: sa.Select[Any]) -> int:
        with self._reading() as connection:
            return int(connection.execute(query).scalar() or 0)


def _belongs(table: sa.Table, prefix: str) -> sa.ColumnElement[bool]:
    return table.c.agent_id.in_(sa.select(agents.c.id).where(begins_with(prefix)))
