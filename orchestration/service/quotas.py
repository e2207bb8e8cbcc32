"""What one tenant may occupy: quotas of its token, held against what its agents occupy.

A tenant is the agents whose names begin with the token's prefix, so two tokens of one prefix share what they occupy.
What is costly to measure is measured at most every `MEASURED_SECONDS`; between two measurements each process adds what
it lets through itself. n processes can therefore let n times as much through in that time.
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

MEASURED_SECONDS: Final = 5.0
"""How long a measurement is used."""

FULL_SECONDS: Final = 1.0
"""How long a measurement that reaches the quota is used: then what was given back counts."""

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


_MEASURES: Final[dict[Occupied, tuple[Callable[[UsageTable, str], int], str]]] = {
    "agents": (lambda table, prefix: table.agents_of(prefix), "agents; delete one"),
    "open_episodes": (
        lambda table, prefix: table.open_episodes_of(prefix),
        "episodes without a reward; reward the episodes whose jobs are over",
    ),
    "stored_bytes": (lambda table, prefix: table.stored_bytes_of(prefix), "stored bytes; delete an agent"),
}
"""Quota -> what measures it, and what the caller is advised."""

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
                if self._measured[prefix, kind][1] >= most:
                    raise QuotaError(f"the token's quota is {most} {_MEASURES[kind][1]}, or ask for a larger quota")
            for kind, _ in limited:
                at, occupied = self._measured[prefix, kind]
                self._measured[prefix, kind] = (at, occupied + (size if kind == "stored_bytes" else 1))

    def _measure(self, prefix: str, kind: Occupied, most: int) -> None:
        """Outside of the lock: the calls of other tenants do not wait."""
        now = self._clock()
        at, occupied = self._measured.get((prefix, kind), (-math.inf, 0))
        if now - at < (MEASURED_SECONDS if occupied < most else FULL_SECONDS):
            return
        occupied = _MEASURES[kind][0](self._table, prefix)
        with self._lock:
            if len(self._measured) >= _KEPT:
                oldest = min(self._measured, key=lambda key: self._measured[key][0])
                del self._measured[oldest]
            self._measured[prefix, kind] = (now, occupied)
