"""What is tracked of replays, as plain data: a parent run, and one run per agent and reward, means over the seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from agents.scheduling.metrics import METRIC_NAMES
from orchestration.campaign.tracking.tracked_run import Measurement, TrackedRun, key_part, measurements

if TYPE_CHECKING:
    from orchestration.studies.replay import ReplayedPair, ReplayRequest

NUMBERS = (*METRIC_NAMES, "seconds_per_cycle", "missed_cycles", "minutes_to_first_failure", "exploration")


def replay_parent(pairs: list[ReplayedPair], request: ReplayRequest, url: str | None) -> TrackedRun:
    """The parent: what was replayed, and each agent's NAPFD."""
    first = pairs[0].row()
    names = ("history", "feedback", "fill", "budget", "cycles", "failing_cycles")
    params = {name: str(first[name]) for name in names} | {"seeds": str(request.seeds), "url": url or "in the library"}
    numbers = [(key_part(f"{pair.kind}/{pair.reward}/napfd"), pair.row()["napfd"]) for pair in pairs]
    return TrackedRun(
        name=f"replay {first['history']} {request.id[:8]}",
        kind="replay",
        params=tuple(params.items()),
        measurements=measurements(numbers),
        tags=(("run_id", request.id),),
    )


def replay_children(pairs: list[ReplayedPair]) -> list[TrackedRun]:
    """One run per agent and reward: means as numbers, NAPFD and time to first failure as curves over the cycles."""
    return [_child(pair, pair.row()) for pair in pairs]


def _child(pair: ReplayedPair, row: dict[str, Any]) -> TrackedRun:
    curves = [
        Measurement(f"cycle/{name}", float(value), cycle)
        for name in ("napfd", "ttff")
        for cycle, value in enumerate(pair.curve(name), start=1)
        if np.isfinite(value)
    ]
    return TrackedRun(
        name=f"{pair.kind} {pair.reward}",
        kind="replay agent",
        params=(("agent", pair.kind), ("reward", pair.reward), ("seeds", str(len(pair.results)))),
        measurements=(*measurements((name, row[name]) for name in NUMBERS), *curves),
    )
