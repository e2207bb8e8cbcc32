"""What a store of the scheduling service does, by role: each consumer takes the role that it needs.

A store knows nothing about learning. It promises three things: a commit is whole or absent, and durable when the call
returns; a commit of a replaced owner is refused; what was committed is read back unchanged.

Every method raises UnavailableError where the database cannot be read or written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from orchestration.service.store.rows import (
    AgentCommit,
    AgentRow,
    AuditQuery,
    AuditRow,
    EpisodeRow,
    EventRow,
    RewardRow,
    SnapshotRow,
    TokenRow,
)


class AgentTable(Protocol):
    """The agents by name."""

    def create_agent(self, name: str, settings: str, description: str, at: float) -> tuple[AgentRow, bool]:
        """The agent of that name, and whether this call created it. Its first event holds its settings."""
        ...

    def agent(self, name: str) -> AgentRow | None:
        """The agent, or None."""
        ...

    def agents(self, after: str, limit: int, prefix: str = "", most_bytes: int | None = None) -> list[AgentRow]:
        """Agents by name, those after `after`.

        Args:
            prefix: only agents whose name begins with it, compared exactly.
            most_bytes: the row whose texts exceed so many bytes in all is the last.
        """
        ...

    def count_agents(self) -> int:
        """The number of agents; also the cheapest way to see that the store answers."""
        ...

    def delete_agent(self, name: str) -> AgentRow | None:
        """Remove the agent and all of its rows; its last row, or None if there was none."""
        ...


class EventLog(Protocol):
    """The agents' logs: what happened, in order."""

    def commit(self, commits: Sequence[AgentCommit]) -> None:
        """Write all of it in one transaction.

        Raises:
            NotOwnerError: an epoch is not the agent's newest, or the agent was deleted.
            ConflictError: a row already exists.
        """
        ...

    def events(self, agent_id: int, after: int, until: int | None = None, limit: int = 1000) -> list[EventRow]:
        """Events with after < seq <= until, in order."""
        ...

    def events_of(self, agent_id: int, subject: str) -> list[EventRow]:
        """All events of an episode, or of a restore's idempotency key, in order."""
        ...

    def version_event(self, agent_id: int, version: int) -> EventRow | None:
        """The event that made the version."""
        ...

    def restored(self, agent_id: int, after: int) -> list[EventRow]:
        """The events with seq > `after` that restored a version, in order."""
        ...

    def versions(self, agent_id: int, below: int | None, limit: int) -> list[EventRow]:
        """Events that made versions, the newest first, without payload of rewards."""
        ...


class EpisodeIndex(Protocol):
    """Episodes and the answers to their reward calls."""

    def episode(self, agent_id: int, episode_id: str) -> EpisodeRow | None:
        """The episode with its payload."""
        ...

    def episodes(self, agent_id: int, below: int | None, limit: int) -> list[tuple[EpisodeRow, RewardRow | None]]:
        """Episodes, the newest first, without payloads."""
        ...

    def reward(self, agent_id: int, episode_id: str) -> RewardRow | None:
        """The stored answer to the episode's reward call."""
        ...

    def rewards(self, agent_id: int, after: int, limit: int) -> list[RewardRow]:
        """Rewards with seq > after, in order, without payloads."""
        ...


class SnapshotIndex(Protocol):
    """The rows of saved learner states; the artifact store has their bytes."""

    def add_snapshot(self, row: SnapshotRow, owner_epoch: int) -> None:
        """Enter a snapshot.

        Raises:
            NotOwnerError: the epoch is not the agent's newest.
        """
        ...

    def snapshots(self, agent_id: int) -> list[SnapshotRow]:
        """All snapshots, the oldest first."""
        ...

    def delete_snapshots(self, agent_id: int, seqs: Sequence[int]) -> None:
        """Remove these snapshots."""
        ...


