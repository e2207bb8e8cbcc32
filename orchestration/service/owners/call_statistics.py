"""What owners measure of themselves, and how one process adds it up while owners come and go."""

from __future__ import annotations

import uuid
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

COMMIT_BOUNDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
"""Upper bounds of the buckets of commit times, seconds; a last bucket holds what took longer."""


@dataclass(frozen=True, slots=True)
class OwnerStatistics:
    """One owner since it was started.

    Attributes:
        born: names this start of it.
        awake: agents in its memory now.
        wake_ups: agents that it woke.
        commits: by bucket of `COMMIT_BOUNDS` and one more, how many took so long.
        commit_seconds: of all of them.
    """

    born: str
    awake: int
    wake_ups: int
    commits: tuple[int, ...]
    commit_seconds: float


class CommitTimes:
    """How long commits took, in buckets."""

    def __init__(self) -> None:
        self.born = uuid.uuid4().hex
        self._counts = [0] * (len(COMMIT_BOUNDS) + 1)
        self._seconds = 0.0

    def note(self, seconds: float) -> None:
        """One commit."""
        self._counts[bisect_left(COMMIT_BOUNDS, seconds)] += 1
        self._seconds += seconds

    def statistics(self, awake: int, wake_ups: int) -> OwnerStatistics:
        """With what else is known of the owner."""
        return OwnerStatistics(self.born, awake, wake_ups, tuple(self._counts), self._seconds)


class Totals:
    """Sums over all owners that were ever seen; they never fall, also where an owner has ended."""

    def __init__(self) -> None:
        self.wake_ups = 0
        self.commits = [0] * (len(COMMIT_BOUNDS) + 1)
        self.commit_seconds = 0.0
        self._last: dict[str, OwnerStatistics] = {}

    def add(self, owners: Iterable[OwnerStatistics]) -> None:
        """What happened since the previous query of these owners."""
        seen: dict[str, OwnerStatistics] = {}
        for owner in owners:
            nothing = OwnerStatistics("", 0, 0, (0,) * len(self.commits), 0.0)
            before = self._last.get(owner.born, nothing)
            self.wake_ups += owner.wake_ups - before.wake_ups
            self.commit_seconds += owner.commit_seconds - before.commit_seconds
            for place, (now, then) in enumerate(zip(owner.commits, before.commits, strict=True)):
                self.commits[place] += now - then
            seen[owner.born] = owner
        # One that does not answer within a second is busy and not gone: what was known of it is kept, within bounds.
        kept = {born: owner for born, owner in self._last.items() if born not in seen}
        self._last = dict(list(kept.items())[-1000:]) | seen


@dataclass(frozen=True, slots=True)
class ServiceStatistics:
    """The service as its operators see it.

    Attributes:
        agents: registered.
        owners: alive, and answering, in the cluster.
        awake: agents in the memory of these.
        each: the owners' own measurements.
        waiting: calls of this process that wait or are in progress, by agent.
        read_seconds: how long the store took to count the agents.
    """

    agents: int
    owners: int
    awake: int
    each: tuple[OwnerStatistics, ...]
    waiting: tuple[tuple[str, int], ...]
    read_seconds: float
