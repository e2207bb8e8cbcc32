"""A call on its way from the service to the owner of an agent, and its answer: bytes, and what observers need."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from typing import Literal

from orchestration.runtime.logs import request_in_work

CallKind = Literal["recommend", "results", "reward", "next", "patch", "restore", "insights"]


@dataclass(frozen=True, slots=True)
class OwnerCall:
    """A request on its way to the owner of the agent.

    Attributes:
        kind: decides which struct of `service.api` the body holds; see `live_agent.CALLS`.
        episode_id: of the episode; that of a new one is made before the first try, so that a second one finds what the
            first one stored.
        idempotency_key: a retry with the same key gets the first answer; "": every call counts.
        observed_agent: whose recommendation is run, for an agent that only observes.
        again: an earlier try may have been carried out.
        request: name of the HTTP request in whose context the call was made, for the owner's log lines.
    """

    agent: str
    kind: CallKind
    body: bytes = b""
    episode_id: str = ""
    idempotency_key: str = ""
    observed_agent: str = ""
    again: bool = False
    request: str = field(default_factory=request_in_work)

    def __reduce__(self) -> tuple[type[OwnerCall], tuple[object, ...]]:
        # What a dataclass does by itself takes longer than all the rest of a hop.
        key, observed, request = self.idempotency_key, self.observed_agent, self.request
        return OwnerCall, (self.agent, self.kind, self.body, self.episode_id, key, observed, self.again, request)


@dataclass(frozen=True, slots=True)
class OwnerAnswer:
    """An answer's body, and what the service needs to know of it.

    Attributes:
        observers: agents that get the same call, because they observe the episode.
        version: of the agent after a reward; else 0.
        numbers: what is counted and tracked, by name; empty for a call that was answered before.
    """

    body: bytes
    observers: tuple[str, ...] = ()
    version: int = 0
    numbers: tuple[tuple[str, float], ...] = ()

    def __reduce__(self) -> tuple[type[OwnerAnswer], tuple[object, ...]]:
        return OwnerAnswer, (self.body, self.observers, self.version, self.numbers)


def new_episode_id(agent: str, idempotency_key: str) -> str:
    """Id of a new episode; the same again under the same key."""
    if not idempotency_key:
        return uuid.uuid4().hex
    return hashlib.sha256(f"{agent}\n{idempotency_key}".encode()).hexdigest()[:32]
