"""Recommend, results, reward, next."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from orchestration.service.owners.messages import (
    Candidates,
    NextAnswer,
    NextRequest,
    Ranking,
    RecommendationAnswer,
    RecommendationRequest,
    Results,
    ResultsAnswer,
    RewardAnswer,
)
from serve_app.limits import FEATURES, HISTORY, OBSERVERS, TESTS
from serve_app.schemas.common import (
    STRICT,
    AgentName,
    Body,
    JobName,
    Number,
    Seconds,
    ShortText,
    TestId,
    UnixTime,
)

VerdictName = Annotated[
    Literal["passed", "failed", "error", "skipped", "not_run"],
    Field(description="`error`: the infrastructure failed and not the test."),
]


@with_config(STRICT)
class PastRunIn(TypedDict):
    """One past execution of a test."""

    verdict: VerdictName
    duration: NotRequired[Seconds | None]
    finished_at: NotRequired[UnixTime | None]


@with_config(STRICT)
class TestCaseIn(TypedDict):
    """One candidate of the job."""

    id: TestId
    duration: NotRequired[
        Annotated[Seconds | None, Field(description="Expected seconds; without it the mean of past runs.")]
    ]
    features: NotRequired[
        Annotated[
            dict[ShortText, Number | bool | ShortText] | None,
            Field(max_length=FEATURES, description="Numbers and categories that describe the test."),
        ]
    ]
    history: NotRequired[
        Annotated[
            list[PastRunIn] | None,
            Field(max_length=HISTORY, description="Past executions, newest first; used if the agent knows none."),
        ]
    ]


class RecommendationIn(Body):
    """A job's candidates."""

    job: Annotated[JobName, Field(description="Histories of equal ids in different jobs are kept apart.")] = ""
    test_cases: Annotated[list[TestCaseIn], Field(min_length=1, max_length=TESTS)]
    time_budget_seconds: Annotated[
        Seconds | None, Field(description="What does not fit is not selected; without it the agent's own budget.")
    ] = None
    must_run: Annotated[list[TestId], Field(default_factory=list, max_length=TESTS, description="Always selected.")]
    observe: Annotated[
        list[AgentName],
        Field(
            default_factory=list,
            max_length=OBSERVERS,
            description="Shadow agents: they rank and learn from the same episode.",
        ),
    ]

    def message(self, idempotency_key: str) -> RecommendationRequest:
        """For the service."""
        return RecommendationRequest(
            candidates(self.test_cases),
            self.job,
            self.time_budget_seconds,
            tuple(self.must_run),
            tuple(self.observe),
            idempotency_key,
        )


def candidates(cases: list[TestCaseIn]) -> Candidates:
    """Columns; one that no test fills stays empty."""
    told = set().union(*cases)
    features: list[dict[str, float | bool | str]] = []
    histories: list[list[PastRunIn]] = []
    if "features" in told:
        features = [case.get("features") or {} for case in cases]
    if "history" in told:
        histories = [case.get("history") or [] for case in cases]
    return Candidates(
        tuple([case["id"] for case in cases]),
        tuple([case.get("duration") for case in cases]) if "duration" in told else (),
        tuple([tuple(one.items()) for one in features]),
        tuple([_past_runs(runs) for runs in histories]),
    )


def _past_runs(told: list[PastRunIn]) -> tuple[tuple[str, float | None, float | None], ...]:
    return tuple([(run["verdict"], run.get("duration"), run.get("finished_at")) for run in told])


class RankedTestOut(TypedDict):
    """One position of the recommendation; tests that are not selected follow the selected ones."""

    id: str
    position: int
    priority: float
    selected: bool
    expected_duration: float
    reasons: tuple[str, ...]


class RecommendationOut(TypedDict):
    """The order in which to run the tests, and the episode to report results for."""

    episode_id: str
    agent_version: int
    opened_at: float
    exploration: float
    observers: tuple[str, ...]
    ranking: list[RankedTestOut]


