"""``proctor tune-agent``: hyper-parameters of a scheduling agent, searched with Ray Tune, judged on histories left out.

A point's gain on a history is what its mean metric is above that of the failure rate heuristic, averaged over the kinds
of feedback. Points are drawn by a seeded generator; every replay is kept under its content address, so that a search
that was ended goes on where it was.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from agents.scheduling.history_replay import summarise
from agents.scheduling.registry import agent_kind, make_agent
from agents.scheduling.settings import DEFAULT_REWARD, AgentSettings
from envsearch.canonical import content_address
from envsearch.errors import InputError
from orchestration.runtime.progress import Progress
from orchestration.runtime.ray import search_path, start_ray, stop_ray
from orchestration.studies.replay_item import (
    HistorySource,
    ReplayItem,
    StoredItem,
    finished,
    from_plain,
    load,
    run_item,
)

BASELINE = "failure_rate"
METRICS = {"failures_first": "napfd", "time_first": "apfdc"}
"""What an objective is judged by."""

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
"""Kind -> hyper-parameter -> values that are tried."""

Point = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AgentTuneRequest:
    """What is searched.

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

    def points(self) -> list[Point]:
        """The defaults, then the points drawn, each once."""
        rng = np.random.default_rng(self.seed)
        fixed: Point = {"objective": self.objective} if "objective" in agent_kind(self.kind, "--agent").defaults else {}
        points = [fixed]
        for _ in range(20 * self.samples):
            if len(points) > self.samples:
                break
            drawn = {name: values[int(rng.integers(len(values)))] for name, values in sorted(self.space.items())}
            if {**fixed, **drawn} not in points:
                points.append({**fixed, **drawn})
        return points

    def items(self, kind: str, point: Point, source: HistorySource, feedback: str) -> list[ReplayItem]:
        """The replays of one point on one history."""
        settings = AgentSettings(kind, reward=self.reward, hyperparameters=tuple(sorted(point.items())))
        return [ReplayItem(source, replace(settings, seed=seed), feedback=feedback) for seed in range(self.seeds)]

    @property
    def id(self) -> str:
        """Of the whole request: first 12 digits of a hash."""
        identities = [source.identity() for source in self.sources]
        told = [identities, self.kind, self.points(), self.reward, list(self.feedbacks), self.seeds]
        return content_address("tune-agent", told)[:12]


@dataclass(frozen=True, slots=True)
class AgentTuneResult:
    """Gains over the baseline of every point on every history, shape (points, histories); point 0 is the default."""

    histories: tuple[str, ...]
    points: tuple[Point, ...]
    gains: tuple[tuple[float, ...], ...]

    @property
    def best(self) -> int:
        """The point with the highest mean gain over all histories."""
        return int(np.argmax(np.mean(self.gains, axis=1)))

    def left_out(self, history: int) -> int:
        """The point with the highest mean gain over the other histories."""
        others = np.delete(np.array(self.gains), history, axis=1)
        return int(np.argmax(others.mean(axis=1)))

    def validation(self) -> list[dict[str, Any]]:
        """Per history: the gain of the default, of the point chosen without it, and of the best one with hindsight."""
        gains = np.array(self.gains)
        return [
            {
                "history": name,
                "default": float(gains[0, place]),
                "chosen_without_it": float(gains[self.left_out(place), place]),
                "point": self.left_out(place),
                "best_with_hindsight": float(gains[:, place].max()),
            }
            for place, name in enumerate(self.histories)
        ]


def run_agent_tune(
    request: AgentTuneRequest, store_url: str, progress: Progress, cpus: int | None = None, address: str | None = None
) -> AgentTuneResult:
    """Replay every point on every history, and compare.

    Raises:
        InputError: a history or a setting is wrong; nothing is replayed then.
        KeyboardInterrupt: finished replays are kept.
    """
    histories = tuple(load(source).name for source in request.sources)
    points = request.points()
    runtime = start_ray(cpus, address)
    try:
        found = _fit(request, points, store_url, progress, cpus)
    finally:
        stop_ray(runtime)
    return AgentTuneResult(histories, tuple(points), tuple(tuple(row) for row in found))


def gains(request: AgentTuneRequest, point: Point, store_url: str) -> list[float]:
    """Of one point on every history: the mean metric above the baseline's."""
    metric = METRICS[request.objective]

    def mean(kind: str, given: Point, source: HistorySource) -> float:
        means = []
        for feedback in request.feedbacks:
            items = request.items(kind, given, source, feedback)
            told = [_replayed(StoredItem(item, store_url)) for item in items]
            value = summarise([from_plain(item, each) for item, each in zip(items, told, strict=True)])[metric]
            means.append(0.0 if value is None else float(value))
        return float(np.mean(means))

    return [mean(request.kind, point, source) - mean(BASELINE, {}, source) for source in request.sources]


def _replayed(stored: StoredItem) -> dict[str, Any]:
    told = finished(stored)
    return run_item(stored) if told is None else told


def _fit(
    request: AgentTuneRequest, points: list[Point], store_url: str, progress: Progress, cpus: int | None
) -> list[list[float]]:
    from orchestration.studies.tune import TUNE_ENVIRONMENT

    os.environ.update(TUNE_ENVIRONMENT)
    from orchestration.studies.tune_agent_trial import fit

    with progress.phase("tune-agent", len(points), 0) as phase:
        return fit(request, points, store_url, search_path(), phase, cpus)
