"""The last rewarded test cases: their inputs at the time of the recommendation, and their targets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.scheduling.state import State
from envsearch.errors import CorruptArtifactError

Array32 = NDArray[np.float32]


class ReplayMemory:
    """A ring of (inputs, target) rows; the oldest are overwritten.

    Args:
        capacity: rows kept.
        width: inputs per row.
    """

    def __init__(self, capacity: int, width: int) -> None:
        self._inputs = np.zeros((capacity, width), dtype=np.float32)
        self._targets = np.zeros(capacity, dtype=np.float32)
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, len(self._targets))

    @property
    def inputs(self) -> Array32:
        """Shape (rows, width)."""
        return self._inputs[: len(self)]

    @property
    def targets(self) -> Array32:
        """Shape (rows,)."""
        return self._targets[: len(self)]

    def add(self, inputs: Array32, targets: Array32) -> None:
        """Append rows, shapes (m, width) and (m,); only the last ones if they do not all fit."""
        capacity = len(self._targets)
        inputs, targets = inputs[-capacity:], targets[-capacity:]
        rows = (self._added + np.arange(len(targets))) % capacity
        self._inputs[rows] = inputs
        self._targets[rows] = targets
        self._added += len(targets)

    def state(self) -> State:
        """The rows in their places, and where the next one goes."""
        return {"inputs": self.inputs.copy(), "targets": self.targets.copy(), "added": self._added}

    def restore(self, state: State) -> None:
        """Restore the state of a memory of the same size.

        Raises:
            CorruptArtifactError: its size differs.
        """
        inputs, targets, added = np.asarray(state["inputs"]), np.asarray(state["targets"]), state["added"]
        capacity, width = self._inputs.shape
        if not isinstance(added, int) or inputs.shape != (min(added, capacity), width):
            raise CorruptArtifactError(f"holds rows of shape {inputs.shape}", "memory", f"{capacity} rows of {width}")
        self._inputs[: len(inputs)] = inputs
        self._targets[: len(targets)] = targets
        self._added = added
