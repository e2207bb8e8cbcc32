"""What a reward is: a function of one finished episode's own record."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from agents.scheduling.episode import Episode
from agents.scheduling.observation import BoolArray, FloatArray, IntArray
from agents.scheduling.once import Once
from agents.scheduling.testcase import Verdict


@dataclass(frozen=True, slots=True, eq=False)
class EpisodeOutcome(Once):
    """What came of an episode. All arrays are in the order of `episode.tests`, shape (n,).

    Attributes:
        verdicts: NOT_RUN for tests that no result arrived of.
        durations: measured seconds; the expected ones where none was measured.
        order: indices of the tests in the order of the recommendation.
        selected: fitted the budget.
    """

    episode: Episode
    verdicts: tuple[Verdict, ...]
    durations: FloatArray
    order: IntArray
    selected: BoolArray
    _made: dict[Callable[[EpisodeOutcome], Any], Any] = field(default_factory=dict, init=False, repr=False)

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
        """One reward per test in the order of `episode.tests`, shape (n,); NaN: nothing is to be learned from it."""


@dataclass(frozen=True, slots=True, eq=False)
class RewardOutcome:
    """The answer to a reward call.

    Attributes:
        rewards: shape (n,), in the order of `episode.tests`; NaN where nothing was to be learned from.
        total: sum of those that are numbers.
        metrics: of the episode (see `metrics.episode_metrics`); a metric that is not defined there is left out.
        version: of the agent after it learned.
    """

    rewards: FloatArray
    total: float
    metrics: Mapping[str, float]
    version: int
