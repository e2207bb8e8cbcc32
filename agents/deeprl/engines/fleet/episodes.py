"""The training episodes of a block of agents, gathered from compiled calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Episodes:
    """Steps at which episodes ended, and their returns.

    Args:
        agents: number of agents of the block.
    """

    def __init__(self, agents: int) -> None:
        self._steps: list[list[NDArray[np.int64]]] = [[] for _ in range(agents)]
        self._returns: list[list[NDArray[np.float64]]] = [[] for _ in range(agents)]

    def add(self, finished: NDArray[Any], first_step: int) -> None:
        """Add the results of one compiled call.

        Args:
            finished: return of the episode that ended at a step, NaN where none did, shape (agents, steps).
            first_step: steps done before this call.
        """
        for agent, row in enumerate(finished):
            ends = np.flatnonzero(~np.isnan(row))
            self._steps[agent].append(first_step + 1 + ends)
            self._returns[agent].append(row[ends].astype(np.float64))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The whole state, for `restore`: the episodes of all agents in sequence, and how many each has."""
        steps = [np.concatenate([*rows, np.empty(0, np.int64)]) for rows in self._steps]
        returns = [np.concatenate([*rows, np.empty(0, np.float64)]) for rows in self._returns]
        counts = np.array([len(row) for row in steps], np.int64)
        return {"counts": counts, "steps": np.concatenate(steps), "returns": np.concatenate(returns)}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore the state that `arrays` returned."""
        ends = np.cumsum(arrays["counts"])[:-1]
        self._steps = [[row] for row in np.split(arrays["steps"], ends)]
        self._returns = [[row] for row in np.split(arrays["returns"], ends)]

    def of(self, agent: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """(environment step of each end, return of each episode) of one agent."""
        if not self._steps[agent]:
            return (), ()
        steps, returns = np.concatenate(self._steps[agent]), np.concatenate(self._returns[agent])
        return tuple(int(step) for step in steps), tuple(float(value) for value in returns)
