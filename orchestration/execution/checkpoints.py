"""The checkpoint of a block under training, in the artefact store."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence

from envsearch.canonical import content_address
from envsearch.errors import InputError, StoreUnavailableError
from orchestration.execution.work import AgentKey
from orchestration.runtime.artifacts import ArtifactStore

VARIABLE = "PROCTOR_CHECKPOINT_SECONDS"
"""Seconds between two checkpoints of a block under training; ``off``: none."""

SECONDS = 60.0
LARGEST_SHARE = 0.02
"""Saving takes at most this share of a training's time: where the store is slow, there are fewer checkpoints."""

NAME = "training.npz"


class TrainingCheckpoints:
    """See `agents.deeprl.engines.base.Checkpoints`. If the store fails, only the checkpoint is lost.

    Args:
        store_url: of the result store.
        keys: the agents that are trained together, in their order.
        note: gets one line about what happened to the checkpoint.
        every: seconds between two checkpoints.
        clock: seconds, monotonic.

    Attributes:
        resumed: whether the training resumes from a checkpoint.
    """

    def __init__(
        self,
        store_url: str,
        keys: Sequence[AgentKey],
        note: Callable[[str], None],
        every: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = ArtifactStore(store_url)
        self._address = _address(keys)
        self._what = f"checkpoint of {len(keys)} agents from seed {keys[0].seed} on ({self._address[:12]})"
        self._note = note
        self._every = checkpoint_seconds() if every is None else every
        self._clock = clock
        self._next = clock() + self._every
        self._stored = False
        self.resumed = False

    def load(self) -> bytes | None:
        """The latest checkpoint, or None."""
        try:
            data = self._store.get(self._address, NAME)
        except FileNotFoundError:
            return None
        except StoreUnavailableError as error:
            self._note(f"{self._what} was not read: {error}")
            return None
        self._stored = self.resumed = True
        return data

    def refuse(self, reason: str) -> None:
        """Note why the loaded bytes cannot be used."""
        self.resumed = False
        self._note(f"{self._what} is ignored, and the training starts from the beginning: {reason}")

    def due(self) -> bool:
        """Whether it is time to save; for the first time after `every` seconds of training."""
        return self._clock() >= self._next

    def save(self, state: bytes) -> None:
        """Replace the previous checkpoint."""
        began = self._clock()
        try:
            self._store.put(self._address, NAME, state)
            self._stored = True
        except StoreUnavailableError as error:
            self._note(f"{self._what} was not written: {error}")
        now = self._clock()
        self._next = now + max(self._every, (now - began) / LARGEST_SHARE)

    def done(self) -> None:
        """The agents are in the store: remove the checkpoint."""
        if self.resumed:
            self._note(f"{self._what} was resumed from")
        if self._stored:
            try:
                self._store.delete(self._address)
            except StoreUnavailableError as error:
                self._note(f"{self._what} was not removed: {error}")


def _address(keys: Sequence[AgentKey]) -> str:
    first = keys[0]
    selection = first.selection if first.selection.kind == "best" else None
    seeds = [key.seed for key in keys]
    return content_address("training", [first.recipe.address, seeds, first.engine, selection])


def checkpoint_seconds() -> float:
    """Seconds between two checkpoints, from the environment.

    Raises:
        InputError: the variable is neither a number nor ``off``.
    """
    setting = os.environ.get(VARIABLE, str(SECONDS))
    if setting == "off":
        return math.inf
    try:
        seconds = float(setting)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise InputError(f"{setting!r} is not a number of seconds", VARIABLE, "a number, at least 0, or off")
    return seconds