def recommendation_out(answer: RecommendationAnswer) -> RecommendationOut:
    """As JSON has it."""
    return {
        "episode_id": answer.episode_id,
        "agent_version": answer.agent_version,
        "opened_at": answer.opened_at,
        "exploration": answer.exploration,
        "observers": answer.observers,
        "ranking": ranking_out(answer.ranking),
    }


def ranking_out(ranking: Ranking) -> list[RankedTestOut]:
    """Columns as one object per test."""
    columns = zip(
        ranking.ids, ranking.priority, ranking.selected, ranking.expected_duration, ranking.reasons, strict=True
    )
    return [
        {
            "id": name,
            "position": position,
            "priority": priority,
            "selected": selected,
            "expected_duration": seconds,
            "reasons": reasons,
        }
        for position, (name, priority, selected, seconds, reasons) in enumerate(columns, start=1)
    ]


@with_config(STRICT)
class ResultIn(TypedDict):
    """What came of one test."""

    id: TestId
    verdict: VerdictName
    duration: NotRequired[Seconds | None]
    finished_at: NotRequired[UnixTime | None]


class ResultsIn(Body):
    """Results of an episode, all or some."""

    results: Annotated[list[ResultIn], Field(min_length=1, max_length=TESTS)]

    def message(self) -> Results:
        """For the service."""
        return results_columns(self.results)


def results_columns(results: list[ResultIn]) -> Results:
    """Columns; one that no result fills stays empty."""
    told = set().union(*results)
    return Results(
        tuple([result["id"] for result in results]),
        tuple([result["verdict"] for result in results]),
        tuple([result.get("duration") for result in results]) if "duration" in told else (),
        tuple([result.get("finished_at") for result in results]) if "finished_at" in told else (),
    )


class ResultsOut(TypedDict):
    """What was taken in: new results, results that were known already, selected tests still without one."""

    episode_id: str
    recorded: int
    repeated: int
    missing: int


def results_out(answer: ResultsAnswer) -> ResultsOut:
    """As JSON has it."""
    return {
        "episode_id": answer.episode_id,
        "recorded": answer.recorded,
        "repeated": answer.repeated,
        "missing": answer.missing,
    }


class TestRewardOut(TypedDict):
    """The reward of one test; null: nothing was to be learned from it."""

    id: str
    reward: float | None


class RewardOut(TypedDict):
    """What the episode brought. A metric that is not defined (no failing test) is left out."""

    episode_id: str
    agent_version: int
    total: float
    rewarded_at: float
    repeated: bool
    metrics: dict[str, float]
    rewards: list[TestRewardOut]


def reward_out(answer: RewardAnswer) -> RewardOut:
    """As JSON has it."""
    return {
        "episode_id": answer.episode_id,
        "agent_version": answer.agent_version,
        "total": answer.total,
        "rewarded_at": answer.rewarded_at,
        "repeated": answer.repeated,
        "metrics": dict(answer.metrics),
        "rewards": [{"id": name, "reward": reward} for name, reward in zip(answer.ids, answer.rewards, strict=True)],
    }


class NextIn(Body):
    """What has run since the last call."""

    episode_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,100}$")]
    results: Annotated[
        list[ResultIn], Field(default_factory=list, max_length=TESTS, description="Recorded first; may be empty.")
    ]

    def message(self) -> NextRequest:
        """For the service."""
        return NextRequest(self.episode_id, results_columns(self.results))


class NextOut(TypedDict):
    """The next test to run; null: nothing is left."""

    episode_id: str
    test_id: str | None
    position: int | None
    reasons: tuple[str, ...]
    remaining: int


def next_out(answer: NextAnswer) -> NextOut:
    """As JSON has it."""
    return {
        "episode_id": answer.episode_id,
        "test_id": answer.test_id,
        "position": answer.position,
        "reasons": answer.reasons,
        "remaining": answer.remaining,
    }
