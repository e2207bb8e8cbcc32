"""How many calls may wait: what is over the limit is refused at once, so that what was let in is still answered soon.

Without a limit a burst makes a queue that every later call stands behind, and memory grows with it. The limits stand in
every process that answers HTTP, so n replicas let in n times as many. One agent gets only a part of its owner's places
and an owner only a part of the process's, so a flood of calls to one leaves places for the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from orchestration.service_errors import OverloadedError


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """Calls that wait or are under way, in one process.

    Attributes:
        agent: to one agent.
        owner: to one owner of several agents (a shard).
    """

    agent: int = 100
    owner: int = 200


class Admission:
    """Counts the calls of one event loop."""

    def __init__(self, limits: AdmissionLimits) -> None:
        self._limits = limits
        self._agents: Counter[str] = Counter()
        self._owners: Counter[str] = Counter()

    def waiting(self) -> dict[str, int]:
        """Calls that wait or are under way, by agent."""
        return dict(self._agents)

    @contextmanager
    def place(self, owner: str, agent: str) -> Iterator[None]:
        """A place in the queue of that owner while the context lasts.

        Raises:
            OverloadedError: there is none.
        """
        if self._agents[agent] >= self._limits.agent:
            raise OverloadedError(f"{self._limits.agent} calls to agent {agent!r} wait already")
        if self._owners[owner] >= self._limits.owner:
            raise OverloadedError(f"{self._limits.owner} calls to the owner of agent {agent!r} wait already")
        self._agents[agent] += 1
        self._owners[owner] += 1
        try:
            yield
        finally:
            _less(self._agents, agent)
            _less(self._owners, owner)


def _less(counts: Counter[str], name: str) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]