class Offloading(Protocol):
    """Moves old events and episodes out of the store once the archive has them."""

    def episodes_between(self, agent_id: int, first: int, below: int) -> list[tuple[EpisodeRow, RewardRow | None]]:
        """Episodes with first <= number < below, in order, with payloads."""
        ...

    def set_archived_seq(self, agent_id: int, seq: int) -> None:
        """Record that the archive has all events up to `seq`."""
        ...

    def drop_episodes(
        self, agent_id: int, first: int, below: int, base_seq: int, event_count: int, restored_count: int
    ) -> bool:
        """Remove archived episodes with first <= number < below, and the events up to `base_seq` that are not needed.

        Args:
            base_seq: there is a snapshot after this event; from now on the log starts there.
            event_count: number of events that these episodes had when they were archived.
            restored_count: number of events after `base_seq` that restored a version then. Nothing is removed if
                either number has changed.

        Returns:
            Whether they were removed.
        """
        ...


class OwnerTable(Protocol):
    """Who owns which agent."""

    def take_over(self, name: str) -> AgentRow | None:
        """Make the caller the agent's owner: raises the epoch. None: no such agent."""
        ...

    def owners(self) -> dict[str, str]:
        """Name of every owner -> the actor that was last seen in that role."""
        ...

    def owner(self, name: str) -> str | None:
        """The actor that was last seen as this owner."""
        ...

    def claim_owner(self, name: str, old: str | None, new: str) -> str:
        """Put an actor in the place of a dead one, or of none; of several callers at once one wins.

        Returns:
            The winner's actor.
        """
        ...

    def release_owner(self, name: str, actor: str) -> None:
        """The actor is no longer this owner; without effect if another actor is."""
        ...


class TokenTable(Protocol):
    """Bearer tokens without their secrets."""

    def add_token(self, row: TokenRow) -> None:
        """Enter a token."""
        ...

    def token(self, token_id: str) -> TokenRow | None:
        """The token of that id, also a revoked one."""
        ...

    def tokens(self) -> list[TokenRow]:
        """All tokens, the oldest first."""
        ...

    def revoke_token(self, token_id: str, at: float) -> TokenRow | None:
        """Revoke a token for good; a token that is revoked stays as it is. None: no such token.

        Args:
            at: when, for people; no later clock can bring the token back.
        """
        ...

    def replace_token(self, token_id: str, expires_at: float, successor: TokenRow) -> bool:
        """Enter the successor of a token, which is refused from `expires_at` on.

        Returns:
            False: the token is revoked, expires already, or does not exist; nothing was changed. Of several calls at
            once one succeeds.
        """
        ...


class AuditTable(Protocol):
    """Who did what; entries are added, and never changed or removed."""

    def add_audit(self, row: AuditRow) -> None:
        """Add an entry; its `id` is given by the store."""
        ...

    def audit(self, query: AuditQuery) -> list[AuditRow]:
        """Entries, in the order in which they were added."""
        ...


class UsageTable(Protocol):
    """What the agents whose names begin with a prefix occupy; "": all agents."""

    def agents_of(self, prefix: str) -> int:
        """Their number."""
        ...

    def open_episodes_of(self, prefix: str) -> int:
        """Their episodes in the store that are not rewarded."""
        ...

    def stored_bytes_of(self, prefix: str) -> int:
        """Bytes of their settings, episodes, events, rewards and snapshots, without what is in the archive."""
        ...


class AgentHistory(EventLog, EpisodeIndex, Protocol):
    """All that happened to agents, from which their states are recovered."""


class RecoveryStore(AgentTable, AgentHistory, SnapshotIndex, Protocol):
    """What it takes to recover the state of an agent from its name."""


class ArchivedStore(RecoveryStore, Offloading, Protocol):
    """What the archivist reads and thins out."""


class OwnerDirectory(AgentTable, OwnerTable, Protocol):
    """Agents and their owners."""


class TokenStore(TokenTable, AuditTable, Protocol):
    """Tokens, and the log of who changed them."""


class StateStore(ArchivedStore, OwnerTable, TokenStore, UsageTable, Protocol):
    """All roles in one store: what an entry of `STORES` makes."""

    url: str

    def close(self) -> None:
        """Close all connections."""
        ...
