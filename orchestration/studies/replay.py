"""Replays of many agents x rewards x seeds on one history: what to replay, each item once, and the summary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from agents.scheduling.history_replay import ReplayResult, summarise
from agents.scheduling.observation import FloatArray
from agents.scheduling.registry import agent_kind, exploration, reward
from agents.scheduling.settings import DEFAULT_REWARD, AgentSettings
from envsearch.canonical import content_address
from envsearch.errors import InputError
from orchestration.execution.fan_out import fan_out
from orchestration.runtime.artifacts import ArtifactStore
from orchestration.runtime.progress import Phase, Progress
from orchestration.studies.replay_item import (
    HistorySource,
    ReplayItem,
    StoredItem,
    finished,
    from_plain,
    load,
    run_item,
    without_reward,
)

BASELINES = ("random", "file_order", "shortest_first", "last_failed_first", "failure_rate", "failure_rate_per_second")


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What to replay.

    Attributes:
        kinds, rewards: every pair is replayed with seeds 0, 1, ..., `seeds` - 1.
        objective: of the agents that have one; None: their own default.
        settings: of all agents, except kind, reward and seed.
    """

    source: HistorySource
    kinds: tuple[str, ...]
    rewards: tuple[str, ...] = (DEFAULT_REWARD,)
    seeds: int = 10
    fill: str = "greedy"
    budget_share: float = 0.5
    budget_seconds: float | None = None
    feedback: str = "full"
    objective: str | None = None
    settings: AgentSettings = field(default_factory=lambda: AgentSettings("random"))

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise InputError(f"{self.seeds} is out of range", "--seeds", "a positive whole number")
        for name in self.kinds:
            agent_kind(name, "--agent")
        for name in self.rewards:
            reward(name, "--reward")
        exploration(self.settings.exploration, dict(self.settings.exploration_settings), "--exploration")

    def items(self, kind: str, reward_name: str) -> list[ReplayItem]:
        """One pair's items, in the order of the seeds."""
        registered = agent_kind(kind)
        settings = without_reward(replace(self.settings, kind=kind, reward=reward_name), registered.learns)
        if self.objective is not None and "objective" in registered.defaults:
            hyperparameters = {**dict(settings.hyperparameters), "objective": self.objective}
            settings = replace(settings, hyperparameters=tuple(hyperparameters.items()))
        return [
            ReplayItem(
                self.source,
                replace(settings, seed=seed),
                self.fill,
                self.budget_share,
                self.budget_seconds,
                self.feedback,
            )
            for seed in range(self.seeds)
        ]

    @property
    def id(self) -> str:
        """Of the whole request: first 12 digits of a hash."""
        addresses = [item.address() for kind in self.kinds for name in self.rewards for item in self.items(kind, name)]
        return content_address("replays", addresses)[:12]


@dataclass(frozen=True, slots=True, eq=False)
class ReplayedPair:
    """One agent kind with one reward: its replays, one per seed."""

    kind: str
    reward: str
    results: tuple[ReplayResult, ...]

    def row(self) -> dict[str, Any]:
        """The object of the JSON list.

        `minutes_to_first_failure`: where no failure was found, minutes until all selected tests were run.
        """
        summary = summarise(self.results) | {"reward": self.reward}
        minutes = [result.first_failure.mean() / 60.0 for result in self.results if len(result.first_failure)]
        explored = [result.exploration.mean() for result in self.results if len(result.exploration)]
        return {
            **summary,
            "minutes_to_first_failure": float(np.mean(minutes)) if minutes else None,
            "exploration": float(np.mean(explored)) if explored else None,
        }

    def curve(self, metric: str) -> FloatArray:
        """Mean over the seeds per cycle; NaN where the metric is not defined."""
        mean: FloatArray = np.mean([result.metrics[metric] for result in self.results], axis=0)
        return mean

    @property
    def minutes(self) -> FloatArray:
        """Mean over the seeds of the minutes to finish or to the first failure, per cycle."""
        mean: FloatArray = np.mean([result.first_failure for result in self.results], axis=0) / 60.0
        return mean


def run_replays(
    request: ReplayRequest,
    store_url: str,
    progress: Progress,
    executor: str = "auto",
    cpus: int | None = None,
    address: str | None = None,
    interrupted: Callable[[], None] | None = None,
) -> list[ReplayedPair]:
    """Replay each item that has not been replayed before, once.

    Args:
        store_url: folder or fsspec URL; results are kept there under their content addresses.
        executor, cpus, address, interrupted: see `fan_out`.

    Raises:
        InputError: the history or a setting is wrong; nothing is replayed then.
        KeyboardInterrupt: finished items are kept.
    """
    load(request.source)
    url = ArtifactStore(store_url).url
    stored_items = {item: StoredItem(item, url) for item in _all_items(request)}
    results = {item: result for item, stored in stored_items.items() if (result := finished(stored)) is not None}
    missing = [stored for item, stored in stored_items.items() if item not in results]
    with progress.phase("replay", len(stored_items), len(results)) as phase:
        for stored, result in fan_out(run_item, missing, executor, cpus, address, interrupted):
            results[stored.item] = result
            phase.advance()
    return collected(request, lambda item: from_plain(item, results[item]))


def run_replays_with(
    request: ReplayRequest, progress: Progress, run: Callable[[ReplayItem, Phase], ReplayResult]
) -> list[ReplayedPair]:
    """Replay every item with the function `run`, one after another; nothing is kept."""
    load(request.source)
    items = _all_items(request)
    with progress.phase("replay", len(items) * len(load(request.source))) as phase:
        results = {item: run(item, phase) for item in items}
    return collected(request, results.__getitem__)


def collected(request: ReplayRequest, result: Callable[[ReplayItem], ReplayResult]) -> list[ReplayedPair]:
    """The pairs in the order of the request."""
    return [
        ReplayedPair(kind, name, tuple(result(item) for item in request.items(kind, name)))
        for kind in request.kinds
        for name in request.rewards
    ]


def _all_items(request: ReplayRequest) -> list[ReplayItem]:
    pairs: Sequence[tuple[str, str]] = [(kind, name) for kind in request.kinds for name in request.rewards]
    return list(dict.fromkeys(item for kind, name in pairs for item in request.items(kind, name)))
