"""The rows of saved learner states in SQL."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import sqlalchemy as sa

from orchestration.service.errors import NotOwnerError
from orchestration.service.store.rows import SnapshotRow
from orchestration.service.store.schema import agents, snapshots
from orchestration.service.store.tables.connection import PARAMETERS, SqlTables


class SqlSnapshots(SqlTables):
    """See `SnapshotIndex`."""

    def add_snapshot(self, row: SnapshotRow, owner_epoch: int) -> None:
        """See `SnapshotIndex.add_snapshot`."""
        with self._writing() as connection:
            owned = (agents.c.id == row.agent_id) & (agents.c.owner_epoch == owner_epoch)
            if connection.execute(sa.select(agents.c.id).where(owned).with_for_update()).first() is None:
                raise NotOwnerError(f"agent {row.agent_id} has a newer owner than epoch {owner_epoch}, or is deleted")
            connection.execute(sa.delete(snapshots).where(_after_events(row.agent_id, [row.seq])))
            connection.execute(sa.insert(snapshots).values(dataclasses.asdict(row)))

    def snapshots(self, agent_id: int) -> list[SnapshotRow]:
        """See `SnapshotIndex.snapshots`."""
        query = sa.select(snapshots).where(snapshots.c.agent_id == agent_id)
        return self._all(SnapshotRow, query.order_by(snapshots.c.seq))

    def delete_snapshots(self, agent_id: int, seqs: Sequence[int]) -> None:
        """See `SnapshotIndex.delete_snapshots`."""
        with self._writing() as connection:
            for start in range(0, len(seqs), PARAMETERS):
                rows = _after_events(agent_id, seqs[start : start + PARAMETERS])
                connection.execute(sa.delete(snapshots).where(rows))


def _after_events(agent_id: int, seqs: Sequence[int]) -> sa.ColumnElement[bool]:
    return (snapshots.c.agent_id == agent_id) & snapshots.c.seq.in_(list(seqs))
