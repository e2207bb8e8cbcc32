"""What was seen, chosen and rewarded: episodes, metrics, insights."""

from __future__ import annotations

from collections.abc import Callable

from typing_extensions import TypedDict

from orchestration.service.owners.messages import (
    EpisodeDetail,
    EpisodesPage,
    EpisodeSummary,
    InsightsAnswer,
    MetricsPage,
    Results,
)
from serve_app.schemas.recommendations import RankedTestOut, RewardOut, ranking_out, reward_out

Sees = Callable[[str], bool]
"""Whether the caller may know of an agent."""


class EpisodeOut(TypedDict):
    """One episode. `observed_agent`: whose recommendation was run, where this agent only observed; else empty.

    Agents that the caller's token does not see are not named.
    """

    episode_id: str
    number: int
    job: str
    agent_version: int
    opened_at: float
    tests: int
    selected: int
    exploration: float
    observers: tuple[str, ...]
    observed_agent: str
    rewarded_at: float | None
    total: float | None
    metrics: dict[str, float]


class EpisodesOut(TypedDict):
    """A page of episodes, the newest first."""

    episodes: list[EpisodeOut]
    next_cursor: str | None


class RecordedResultOut(TypedDict):
    """A result as it arrived."""

    id: str
    verdict: str
    duration: float | None
    finished_at: float | None


class EpisodeDetailOut(EpisodeOut):
    """An episode with its recommendation, its results and its reward."""

    ranking: list[RankedTestOut]
    results: list[RecordedResultOut]
    reward: RewardOut | None


def episode_out(summary: EpisodeSummary, sees: Sees) -> EpisodeOut:
    """As JSON has it; agents that the caller may not know of are left out."""
    return {
        "episode_id": summary.episode_id,
        "number": summary.number,
        "job": summary.job,
        "agent_version": summary.agent_version,
        "opened_at": summary.opened_at,
        "tests": summary.tests,
        "selected": summary.selected,
        "exploration": summary.exploration,
        "observers": tuple(filter(sees, summary.observers)),
        "observed_agent": summary.observed_agent if sees(summary.observed_agent) else "",
        "rewarded_at": summary.rewarded_at,
        "total": summary.total,
        "metrics": dict(summary.metrics),
    }


def episodes_out(page: EpisodesPage, sees: Sees) -> EpisodesOut:
    """As JSON has it."""
    return {"episodes": [episode_out(entry, sees) for entry in page.episodes], "next_cursor": page.next_cursor}


def episode_detail_out(detail: EpisodeDetail, sees: Sees) -> EpisodeDetailOut:
    """As JSON has it."""
    return {
        **episode_out(detail.summary, sees),
        "ranking": ranking_out(detail.ranking),
        "results": _results_out(detail.results),
        "reward": None if detail.reward is None else reward_out(detail.reward),
    }


def _results_out(results: Results) -> list[RecordedResultOut]:
    nothing: tuple[None, ...] = (None,) * len(results)
    columns = zip(
        results.ids, results.verdicts, results.durations or nothing, results.finished_at or nothing, strict=True
    )
    return [
        {"id": name, "verdict": str(verdict), "duration": seconds, "finished_at": finished}
        for name, verdict, seconds, finished in columns
    ]


class MetricsRowOut(TypedDict):
    """One rewarded episode in the agent's curve."""

    episode_id: str
    number: int
    agent_version: int
    rewarded_at: float
    tests: int
    total: float
    exploration: float
    metrics: dict[str, float]


class MetricsOut(TypedDict):
    """A page of rewarded episodes, in the order in which they were rewarded."""

    rows: list[MetricsRowOut]
    next_cursor: str | None


def metrics_out(page: MetricsPage) -> MetricsOut:
    """As JSON has it."""
    return {
        "rows": [
            {
                "episode_id": row.episode_id,
                "number": row.number,
                "agent_version": row.agent_version,
                "rewarded_at": row.rewarded_at,
                "tests": row.tests,
                "total": row.total,
                "exploration": row.exploration,
                "metrics": dict(row.metrics),
            }
            for row in page.rows
        ],
        "next_cursor": page.next_cursor,
    }


class ClusterOut(TypedDict):
    """Tests of one job that fail together."""

    job: str
    ids: tuple[str, ...]
    strength: float


class StaleTestOut(TypedDict):
    """A test that has not run for long; `since_run` in cycles of its job, -1: never run."""

    job: str
    id: str
    since_run: int


class FlakyTestOut(TypedDict):
    """A test whose verdict changes often: `flips` of `runs` kept executions differ from the one before."""

    job: str
    id: str
    flips: int
    runs: int


class InsightsOut(TypedDict):
    """What the agent's history shows."""

    agent_version: int
    clusters: list[ClusterOut]
    stale: list[StaleTestOut]
    flaky: list[FlakyTestOut]


def insights_out(answer: InsightsAnswer) -> InsightsOut:
    """As JSON has it."""
    return {
        "agent_version": answer.agent_version,
        "clusters": [{"job": c.job, "ids": c.ids, "strength": c.strength} for c in answer.clusters],
        "stale": [{"job": test.job, "id": test.id, "since_run": test.since_run} for test in answer.stale],
        "flaky": [{"job": test.job, "id": test.id, "flips": test.flips, "runs": test.runs} for test in answer.flaky],
    }
