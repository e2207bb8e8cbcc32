"""What a reward is: a function of one finished episode's own record."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from agents.scheduling.episode import Episode
from agents.scheduling.memo import Memo
from agents.scheduling.observation import BoolArray, FloatArray, IntArray
from agents.scheduling.testcase import Verdict


@dataclass(frozen=True, slots=True, eq=False)
class EpisodeOutcome(Memo):
    """The outcome of an episode. All arrays are in the order of `episode.tests`, shape (n,).

    Attributes:
        verdicts: NOT_RUN for tests without a result.
        durations: measured seconds; the expected ones where none were measured.
        order: indices of the tests in the order of the recommendation.
        selected: fitted the budget.
    """

    episode: Episode
    verdicts: tuple[Verdict, ...]
    durations: FloatArray
    order: IntArray
    selected: BoolArray
    _memo: dict[Callable[[EpisodeOutcome], Any], Any] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.verdicts)


class Reward(ABC):
    """Scores each test of a finished episode. Has no state: the same outcome gives the same rewards.

    Attributes:
        marks_failures: every failed test gets 1 and every passed one 0, so that the expected reward of a test is the
            probability that it fails.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    marks_failures: ClassVar[bool] = False

    @abstractmethod
    def rewards(self, outcome: EpisodeOutcome) -> FloatArray:
        """One reward per test in the order of `episode.tests`, shape (n,); NaN: nothing to learn from it."""


@dataclass(frozen=True, slots=True, eq=False)
class RewardOutcome:
    """The answer to a reward call.

    Attributes:
        rewards: shape (n,), in the order of `episode.tests`; NaN where there was nothing to learn.
        total: sum of the rewards that are numbers.
        metrics: of the episode (see `scheduler.episode_metrics`); undefined metrics are left out.
        version: of the agent after it learned.
    """

    rewards: FloatArray
    total: float
    metrics: Mapping[str, float]
    version: int
