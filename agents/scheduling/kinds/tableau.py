"""A table of discretised states with values: RETECS's tableau without a second dimension for the action."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.scheduling.agent import SchedulingAgent
from agents.scheduling.kinds.limits import check_range
from agents.scheduling.kinds.targets import learnable
from agents.scheduling.observation import FloatArray, IntArray, Observation, Scores
from agents.scheduling.state import State
from agents.scheduling.testcase import Verdict
from envsearch.errors import CorruptArtifactError

RUN_CLASSES = (1, 2, 6)
"""Cycles since the last run at which a class begins; class 0 is "never"."""
FAILURE_CLASSES = (1, 11)
"""Cycles since the last failure at which a class begins; class 0 is "never"."""
DURATION_CLASSES = 3
"""Thirds of the cycle's tests, by expected duration."""


class Tableau(SchedulingAgent):
    """Priority = mean reward of the test cases that were in the same state.

    A state is (how long ago the last failure was, last verdicts, how long ago the last run was, third of the cycle by
    duration). RETECS (Spieker et al. 2017, section 3.3) keeps a value for each pair of state and priority and draws
    among the priorities. A reward that does not depend on the priority distinguishes those only by chance, so this
    table keeps one value per state and the value is the priority. A cell with little data leans on coarser ones, each
    worth `prior` test cases: the same last failure and verdicts, then without the oldest verdict, and so on. Sums
    shrink by `forgetting` with each episode, which has the effect of a weighted replay and needs no memory.

    Hyper-parameters:
        verdicts: last verdicts in a state, 1 to 8.
        prior: weight of the coarser cell, in test cases.
        forgetting: weight of an episode relative to the next one, in (0, 1].
    """

    kind = "tableau"
    summary = "table of discretised states (last failure, verdicts, last run, duration) with mean rewards"
    learns = True
    defaults = {"verdicts": 4, "prior": 2.0, "forgetting": 0.999}  # noqa: RUF012 - a ClassVar in the base class

    def __init__(self, hyperparameters: Mapping[str, Any], seed: int) -> None:
        super().__init__(hyperparameters, seed)
        check_range(self.hyperparameters, verdicts=(1, 8), prior=(1e-9, 1e9), forgetting=(1e-3, 1.0))
        self._verdicts: int = self.hyperparameters["verdicts"]
        cells = (len(FAILURE_CLASSES) + 1) * 3**self._verdicts * (len(RUN_CLASSES) + 1) * DURATION_CLASSES
        self._sums = np.zeros(cells)
        self._counts = np.zeros(cells)

    def score(self, observation: Observation, rng: np.random.Generator) -> Scores:
        """The values of the tests' cells."""
        priority = self._values()[self._cells(observation)]
        return Scores(priority, np.zeros(len(observation), dtype=np.bool_), 0.0)

    def learn(
        self,
        observation: Observation,
        scores: Scores,
        verdicts: tuple[Verdict, ...],
        rewards: FloatArray,
        rng: np.random.Generator,
    ) -> None:
        """Add the episode's rewards to its cells."""
        known, targets = learnable(rewards)
        cells = self._cells(observation)[known]
        kept, size = self.hyperparameters["forgetting"], len(self._sums)
        self._sums = kept * self._sums + np.bincount(cells, weights=targets, minlength=size)
        self._counts = kept * self._counts + np.bincount(cells, minlength=size)

    def state(self) -> State:
        """Sums of rewards and numbers of test cases per cell."""
        return {"sums": self._sums.copy(), "counts": self._counts.copy()}

    def restore(self, state: State) -> None:
        """Restore a state with the same number of verdicts."""
        sums = np.array(state["sums"])
        if sums.shape != self._sums.shape:
            raise CorruptArtifactError(f"has {len(sums)} cells", "tableau.sums", f"{len(self._sums)} cells")
        self._sums, self._counts = sums, np.array(state["counts"])

    def _cells(self, observation: Observation) -> IntArray:
        """Index of each test's cell, shape (n,); the coarsest distinction is the most significant digit."""
        cells: IntArray = np.searchsorted(FAILURE_CLASSES, observation.since_failure, side="right")
        kept = observation.past_failures
        for age in range(self._verdicts):
            verdict = kept[:, age] if age < kept.shape[1] else np.full(len(kept), np.nan)
            cells = 3 * cells + np.nan_to_num(verdict + 1.0, nan=0.0).astype(np.int64)
        run = np.searchsorted(RUN_CLASSES, observation.since_run, side="right")
        place = np.empty(len(observation), dtype=np.int64)
        place[np.argsort(observation.durations, kind="stable")] = np.arange(len(observation))
        third = place * DURATION_CLASSES // max(len(observation), 1)
        result: IntArray = (cells * (len(RUN_CLASSES) + 1) + run) * DURATION_CLASSES + third
        return result

    def _values(self) -> FloatArray:
        """Value of each cell, from the coarsest table (everything in one cell) to the finest."""
        prior = self.hyperparameters["prior"]
        failures = len(FAILURE_CLASSES) + 1
        shapes = [1, *(failures * 3**digits for digits in range(self._verdicts + 1)), len(self._sums)]
        value = np.zeros(1)
        for size in shapes:
            sums, counts = self._sums.reshape(size, -1).sum(axis=1), self._counts.reshape(size, -1).sum(axis=1)
            value = (sums + prior * np.repeat(value, size // len(value))) / (counts + prior)
        return value
