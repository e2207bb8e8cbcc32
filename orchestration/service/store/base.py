"""What a store of the scheduling service is: agents, their logs, and tokens, in rows of plain values.

A store knows nothing of learning. It promises three things: a commit is whole or not at all and durable when the call
returns; a commit of a replaced owner is refused; what was committed is read back as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class EventKind(StrEnum):
    """What happened to an agent's state."""

    SETTINGS = "settings"
    """Made, or its settings changed: `payload` holds all settings from now on."""
    HISTORY = "history"
    """Past executions that a caller told of tests that the agent did not know."""
    RESULTS = "results"
    REWARD = "reward"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class AgentRow:
    """An agent as stored.

    Attributes:
        id: never used again after the agent is deleted.
        settings: canonical JSON.
        owner_epoch: grows by one whenever an owner takes the agent over; writes of an earlier epoch are refused.
        last_seq: number of the newest event.
        version: made by every reward and every restore.
        episodes: opened so far, the next episode's number.
        base_seq: the log starts after this event; 0 unless older events were off-loaded.
        archived_seq, archived_number: events up to this one, and episodes below this number, are in the archive.
    """

    id: int
    name: str
    settings: str
    description: str
    created_at: float
    updated_at: float
    owner_epoch: int = 0
    last_seq: int = 0
    version: int = 0
    episodes: int = 0
    base_seq: int = 0
    archived_seq: int = 0
    archived_number: int = 0


@dataclass(frozen=True, slots=True)
class EpisodeRow:
    """One recommendation. `payload` is the coded episode; b"" where a listing leaves it out."""

    agent_id: int
    id: str
    number: int
    job: str
    version: int
    opened_at: float
    tests: int
    selected: int
    exploration: float
    observers: str
    observed_agent: str
    request_digest: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class EventRow:
    """One entry of an agent's log.

    Attributes:
        subject: the episode's id; the idempotency key of a restore.
        version: the agent's version after the event.
    """

    agent_id: int
    seq: int
    kind: str
    subject: str
    version: int
    at: float
    payload: bytes


@dataclass(frozen=True, slots=True)
class RewardRow:
    """The answer to an episode's reward call, and its metrics (JSON)."""

    agent_id: int
    episode_id: str
    seq: int
    number: int
    version: int
    tests: int
    exploration: float
    total: float
    metrics: str
    rewarded_at: float
    payload: bytes


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """A saved learner state after event `seq`; its bytes lie in the artifact store under their SHA-256."""

    agent_id: int
    seq: int
    version: int
    at: float
    settings: str
    address: str
    size: int


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A bearer token without its secret."""

    id: str
    sha256: str
    scopes: str
    agent_prefix: str
    note: str
    created_at: float
    revoked_at: float | None = None


@dataclass(slots=True)
class AgentCommit:
    """What one owner writes for one agent in one go: new rows, and the agent's counters after them."""

    agent_id: int
    owner_epoch: int
    last_seq: int
    version: int
    episodes: int
    updated_at: float
    settings: str
    description: str
    new_episodes: list[EpisodeRow] = field(default_factory=list)
    new_events: list[EventRow] = field(default_factory=list)
    new_rewards: list[RewardRow] = field(default_factory=list)

    def copy(self) -> AgentCommit:
        """Another one with the same rows."""
        return AgentCommit(  # `dataclasses.replace` takes several times as long, and every call of a batch is copied
            self.agent_id,
            self.owner_epoch,
            self.last_seq,
            self.version,
            self.episodes,
            self.updated_at,
            self.settings,
            self.description,
            self.new_episodes.copy(),
            self.new_events.copy(),
            self.new_rewards.copy(),
        )


class StateStore(Protocol):
    """Every method raises UnavailableError where the database cannot be read or written."""

    url: str

    # -- agents
    def create_agent(self, name: str, settings: str, description: str, at: float) -> tuple[AgentRow, bool]:
        """The agent of that name, and whether this call made it. Its first event holds its settings."""
        ...

    def agent(self, name: str) -> AgentRow | None:
        """The agent, or None."""
        ...

    def agents(self, after: str, limit: int, prefix: str = "") -> list[AgentRow]:
        """Agents by name, those after `after`."""
        ...

    def count_agents(self) -> int:
        """How many agents there are; also the cheapest way to see that the store answers."""
        ...

    def delete_agent(self, name: str) -> AgentRow | None:
        """Remove the agent and all of its rows; what it was, or None."""
        ...

    def take_over(self, name: str) -> AgentRow | None:
        """Make the caller the agent's owner: raises the epoch. None: no such agent."""
        ...

    # -- the log
    def commit(self, commits: Sequence[AgentCommit]) -> None:
        """Write all of it in one transaction.

        Raises:
            NotOwnerError: an epoch is not the agent's newest, or the agent was deleted.
            ConflictError: a row is there already.
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

    # -- episodes and rewards
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

    # -- snapshots
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

    # -- the archive
    def episodes_between(self, agent_id: int, first: int, below: int) -> list[tuple[EpisodeRow, RewardRow | None]]:
        """Episodes with first <= number < below, in order, with payloads."""
        ...

    def set_archived_seq(self, agent_id: int, seq: int) -> None:
        """Say that all events up to `seq` are in the archive."""
        ...

    def drop_episodes(
        self, agent_id: int, first: int, below: int, base_seq: int, event_count: int, restored_count: int
    ) -> bool:
        """Remove archived episodes with first <= number < below, and the events up to `base_seq` that are not needed.

        Args:
            base_seq: a snapshot is there; the log starts after it from now on.
            event_count: how many events these episodes had when they were archived.
            restored_count: how many events after `base_seq` restored a version then. Nothing is removed if either is
                another number now.

        Returns:
            Whether they were removed.
        """
        ...

    # -- owners
    def owners(self) -> dict[str, str]:
        """Name of every owner -> the actor that was last seen to be it."""
        ...

    def owner(self, name: str) -> str | None:
        """The actor that was last seen to be this owner."""
        ...

    def claim_owner(self, name: str, old: str | None, new: str) -> str:
        """Put an actor in the place of a dead one, or of none; of several callers at once one wins.

        Returns:
            The winner's actor.
        """
        ...

    def release_owner(self, name: str, actor: str) -> None:
        """The actor is no longer this owner; nothing happens if another one is."""
        ...

    # -- tokens
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
        """Revoke a token from `at` on; revoking it again only ever brings that forward. None: no such token."""
        ...

    def close(self) -> None:
        """Let go of all connections."""
        ...
