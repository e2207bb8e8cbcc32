"""``proctor tune-agent``: hyper-parameters of a scheduling agent, searched with Ray Tune, judged on histories left out.

Every replay is kept under its content address, so that an interrupted search goes on where it was.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestration.runtime.progress import Progress
from orchestration.runtime.ray import search_path, start_ray, stop_ray
from orchestration.studies.replay_item import load
from orchestration.studies.tune_agent_request import AgentPoint, AgentTuneRequest


@dataclass(frozen=True, slots=True)
class AgentTuneResult:
    """Gains over the baseline of every point on every history, shape (points, histories); point 0 is the default."""

    histories: tuple[str, ...]
    points: tuple[AgentPoint, ...]
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
        """Per history: the gain of the default, of the point chosen without it, of the best in hindsight."""
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
    """Replay every point on every history, and compare. Finished replays are read from the store.

    Raises:
        InputError: a history or a setting is wrong; nothing is replayed then.
        KeyboardInterrupt: finished replays are kept.
    """
    histories = tuple(load(source).name for source in request.sources)
    points = request.points()
    runtime = start_ray(cpus, address)
    try:
        gains = _fit(request, points, store_url, progress, cpus)
    finally:
        stop_ray(runtime)
    return AgentTuneResult(histories, tuple(points), tuple(tuple(row) for row in gains))


def _fit(
    request: AgentTuneRequest, points: list[AgentPoint], store_url: str, progress: Progress, cpus: int | None
) -> list[list[float]]:
    from orchestration.studies.tune import TUNE_ENVIRONMENT

    os.environ.update(TUNE_ENVIRONMENT)
    from orchestration.studies.tune_agent_trial import fit

    with progress.phase("tune-agent", len(points), 0) as phase:
        return fit(request, points, store_url, search_path(), phase, cpus)
