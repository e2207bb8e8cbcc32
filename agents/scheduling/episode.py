"""An episode: one recommendation with what was observed and chosen for it.

Nothing about a recommendation is kept outside its episode, so two jobs in flight never mix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agents.scheduling.observation import IntArray, Observation, Scores
from agents.scheduling.testcase import TestCase
from envsearch.errors import InputError, unknown_name


@dataclass(frozen=True, slots=True)
class Budget:
    """How much of a cycle may run.

    Attributes:
        seconds: time budget; None: everything is selected.
        share: budget as a share of the summed expected durations, instead of seconds.
        fill: ``greedy``: a later, shorter test may still fit; ``prefix``: the order ends at the first that does not.
        must_run: ids that are always selected, first.
        new_tests_in: tests that never ran are always selected.
    """

    seconds: float | None = None
    share: float | None = None
    fill: str = "greedy"
    must_run: tuple[str, ...] = ()
    new_tests_in: bool = False

    def __post_init__(self) -> None:
        if self.fill not in ("greedy", "prefix"):
            raise unknown_name("fill", self.fill, ("greedy", "prefix"), "budget.fill")
        if self.seconds is not None and self.share is not None:
            raise InputError("seconds and share exclude each other", "budget", "one of them, or neither")
        if self.seconds is not None and not (math.isfinite(self.seconds) and self.seconds >= 0.0):
            raise InputError(f"{self.seconds!r} is out of range", "budget.seconds", "a finite number of at least 0")
        if self.share is not None and not 0.0 <= self.share <= 1.0:
            raise InputError(f"{self.share!r} is out of range", "budget.share", "a share in [0, 1]")


@dataclass(frozen=True, slots=True)
class RankedTest:
    """One position of a recommendation.

    Attributes:
        position: from 1, in the order to run; tests that are not selected follow the selected ones.
        selected: fits the budget.
        reasons: why it is there ("failed 2 runs ago", "new", "exploring"), the strongest first.
        chance: the estimated probability that the test fails; None: not estimated.
    """

    id: str
    position: int
    priority: float
    selected: bool
    expected_duration: float
    reasons: tuple[str, ...]
    chance: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """One recommendation.

    Attributes:
        id: unique; chosen by the caller of the library.
        number: how many episodes the agent had opened before; its generator derives from (seed, number).
        agent_version: version of the agent that recommended.
        tests: the candidates, in the job's order.
        observation, scores: what the agent observed and answered.
        order: indices of the tests by priority, as if there were no budget and no must-run list, shape (n,).
        ranking: the recommendation, best first.
        opened_at: Unix time, seconds.
    """

    id: str
    number: int
    agent_version: int
    tests: Sequence[TestCase]
    observation: Observation
    scores: Scores
    order: IntArray
    ranking: Sequence[RankedTest]
    budget: Budget
    opened_at: float
