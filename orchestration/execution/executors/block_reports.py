"""How the driver hears of the blocks that Ray tasks work on: one small actor that keeps each block's last word.

Workers tell it about once a second and wait for nothing; the driver asks it every few seconds and never waits for the
answer. So an actor that is slow, dead or not yet there costs the reader some news, and the run nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from typing import Any

from orchestration.execution.block_progress import Blocks, Partly, Told

ASKED_EVERY = 2.0
"""Seconds between two questions."""

UNHEARD = 8
"""Reports that a worker may have on their way; more are dropped."""


class LastWords:
    """The actor: block -> what was told of it last, see `Told`."""

    def __init__(self) -> None:
        self._told: dict[int, tuple[float, float]] = {}

    def tell(self, block: int, given: float, done: float) -> None:
        """A block is so far."""
        self._told[block] = (given, done)

    def take(self) -> dict[int, tuple[float, float]]:
        """What was told since the last question."""
        told, self._told = self._told, {}
        return told


class Watch:
    """The driver's side, for one run.

    Args:
        actor: handle of `LastWords`.
        partly: told how far the running blocks are.
        clock: seconds, monotonic.
    """

    def __init__(self, actor: Any, partly: Partly, clock: Callable[[], float] = time.monotonic) -> None:
        self.actor = actor
        self._blocks = Blocks(partly)
        self._clock = clock
        self._next = clock() + ASKED_EVERY
        self._asked: Any = None

    def listen(self, running: Container[int]) -> None:
        """Ask the actor, or pass on its answer if that has come."""
        import ray

        if self._clock() < self._next:
            return
        self._next = self._clock() + ASKED_EVERY
        try:
            if self._asked is not None:
                if not ray.wait([self._asked], timeout=0)[0]:
                    return
                asked, self._asked = self._asked, None
                for block, (given, done) in ray.get(asked).items():
                    if block in running:
                        self._blocks.told(block, given, done)
            self._asked = self.actor.take.remote()
        except Exception:  # noqa: BLE001 - the actor died with its node; Ray starts it anew, and news may be lost
            self._asked = None

    def ended(self, block: int) -> None:
        """A block's report has come."""
        self._blocks.ended(block)


def last_words() -> Any:
    """A new actor, which needs no CPU of its own and outlives its node."""
    import ray

    return ray.remote(LastWords).options(num_cpus=0, max_restarts=-1, max_pending_calls=UNHEARD, name=None).remote()


def teller(actor: Any, block: int) -> Told:
    """A worker's `told`: sends the news and forgets it."""

    def told(given: float, done: float) -> None:
        try:
            actor.tell.remote(block, given, done)
        except Exception:  # noqa: BLE001 - too many on their way, or the actor is gone: nobody waits for this news
            return

    return told
