"""A search for a scheduling agent's hyper-parameters: what is searched, the points drawn, and what each of them gains.

A point's gain on a history is how far its mean metric lies above that of the failure rate heuristic, averaged over the
kinds of feedback. Points are drawn by a seeded generator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from agents.scheduling.history_replay import summarise
from agents.scheduling.registry import agent_kind, make_agent
from agents.scheduling.settings import DEFAULT_REWARD, AgentSettings
from envsearch.canonical import content_address
from envsearch.errors import InputError
from orchestration.studies.replay_item import (
    HistorySource,
    ReplayItem,
    StoredItem,
    finished,
    from_plain,
    run_item,
)

BASELINE = "failure_rate"
METRICS = {"failures_first": "napfd", "time_first": "apfdc"}
"""Objective -> the metric that judges it."""

DEFAULT_SPACE: dict[str, dict[str, tuple[Any, ...]]] = {
    "failure_model": {
        "precision": (10.0, 30.0, 100.0, 300.0),
        "cost": (0.0, 0.1, 0.2, 0.3, 0.5),
        "spread": (0.02, 0.05, 0.1, 0.2),
        "time_cost": (0.5, 0.6, 0.8, 1.0),
        "doubt": (0.0, 0.0002, 0.0005, 0.001, 0.002),
        "crowding": (0.25, 0.5, 0.75),
        "forgetting": (0.99, 0.999, 1.0),
    }
}
"""Kind -> hyper-parameter -> values to try."""

AgentPoint = dict[str, Any]
"""Hyper-parameter -> value."""


@dataclass(frozen=True, slots=True)
class AgentTuneRequest:
    """Everything that the result of a search depends on.

    Attributes:
        sources: the histories, at least two.
        samples: points drawn, besides the kind's own defaults.
        seeds: replays per point, history and feedback.
        seed: of the draws.
    """

    sources: tuple[HistorySource, ...]
    kind: str
    space: Mapping[str, Sequence[Any]]
    objective: str = "failures_first"
    reward: str = DEFAULT_REWARD
    feedbacks: tuple[str, ...] = ("full", "partial")
    samples: int = 12
    seeds: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.sources) < 2:
            raise InputError(f"{len(self.sources)} histories", "FOLDER", "at least two, so that one can be left out")
        for point in self.points():
            make_agent(self.kind, point, 0, "--agent")

    def points(self) -> list[AgentPoint]:
        """The defaults, then the points drawn, each once."""
        rng = np.random.default_rng(self.seed)
        has_objective = "objective" in agent_kind(self.kind, "--agent").defaults
        fixed: AgentPoint = {"objective": self.objective} if has_objective else {}
        points = [fixed]
        for _ in range(20 * self.samples):
            if len(points) > self.samples:
                break
            drawn = {name: values[int(rng.integers(len(values)))] for name, values in sorted(self.space.items())}
            if {**fixed, **drawn} not in points:
                points.append({**fixed, **drawn})
        return points

    def items(self, kind: str, point: AgentPoint, source: HistorySource, feedback: str) -> list[ReplayItem]:
        """The replays of one point on one history."""
        settings = AgentSettings(kind, reward=self.reward, hyperparameters=tuple(sorted(point.items())))
        return [ReplayItem(source, replace(settings, seed=seed), feedback=feedback) for seed in range(self.seeds)]

    @property
    def id(self) -> str:
        """Of the whole request: first 12 digits of a hash."""
        identities = [source.identity() for source in self.sources]
        identity = [identities, self.kind, self.points(), self.reward, list(self.feedbacks), self.seeds]
        return content_address("tune-agent", identity)[:12]


def gains(request: AgentTuneRequest, point: AgentPoint, store_url: str) -> list[float]:
    """The gain of one point on every history: its mean metric minus the baseline's."""
    metric = METRICS[request.objective]

    def mean(kind: str, settings: AgentPoint, source: HistorySource) -> float:
        means = []
        for feedback in request.feedbacks:
            items = request.items(kind, settings, source, feedback)
            results = [from_plain(item, _replayed(StoredItem(item, store_url))) for item in items]
            value = summarise(results)[metric]
            means.append(0.0 if value is None else float(value))
        return float(np.mean(means))

    return [mean(request.kind, point, source) - mean(BASELINE, {}, source) for source in request.sources]


def _replayed(stored: StoredItem) -> dict[str, Any]:
    earlier = finished(stored)
    return run_item(stored) if earlier is None else earlier
