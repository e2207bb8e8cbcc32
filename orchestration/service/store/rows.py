"""What a store of the scheduling service holds: agents, their logs, and tokens, in rows of plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class EventKind(StrEnum):
    """What happened to an agent's state."""

    SETTINGS = "settings"
    """The agent was created or its settings changed: `payload` holds all settings from now on."""
    HISTORY = "history"
    """A caller supplied past executions of tests that were new to the agent."""
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
        version: every reward and every restore makes a new one.
        episodes: number opened so far; the next episode's number.
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
    """A saved learner state after event `seq`; the artifact store has its bytes under their SHA-256."""

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
    """What an owner writes for one agent at once: new rows, and the agent's counters after them."""

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
        """A second commit with the same rows."""
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
