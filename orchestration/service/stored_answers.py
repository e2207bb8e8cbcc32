"""Stored rows as the structs that the service answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestration.service.api.agents import AgentBudget, AgentInfo, VersionInfo
from orchestration.service.api.episodes import EpisodeSummary, MetricsRow
from orchestration.service.api.limits import PAGE_BYTES
from orchestration.service.store.codec import metrics_of, restore_of, settings_of
from orchestration.service.store.rows import AgentRow, EpisodeRow, EventKind, EventRow, RewardRow, text_bytes

Sees = Callable[[str], bool]
"""Whether the caller may know of an agent."""


def fitting(rows: Sequence[AgentRow], count: int) -> Sequence[AgentRow]:
    """The first rows that one page holds, at least one."""
    size = 0
    for number, row in enumerate(rows[:count]):
        size += text_bytes(row)
        if number and size > PAGE_BYTES:
            return rows[:number]
    return rows[:count]


def agent_info(row: AgentRow) -> AgentInfo:
    """An agent."""
    settings = settings_of(row.settings)
    return AgentInfo(
        name=row.name,
        kind=settings.kind,
        reward=settings.reward,
        exploration=settings.exploration,
        hyperparameters=dict(settings.hyperparameters),
        exploration_settings=dict(settings.exploration_settings),
        history_length=settings.history_length,
        seed=settings.seed,
        budget=AgentBudget.of(settings.budget),
        description=row.description,
        version=row.version,
        episodes=row.episodes,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def version_info(event: EventRow) -> VersionInfo:
    """A version, by the event that made it."""
    if event.kind == EventKind.REWARD:
        return VersionInfo(event.version, event.subject, None, event.at)
    return VersionInfo(event.version, "", restore_of(event.payload)[0], event.at)


def metrics_row(row: RewardRow) -> MetricsRow:
    """A rewarded episode in the agent's curve."""
    return MetricsRow(
        episode_id=row.episode_id,
        number=row.number,
        agent_version=row.version,
        rewarded_at=row.rewarded_at,
        tests=row.tests,
        total=row.total,
        exploration=row.exploration,
        metrics=metrics_of(row.metrics),
    )


def episode_summary(row: EpisodeRow, reward: RewardRow | None, sees: Sees) -> EpisodeSummary:
    """An episode as a listing shows it, without the agents that the caller may not know of."""
    return EpisodeSummary(
        episode_id=row.id,
        number=row.number,
        job=row.job,
        agent_version=row.version,
        opened_at=row.opened_at,
        tests=row.tests,
        selected=row.selected,
        exploration=row.exploration,
        observers=tuple(filter(sees, observers_of(row))),
        observed_agent=row.observed_agent if sees(row.observed_agent) else "",
        rewarded_at=None if reward is None else reward.rewarded_at,
        total=None if reward is None else reward.total,
        metrics={} if reward is None else metrics_of(reward.metrics),
    )


def observers_of(row: EpisodeRow) -> tuple[str, ...]:
    """The agents that observe the episode."""
    return tuple(row.observers.split(",")) if row.observers else ()
