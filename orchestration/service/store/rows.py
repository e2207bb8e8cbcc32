"""What a store of the scheduling service holds: agents, their logs, and tokens, in rows of plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    """What happened to an agent's state."""

    SETTINGS = "settings"
    """The agent was created or its settings changed: `payload` holds all settings from now on."""
    HISTORY = "history"
    """A caller supplied past executions of tests that were new to the agent."""
    RESULTS = "results"
    REWARD = "reward"
    RESTORED = "restored"


def text_bytes(row: Any) -> int:
    """Bytes of a row's texts, which is nearly all that a listing carries of it; characters count as one byte each."""
    return sum(len(value) for name in row.__dataclass_fields__ if isinstance(value := getattr(row, name), str))


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
    """A bearer token without its secret.

    Attributes:
        revoked_at: Unix time from which the token is refused; None: none is set.
        revoked: for good, whatever a clock says. A token that is seen to have expired is revoked too.
        most_agents, most_open_episodes, most_stored_bytes, most_requests_per_second: see `Quotas`.
    """

    id: str
    sha256: str
    scopes: str
    agent_prefix: str
    note: str
    created_at: float
    revoked_at: float | None = None
    revoked: bool = False
    most_agents: int | None = None
    most_open_episodes: int | None = None
    most_stored_bytes: int | None = None
    most_requests_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One entry of the audit log: who did what, when, from where, and how it ended.

    Attributes:
        token_id: "": a call without a token, or a command on the machine of the service.
        action: name of the call (`delete_agent`) or of the command (`token revoke`).
        subject: the agent, or the token that was made, rotated or revoked.
        origin: address of the caller, or the user who gave the command.
        outcome: `ok`, or the type of the problem (`forbidden`).
        id: grows with every entry; 0 before it is stored.
    """

    at: float
    token_id: str
    action: str
    subject: str
    origin: str
    outcome: str
    id: int = 0


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which entries of the audit log are read.

    Attributes:
        after: entries with a greater id.
        newest: the newest entries; otherwise the oldest. Both come in the order in which they were added.
        subject, token_id: only these; "": all.
        since: Unix time.
    """

    after: int = 0
    limit: int = 1000
    newest: bool = False
    subject: str = ""
    token_id: str = ""
    since: float = 0.0


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
