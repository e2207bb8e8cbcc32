"""What is sent and what comes back, as frozen plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Union

Feature = Union[float, str, bool]


class Verdict(str, Enum):
    """What came of a test. The plain texts ("passed") do as well."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    """The infrastructure failed and not the test."""
    SKIPPED = "skipped"
    NOT_RUN = "not_run"


def verdict_of(value: str) -> str:
    """The plain text of a verdict.

    Raises:
        ValueError: it is none.
    """
    try:
        return Verdict(value).value
    except ValueError:
        known = ", ".join(verdict.value for verdict in Verdict)
        raise ValueError(f"{value!r} is no verdict; expected one of {known}") from None


def seconds_of(value: float | None, what: str) -> float | None:
    """A duration or a time as a finite float.

    Raises:
        ValueError: it is negative or not finite.
    """
    if value is None:
        return None
    number = float(value)
    if not (math.isfinite(number) and number >= 0.0):
        raise ValueError(f"{what} is {value!r}; expected seconds, a finite number of at least 0")
    return number


@dataclass(frozen=True)
class PastRun:
    """One past execution of a test, for an agent that does not know the test yet."""

    verdict: str
    duration: float | None = None
    finished_at: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As the service takes it."""
        return _told(
            verdict=verdict_of(self.verdict),
            duration=seconds_of(self.duration, "duration"),
            finished_at=seconds_of(self.finished_at, "finished_at"),
        )


@dataclass(frozen=True)
class TestCase:
    """One candidate of a job.

    Attributes:
        duration: expected seconds; None: the mean of past runs.
        features: numbers and categories that describe the test or the change under test.
        history: past executions, newest first; used if the agent knows none itself.
    """

    __test__ = False  # pytest: not a class of tests

    id: str
    duration: float | None = None
    features: Mapping[str, Feature] = field(default_factory=dict)
    history: Sequence[PastRun] = ()

    def to_json(self) -> dict[str, Any]:
        """As the service takes it."""
        told = _told(id=self.id, duration=seconds_of(self.duration, f"the duration of {self.id}"))
        if self.features:
            told["features"] = dict(self.features)
        if self.history:
            told["history"] = [run.to_json() for run in self.history]
        return told


@dataclass(frozen=True)
class TestResult:
    """What came of one test.

    Attributes:
        verdict: passed, failed, error, skipped or not_run.
        duration: seconds.
        finished_at: Unix time, seconds.
    """

    __test__ = False

    id: str
    verdict: str
    duration: float | None = None
    finished_at: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As the service takes it."""
        return _told(
            id=self.id,
            verdict=verdict_of(self.verdict),
            duration=seconds_of(self.duration, f"the duration of {self.id}"),
            finished_at=seconds_of(self.finished_at, f"the end of {self.id}"),
        )


@dataclass(frozen=True)
class RankedTest:
    """One position of a recommendation.

    Attributes:
        position: from 1; tests that are not selected follow the selected ones.
        selected: fits the budget.
        reasons: why it stands there.
        chance: the agent's estimated probability that the test fails; None: it estimates none.
    """

    id: str
    position: int
    priority: float
    selected: bool
    expected_duration: float | None
    reasons: tuple[str, ...]
    chance: float | None = None

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> RankedTest:
        """From the service's answer."""
        return cls(
            str(told["id"]),
            int(told["position"]),
            float(told["priority"]),
            bool(told["selected"]),
            told.get("expected_duration"),
            tuple(told.get("reasons", ())),
            told.get("chance"),
        )


