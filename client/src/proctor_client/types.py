"""Requests and answers as frozen plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Union

Feature = Union[float, str, bool]


class Verdict(str, Enum):
    """The verdict of a test. Plain strings ("passed") work too."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    """The infrastructure failed, not the test."""
    SKIPPED = "skipped"
    NOT_RUN = "not_run"


def verdict_of(value: str) -> str:
    """A verdict as a plain string.

    Raises:
        ValueError: it is not a verdict.
    """
    try:
        return Verdict(value).value
    except ValueError:
        verdicts = ", ".join(verdict.value for verdict in Verdict)
        raise ValueError(f"{value!r} is not a verdict; expected one of {verdicts}") from None


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
    """One past execution of a test, for an agent without a history of it."""

    verdict: str
    duration: float | None = None
    finished_at: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON object that the service reads."""
        return _without_none(
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
        history: past executions, newest first; used if the agent has none of its own.
    """

    __test__ = False  # pytest: not a class of tests

    id: str
    duration: float | None = None
    features: Mapping[str, Feature] = field(default_factory=dict)
    history: Sequence[PastRun] = ()

    def to_json(self) -> dict[str, Any]:
        """The JSON object that the service reads."""
        body = _without_none(id=self.id, duration=seconds_of(self.duration, f"the duration of {self.id}"))
        if self.features:
            body["features"] = dict(self.features)
        if self.history:
            body["history"] = [run.to_json() for run in self.history]
        return body


@dataclass(frozen=True)
class TestResult:
    """The result of one test.

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
        """The JSON object that the service reads."""
        return _without_none(
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
        reasons: why it is at this position.
        chance: the agent's estimated probability that the test fails; None: the agent does not estimate it.
    """

    id: str
    position: int
    priority: float
    selected: bool
    expected_duration: float | None
    reasons: tuple[str, ...]
    chance: float | None = None

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> RankedTest:
        """From the service's answer."""
        return cls(
            str(answer["id"]),
            int(answer["position"]),
            float(answer["priority"]),
            bool(answer["selected"]),
            answer.get("expected_duration"),
            tuple(answer.get("reasons", ())),
            answer.get("chance"),
        )


@dataclass(frozen=True)
class Recommendation:
    """The order in which to run the tests.

    Attributes:
        episode_id: names the episode in later calls; "" in a fallback.
        exploration: how much of this order is due to chance, in [0, 1].
        fallback: why the order is the job's own; "" if the service answered.
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
        """The tests to run, in order."""
        return tuple(test.id for test in self.ranking if test.selected)

    @property
    def not_selected(self) -> tuple[str, ...]:
        """The tests that do not fit the budget."""
        return tuple(test.id for test in self.ranking if not test.selected)

    @classmethod
    def from_json(cls, agent: str, answer: Mapping[str, Any]) -> Recommendation:
        """From the service's answer."""
        return cls(
            agent,
            str(answer["episode_id"]),
            int(answer["agent_version"]),
            tuple(RankedTest.from_json(entry) for entry in answer["ranking"]),
            float(answer.get("exploration", 0.0)),
            tuple(answer.get("observers", ())),
        )


@dataclass(frozen=True)
class Receipt:
    """The service's confirmation: new results, repeated results, and selected tests still without a result."""

    episode_id: str
    recorded: int
    repeated: int
    missing: int

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> Receipt:
        """From the service's answer."""
        return cls(str(answer["episode_id"]), int(answer["recorded"]), int(answer["repeated"]), int(answer["missing"]))


@dataclass(frozen=True)
class Reward:
    """The reward of an episode.

    Attributes:
        agent_version: of the agent after it learned.
        total: sum of the rewards.
        rewards: by test id; None: there was nothing to learn from that test.
        metrics: of the episode; undefined ones (no failing test) are left out.
        repeated: the episode was rewarded before; this is the answer of that time.
    """

    episode_id: str
    agent_version: int
    total: float
    rewards: Mapping[str, float | None]
    metrics: Mapping[str, float]
    repeated: bool = False

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> Reward:
        """From the service's answer."""
        return cls(
            str(answer["episode_id"]),
            int(answer["agent_version"]),
            float(answer["total"]),
            {str(entry["id"]): entry["reward"] for entry in answer.get("rewards", ())},
            dict(answer.get("metrics", {})),
            bool(answer.get("repeated", False)),
        )


@dataclass(frozen=True)
class NextTest:
    """The next test to run.

    Attributes:
        test_id: None: no test is left.
        position: in the recommendation, from 1.
        remaining: selected tests without a result, this one included.
    """

    episode_id: str
    test_id: str | None
    position: int | None
    reasons: tuple[str, ...]
    remaining: int

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> NextTest:
        """From the service's answer."""
        return cls(
            str(answer["episode_id"]),
            answer["test_id"],
            answer.get("position"),
            tuple(answer.get("reasons", ())),
            int(answer["remaining"]),
        )


@dataclass(frozen=True)
class AgentInfo:
    """An agent.

    Attributes:
        version: grows by one with every reward and every restore.
        settings: everything else in the service's answer.
    """

    name: str
    kind: str
    reward: str
    version: int
    episodes: int
    settings: Mapping[str, Any]

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> AgentInfo:
        """From the service's answer."""
        own = ("name", "kind", "reward", "version", "episodes")
        settings = {name: value for name, value in answer.items() if name not in own}
        return cls(
            str(answer["name"]),
            str(answer["kind"]),
            str(answer["reward"]),
            int(answer["version"]),
            int(answer["episodes"]),
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
    def from_json(cls, answer: Mapping[str, Any]) -> MetricsRow:
        """From the service's answer."""
        return cls(
            str(answer["episode_id"]),
            int(answer["number"]),
            int(answer["agent_version"]),
            int(answer["tests"]),
            float(answer["total"]),
            float(answer["exploration"]),
            dict(answer.get("metrics", {})),
        )


def _without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
