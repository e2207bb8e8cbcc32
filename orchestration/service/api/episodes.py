"""Recorded episodes, metrics and insights."""

from __future__ import annotations

import msgspec

from orchestration.service.api.recommendations import RankedCandidate, ReportedResult, RewardAnswer


class EpisodeSummary(msgspec.Struct, frozen=True):
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


class EpisodesPage(msgspec.Struct, frozen=True):
    """A page of episodes, the newest first."""

    episodes: list[EpisodeSummary]
    next_cursor: str | None


class EpisodeDetail(EpisodeSummary, frozen=True):
    """An episode with its recommendation, its results and its reward."""

    ranking: list[RankedCandidate]
    results: list[ReportedResult]
    reward: RewardAnswer | None


class MetricsRow(msgspec.Struct, frozen=True):
    """One rewarded episode in the agent's curve."""

    episode_id: str
    number: int
    agent_version: int
    rewarded_at: float
    tests: int
    total: float
    exploration: float
    metrics: dict[str, float]


class MetricsPage(msgspec.Struct, frozen=True):
    """A page of rewarded episodes, in the order in which they were rewarded."""

    rows: list[MetricsRow]
    next_cursor: str | None


class FailureClusterEntry(msgspec.Struct, frozen=True):
    """Tests of one job that fail together.

    `strength` in (0, 1] is the mean over their pairs of the share of cycles with a failure of either in which both
    failed.
    """

    job: str
    ids: tuple[str, ...]
    strength: float


class StaleTestEntry(msgspec.Struct, frozen=True):
    """A test that has not run for long; `since_run` in cycles of its job, -1: never run."""

    job: str
    id: str
    since_run: int


class FlakyTestEntry(msgspec.Struct, frozen=True):
    """A test whose verdict changes often: `flips` of `runs` kept executions differ from the one before."""

    job: str
    id: str
    flips: int
    runs: int


class InsightsAnswer(msgspec.Struct, frozen=True):
    """What the agent's history shows."""

    agent_version: int
    clusters: list[FailureClusterEntry]
    stale: list[StaleTestEntry]
    flaky: list[FlakyTestEntry]
