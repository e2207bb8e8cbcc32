"""What one tenant may occupy: quotas of its token, held against what its agents occupy.

A tenant is the agents whose names begin with the token's prefix, so two tokens of one prefix share what they occupy.
What they occupy is measured now and then, the more rarely the more it costs; between two measurements each process adds
what it lets through itself. n processes can therefore let n times as much through in that time.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from typing import Final, Literal

from envsearch.errors import InputError
from orchestration.service.errors import QuotaError
from orchestration.service.store.roles import UsageTable

FULL_SHARE: Final = 0.2
"""A measurement that reaches the quota is used for this share of its time: then what was given back counts."""

SLOWEST: Final = 0.01
"""Smallest quota of requests per second."""

_KEPT = 1000

Occupied = Literal["agents", "open_episodes", "stored_bytes"]


@dataclass(frozen=True, slots=True)
class Quotas:
    """The quotas of a token; None: there is none.

    Attributes:
        agents: most agents.
        open_episodes: most episodes without a reward.
        stored_bytes: bytes in the store beyond which no agent and no episode is begun.
        requests_per_second: calls with this token, to one process that answers HTTP.
    """

    agents: int | None = None
    open_episodes: int | None = None
    stored_bytes: int | None = None
    requests_per_second: float | None = None

    def check(self) -> None:
        """Raise if a quota makes no sense.

        Raises:
            InputError: a number is negative or not finite, or no call at all would be answered.
        """
        for name, most in asdict(self).items():
            if most is not None and not (math.isfinite(most) and most >= 0):
                raise InputError(f"{most} is out of range", name, "a number from 0 on")
        if self.requests_per_second is not None and self.requests_per_second < SLOWEST:
            problem = f"{self.requests_per_second:g} requests per second"
            raise InputError(problem, "requests_per_second", f"at least {SLOWEST:g}")


@dataclass(frozen=True, slots=True)
class Measure:
    """How a quota is measured.

    Attributes:
        seconds: how long a measurement is used.
        advice: unit of the quota, and what a caller can do who has reached it.
    """

    occupied: Callable[[UsageTable, str], int]
    seconds: float
    advice: str


MEASURES: Final[dict[Occupied, Measure]] = {
    "agents": Measure(lambda table, prefix: table.agents_of(prefix), 5.0, "agents; delete one"),
    "open_episodes": Measure(
        lambda table, prefix: table.open_episodes_of(prefix),
        5.0,
        "episodes without a reward; reward the episodes whose jobs are over",
    ),
    "stored_bytes": Measure(lambda table, prefix: table.stored_bytes_of(prefix), 60.0, "stored bytes; delete an agent"),
}
"""The explicit table. With 100,000 episodes in SQLite the three take 1, 20 and 600 ms."""

UNLIMITED: Final = Quotas()


class QuotaKeeper:
    """Refuses what would exceed a quota. Thread-safe.

    Args:
        clock: monotonic, seconds.
    """

    def __init__(self, table: UsageTable, clock: Callable[[], float] = time.monotonic) -> None:
        self._table, self._clock = table, clock
        self._measured: dict[tuple[str, Occupied], tuple[float, int]] = {}
        self._lock = threading.Lock()

    def take(self, prefix: str, quotas: Quotas, kinds: Collection[Occupied], size: int) -> None:
        """Let a call through that begins one agent or one episode, with so many bytes.

        Raises:
            QuotaError: the tenant occupies too much already; nothing was changed.
        """
        limited = [(kind, most) for kind in kinds if (most := getattr(quotas, kind)) is not None]
        for kind, most in limited:
            self._measure(prefix, kind, most)
        with self._lock:
            for kind, most in limited:
                if self._kept(prefix, kind)[1] >= most:
                    raise QuotaError(f"the token's quota is {most} {MEASURES[kind].advice}, or ask for a larger quota")
            for kind, _ in limited:
                at, occupied = self._kept(prefix, kind)
                self._measured[prefix, kind] = (at, occupied + (size if kind == "stored_bytes" else 1))

    def _measure(self, prefix: str, kind: Occupied, most: int) -> None:
        now, measure = self._clock(), MEASURES[kind]
        with self._lock:
            at, occupied = self._kept(prefix, kind)
            if now - at < measure.seconds * (1.0 if occupied < most else FULL_SHARE):
                return
            if at > -math.inf:  # calls that come meanwhile use the last measurement, and do not measure too
                self._measured[prefix, kind] = (now, occupied)
        occupied = measure.occupied(self._table, prefix)  # without the lock: other tenants do not wait
        with self._lock:
            if len(self._measured) >= _KEPT:
                del self._measured[min(self._measured, key=lambda key: self._measured[key][0])]
            self._measured[prefix, kind] = (now, occupied)

    def _kept(self, prefix: str, kind: Occupied) -> tuple[float, int]:
        """When it was measured last, and what it was with what was added since."""
        return self._measured.get((prefix, kind), (-math.inf, 0))
