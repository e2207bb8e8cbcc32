"""The audit log in SQL; triggers of the database refuse to change its entries."""

from __future__ import annotations

import dataclasses

import sqlalchemy as sa

from orchestration.service.store.rows import AuditQuery, AuditRow
from orchestration.service.store.schema import audit
from orchestration.service.store.tables.connection import SqlTables


class SqlAudit(SqlTables):
    """See `AuditTable`."""

    def add_audit(self, row: AuditRow) -> None:
        """See `AuditTable.add_audit`."""
        values = dataclasses.asdict(row)
        del values["id"]
        with self._writing() as connection:
            connection.execute(sa.insert(audit).values(values))

    def audit(self, query: AuditQuery) -> list[AuditRow]:
        """See `AuditTable.audit`."""
        selected = sa.select(audit).where(audit.c.id > query.after, audit.c.at >= query.since)
        if query.subject:
            selected = selected.where(audit.c.subject == query.subject)
        if query.token_id:
            selected = selected.where(audit.c.token_id == query.token_id)
        order = audit.c.id.desc() if query.newest else audit.c.id
        rows = self._all(AuditRow, selected.order_by(order).limit(query.limit))
        return rows[::-1] if query.newest else rows