@dataclass(frozen=True)
class Recommendation:
    """Which order to run the tests in.

    Attributes:
        episode_id: to report results for; "" in a fallback.
        exploration: share of chance in this order, in [0, 1].
        fallback: why the order is the one that was given; "" where the service answered.
    """

    agent: str
    episode_id: str
    agent_version: int
    ranking: tuple[RankedTest, ...]
    exploration: float = 0.0
    observers: tuple[str, ...] = ()
    fallback: str = ""

    @property
    def order(self) -> tuple[str, ...]:
        """The tests to run, first one first."""
        return tuple(test.id for test in self.ranking if test.selected)

    @property
    def not_selected(self) -> tuple[str, ...]:
        """The tests that do not fit the budget."""
        return tuple(test.id for test in self.ranking if not test.selected)

    @classmethod
    def from_json(cls, agent: str, told: Mapping[str, Any]) -> Recommendation:
        """From the service's answer."""
        return cls(
            agent,
            str(told["episode_id"]),
            int(told["agent_version"]),
            tuple(RankedTest.from_json(entry) for entry in told["ranking"]),
            float(told.get("exploration", 0.0)),
            tuple(told.get("observers", ())),
        )


@dataclass(frozen=True)
class Receipt:
    """What the service took in: results that were new, results that it knew, selected tests still without one."""

    episode_id: str
    recorded: int
    repeated: int
    missing: int

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Receipt:
        """From the service's answer."""
        return cls(str(told["episode_id"]), int(told["recorded"]), int(told["repeated"]), int(told["missing"]))


@dataclass(frozen=True)
class Reward:
    """What an episode brought.

    Attributes:
        agent_version: of the agent after it learned.
        total: sum of the rewards.
        rewards: by test id; None: nothing was to be learned from that test.
        metrics: of the episode; one that is not defined (no failing test) is left out.
        repeated: the episode had been rewarded before; this is the first answer.
    """

    episode_id: str
    agent_version: int
    total: float
    rewards: Mapping[str, float | None]
    metrics: Mapping[str, float]
    repeated: bool = False

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Reward:
        """From the service's answer."""
        return cls(
            str(told["episode_id"]),
            int(told["agent_version"]),
            float(told["total"]),
            {str(entry["id"]): entry["reward"] for entry in told.get("rewards", ())},
            dict(told.get("metrics", {})),
            bool(told.get("repeated", False)),
        )


@dataclass(frozen=True)
class NextTest:
    """The next test to run.

    Attributes:
        test_id: None: nothing is left.
        position: in the recommendation, from 1.
        remaining: selected tests without a result, this one included.
    """

    episode_id: str
    test_id: str | None
    position: int | None
    reasons: tuple[str, ...]
    remaining: int

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> NextTest:
        """From the service's answer."""
        return cls(
            str(told["episode_id"]),
            told["test_id"],
            told.get("position"),
            tuple(told.get("reasons", ())),
            int(told["remaining"]),
        )


@dataclass(frozen=True)
class AgentInfo:
    """An agent.

    Attributes:
        version: grows by one with every reward and every restore.
        settings: everything else that the service tells of it.
    """

    name: str
    kind: str
    reward: str
    version: int
    episodes: int
    settings: Mapping[str, Any]

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> AgentInfo:
        """From the service's answer."""
        own = ("name", "kind", "reward", "version", "episodes")
        settings = {name: value for name, value in told.items() if name not in own}
        return cls(
            str(told["name"]),
            str(told["kind"]),
            str(told["reward"]),
            int(told["version"]),
            int(told["episodes"]),
            settings,
        )


@dataclass(frozen=True)
class MetricsRow:
    """One rewarded episode in an agent's curve."""

    episode_id: str
    number: int
    agent_version: int
    tests: int
    total: float
    exploration: float
    metrics: Mapping[str, float]

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> MetricsRow:
        """From the service's answer."""
        return cls(
            str(told["episode_id"]),
            int(told["number"]),
            int(told["agent_version"]),
            int(told["tests"]),
            float(told["total"]),
            float(told["exploration"]),
            dict(told.get("metrics", {})),
        )


def _told(**values: Any) -> dict[str, Any]:
    """What is known; None says nothing."""
    return {name: value for name, value in values.items() if value is not None}
