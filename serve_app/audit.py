"""The audit log of calls: who changed which agent, when, from where, and how the call ended.

An entry is added after the call and before its answer: what is acknowledged is in the log. Calls without a valid token
are not entered, because anybody could then fill the store.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from orchestration.service.store.roles import AuditTable
from orchestration.service.store.rows import AuditRow
from serve_app.rates import RateLimiter

REFUSALS_PER_SECOND: Final = 1.0
"""Refused calls of one token that are entered; more of them would only fill the store."""

OK: Final = "ok"


class Audit:
    """Adds entries."""

    def __init__(self, table: AuditTable) -> None:
        self._table = table
        self._refusals = RateLimiter()

    async def note(self, token_id: str, action: str, subject: str, origin: str, outcome: str = OK) -> None:
        """Add an entry.

        Args:
            outcome: `ok`, or the type of the problem.

        Raises:
            UnavailableError: the store cannot be written; the same call again is safe.
        """
        if outcome != OK and self._refusals.wait(token_id, REFUSALS_PER_SECOND) > 0:
            return
        await asyncio.to_thread(
            self._table.add_audit, AuditRow(time.time(), token_id, action, subject, origin, outcome)
        )
