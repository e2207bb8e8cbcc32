"""One trial of a search for a scheduling agent's hyper-parameters. Imported only where Ray Tune is needed."""

from __future__ import annotations

import tempfile
from typing import Any

from ray import tune
from ray.tune import FailureConfig, RunConfig, TuneConfig

from envsearch.errors import ProctorError
from orchestration.runtime.progress import Phase
from orchestration.runtime.ray import extend_search_path
from orchestration.studies.tune_agent import AgentTuneRequest, Point, gains
from orchestration.studies.tune_trial import Teller


def run_trial(config: dict[str, Any], request: AgentTuneRequest, store_url: str, folders: tuple[str, ...]) -> None:
    """Replay one point on every history."""
    extend_search_path(folders)
    found = gains(request, request.points()[config["index"]], store_url)
    tune.report({"gain": sum(found) / len(found), "gains": found, "failure": ""})


def fit(
    request: AgentTuneRequest,
    points: list[Point],
    store_url: str,
    folders: tuple[str, ...],
    phase: Phase,
    cpus: int | None,
) -> list[list[float]]:
    """Gains of every point, in their order.

    Raises:
        ProctorError: a trial failed.
    """
    trainable = tune.with_parameters(run_trial, request=request, store_url=store_url, folders=folders)
    Teller.phase = phase
    # Replays are kept in the store; what Ray Tune itself writes is of no use afterwards.
    with tempfile.TemporaryDirectory(prefix="proctor-tune-agent-") as folder:
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            param_space={"index": tune.grid_search(list(range(len(points))))},
            tune_config=TuneConfig(metric="gain", mode="max", max_concurrent_trials=cpus, reuse_actors=True),
            run_config=RunConfig(
                name="trials",
                storage_path=folder,
                verbose=0,
                failure_config=FailureConfig(max_failures=1),
                callbacks=[Teller()],
            ),
        )
        try:
            grid = tuner.fit()
        finally:
            Teller.phase = None
    found: dict[int, list[float]] = {}
    for place in range(len(grid)):
        one = grid[place]
        if one.error is not None or one.metrics is None or "gains" not in one.metrics or one.config is None:
            raise ProctorError(f"a trial failed ({one.error})")
        found[one.config["index"]] = [float(value) for value in one.metrics["gains"]]
    return [found[index] for index in range(len(points))]
