"""What an agent observes of one cycle: everything in it is known before the cycle runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.scheduling.memo import Memo

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Observation(Memo):
    """n test cases of one cycle, in the job's order.

    Episodes that are opened while the history does not change share it: its arrays must not be written to.

    Attributes:
        keys: of the tests' histories, shape (n,).
        feature_names: of `features`, shape (d,).
        past_failures: last executions, newest first, shape (n, N): 1 failed, 0 passed, NaN no such execution.
            Executions without information about the test (error, skipped, not run) are left out.
        runs: executions that passed or failed, all time, shape (n,).
        failures: executions that failed, all time, shape (n,).
        since_run: cycles of the job since the last execution, shape (n,); 1: in the cycle before, -1: never run.
            An execution that ended in an infrastructure error counts only here.
        since_failure: cycles of the job since the last failure, shape (n,); counted as `since_run`; -1: never failed.
        age: cycles of the job since the test became known, shape (n,); counted as `since_run`; -1: never seen.
        durations: expected seconds: as declared, else the mean of past runs, else the mean over the known tests of this
            cycle (1 where nothing is known), shape (n,).
        new: no execution known, shape (n,).
        failure_rate: exponentially weighted over *all* past executions, sum(.8^k f_k) / sum(.8^k), k = 0 the latest,
            shape (n,); NaN without any.
        make_features: makes `features` of the rest.
        budget_seconds: what the cycle's budget allows for all tests together; None: no limit.
    """

    keys: tuple[str, ...]
    feature_names: tuple[str, ...]
    past_failures: FloatArray
    runs: IntArray
    failures: IntArray
    since_run: IntArray
    since_failure: IntArray
    age: IntArray
    durations: FloatArray
    new: BoolArray
    failure_rate: FloatArray
    make_features: Callable[[Observation], FloatArray]
    budget_seconds: float | None = None
    _memo: dict[Callable[[Observation], Any], Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def features(self) -> FloatArray:
        """Numeric features, shape (n, d); categories are hashed to numbers. Computed on first use: the baselines need
        none."""
        return self.once(self.make_features)

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """An agent's answer to an observation.

    Attributes:
        priority: shape (n,), finite; higher runs earlier. Ties are broken at random by the episode's own generator.
        explored: tests whose position is due to exploration, not to what was learned, shape (n,).
        exploration: how much was explored, in [0, 1] (1: everything by chance, 0: nothing). The curve of this number
            shows the transition from exploring to exploiting.
        chances: the estimated probability that each test fails in this cycle, in [0, 1], shape (n,); NaN for a test
            without an estimate. None: the agent does not estimate it.
    """

    priority: FloatArray
    explored: BoolArray
    exploration: float
    chances: FloatArray | None = None
