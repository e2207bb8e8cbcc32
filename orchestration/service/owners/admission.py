"""How many calls may wait. Calls over the limit are refused at once, so accepted calls are still answered soon.

Without a limit, every later call waits behind a burst, and memory grows with the queue. Each process that answers HTTP
has its own limits, so n replicas accept n times as many calls. One agent gets only a part of its owner's places, and an
owner only a part of the process's, so a flood of calls to one of them leaves places for the others.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from orchestration.service.errors import OverloadedError

SHARING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """Calls that wait or are in progress, in one process.

    Attributes:
        agent: to one agent, while no other is called; else they share this number, and each has at least `least`.
        owner: to one owner of several agents (a shard).
        least: to one agent, however many are called. Calls of one agent delay those of the others.
    """

    agent: int = 100
    owner: int = 200
    least: int = 16


class Admission:
    """Counts the calls of one event loop.

    Args:
        clock: monotonic, seconds. An agent that was called within the last second counts as one of those that share.
    """

    def __init__(self, limits: AdmissionLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._called: OrderedDict[str, float] = OrderedDict()
        self._agents: Counter[str] = Counter()
        self._owners: Counter[str] = Counter()

    def waiting(self) -> dict[str, int]:
        """Calls that wait or are in progress, by agent."""
        return dict(self._agents)

    def place(self, owner: str, agent: str) -> AbstractContextManager[None]:
        """A place in the queue of that owner while the context lasts.

        Raises:
            OverloadedError: there is none.
        """
        return _Place(self, owner, agent)

    def enter(self, owner: str, agent: str) -> None:
        """Take a place.

        Raises:
            OverloadedError: there is none.
        """
        limit = self._share(agent)
        if self._agents[agent] >= limit:
            raise OverloadedError(f"{limit} calls to agent {agent!r} are already waiting")
        if self._owners[owner] >= self._limits.owner:
            raise OverloadedError(f"{self._limits.owner} calls to the owner of agent {agent!r} are already waiting")
        self._agents[agent] += 1
        self._owners[owner] += 1

    def leave(self, owner: str, agent: str) -> None:
        """Give it back."""
        _less(self._agents, agent)
        _less(self._owners, owner)

    def _share(self, agent: str) -> int:
        """How many calls this agent may have just now."""
        now = self._clock()
        self._called[agent] = now
        self._called.move_to_end(agent)
        while now - next(iter(self._called.values())) > SHARING_SECONDS:
            self._called.popitem(last=False)
        most, least = self._limits.agent, min(self._limits.agent, self._limits.least)
        return max(least, most // len(self._called))


class _Place:
    __slots__ = ("_admission", "_agent", "_owner")

    def __init__(self, admission: Admission, owner: str, agent: str) -> None:
        self._admission, self._owner, self._agent = admission, owner, agent

    def __enter__(self) -> None:
        self._admission.enter(self._owner, self._agent)

    def __exit__(self, *error: object) -> None:
        self._admission.leave(self._owner, self._agent)


def _less(counts: Counter[str], name: str) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]
