"""The scheduling service's state in SQLite or PostgreSQL, through one SQL for both; each role is a file in `tables`."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from orchestration.service.store.connecting import absolute_url, connect, service_errors, stale
from orchestration.service.store.migrating import prepare
from orchestration.service.store.roles import StateStore
from orchestration.service.store.sqlite_commits import SqliteCommits
from orchestration.service.store.tables.agents import SqlAgents
from orchestration.service.store.tables.audit import SqlAudit
from orchestration.service.store.tables.event_log import SqlEventLog
from orchestration.service.store.tables.offloading import SqlOffloading
from orchestration.service.store.tables.owners import SqlOwners
from orchestration.service.store.tables.snapshots import SqlSnapshots
from orchestration.service.store.tables.tokens import SqlTokens
from orchestration.service.store.tables.usage import SqlUsage


class SqlStore(
    SqlAgents,
    SqlEventLog,
    SqlOffloading,
    SqlSnapshots,
    SqlOwners,
    SqlTokens,
    SqlAudit,
    SqlUsage,
    StateStore,
):
    """See `StateStore`. Thread-safe; a process that forks must open its own.

    Args:
        url: a file, ``sqlite:///FILE`` or ``postgresql://...``. Missing tables are created.

    Raises:
        InputError: the URL is of an unknown kind, or a version of Proctor wrote the store that this one cannot read.
        UnavailableError: the database cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self.url = absolute_url(url)
        super().__init__(connect(self.url))
        if self.url.startswith("sqlite"):
            sa.event.listen(self._engine, "handle_error", self._after_error)
        with service_errors():
            prepare(self._engine)
        file = self._engine.url.database
        if file is not None and self.url.startswith("sqlite"):
            self._direct = SqliteCommits(file, self._engine.dispose)

    def __reduce__(self) -> tuple[type[SqlStore], tuple[str]]:
        return (SqlStore, (self.url,))

    def close(self) -> None:
        """Close all connections."""
        if self._direct is not None:
            self._direct.close()
        self._engine.dispose()

    def _after_error(self, context: Any) -> None:
        if stale(context.original_exception, str(self._engine.url.database)):
            context.is_disconnect = True
            cursor = getattr(context.execution_context, "cursor", None)
            if cursor is not None:  # the error would keep it alive, and it would keep the file open
                cursor.close()
            self._engine.dispose()
            if self._direct is not None:
                self._direct.close()
