"""Who owns which agent, in SQL."""

from __future__ import annotations

import sqlalchemy as sa

from orchestration.service.errors import ConflictError
from orchestration.service.store.rows import AgentRow
from orchestration.service.store.schema import agents, owners
from orchestration.service.store.tables.connection import SqlTables


class SqlOwners(SqlTables):
    """See `OwnerTable`."""

    def take_over(self, name: str) -> AgentRow | None:
        """See `OwnerTable.take_over`."""
        with self._writing() as connection:
            raised = sa.update(agents).where(agents.c.name == name).values(owner_epoch=agents.c.owner_epoch + 1)
            connection.execute(raised)
            values = connection.execute(sa.select(agents).where(agents.c.name == name)).mappings().first()
            return None if values is None else AgentRow(**values)

    def owners(self) -> dict[str, str]:
        """See `OwnerTable.owners`."""
        with self._reading() as connection:
            return {row.name: row.actor for row in connection.execute(sa.select(owners))}

    def owner(self, name: str) -> str | None:
        """See `OwnerTable.owner`."""
        with self._reading() as connection:
            return connection.execute(sa.select(owners.c.actor).where(owners.c.name == name)).scalar()

    def claim_owner(self, name: str, old: str | None, new: str) -> str:
        """See `OwnerTable.claim_owner`."""
        try:
            with self._writing() as connection:
                if old is None:
                    connection.execute(sa.insert(owners).values(name=name, actor=new))
                    return new
                former = (owners.c.name == name) & (owners.c.actor == old)
                if connection.execute(sa.update(owners).where(former).values(actor=new)).rowcount == 1:
                    return new
        except ConflictError:
            pass  # another process was faster
        winner = self.owner(name)
        return winner if winner is not None else self.claim_owner(name, None, new)

    def release_owner(self, name: str, actor: str) -> None:
        """See `OwnerTable.release_owner`."""
        with self._writing() as connection:
            connection.execute(sa.delete(owners).where(owners.c.name == name, owners.c.actor == actor))
