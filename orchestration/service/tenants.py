"""Whether a tenant may begin something new: its quotas hold, but not for calls that were carried out before."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from orchestration.service.errors import QuotaError
from orchestration.service.owners.owner_call import new_episode_id
from orchestration.service.quotas import Occupied, QuotaKeeper
from orchestration.service.store.roles import AgentTable, EpisodeIndex, UsageTable
from orchestration.service.tokens import Grant


class TenantStore(AgentTable, EpisodeIndex, UsageTable, Protocol):
    """What is read of a store."""


class Tenants:
    """The tenants of a store. Thread-safe."""

    def __init__(self, store: TenantStore) -> None:
        self._store = store
        self._keeper = QuotaKeeper(store)

    def take(self, grant: Grant, kinds: Collection[Occupied], agent: str, key: str, size: int) -> None:
        """Let a call through that begins what is named.

        Args:
            agent: that is created, or that the call is for.
            key: idempotency key of the call.
            size: bytes of its body.

        Raises:
            QuotaError: it would exceed a quota; nothing was changed.
        """
        try:
            self._keeper.take(grant.agent_prefix, grant.quotas, kinds, size)
        except QuotaError:
            if not self._repeated(kinds, agent, key):
                raise

    def _repeated(self, kinds: Collection[Occupied], agent: str, key: str) -> bool:
        """Whether the call was carried out before: then it gets its answer, however full the quota is."""
        row = self._store.agent(agent)
        if row is None or "agents" in kinds:
            return row is not None
        return bool(key) and self._store.episode(row.id, new_episode_id(agent, key)) is not None
