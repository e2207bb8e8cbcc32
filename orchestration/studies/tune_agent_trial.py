"""One trial of a search for a scheduling agent's hyper-parameters. Imported only where Ray Tune is needed."""

from __future__ import annotations

import tempfile
from typing import Any

from ray import tune
from ray.tune import FailureConfig, RunConfig, TuneConfig

from envsearch.errors import ProctorError
from orchestration.runtime.progress import Phase
from orchestration.runtime.ray import extend_search_path
from orchestration.studies.tune_agent_request import AgentPoint, AgentTuneRequest, gains
from orchestration.studies.tune_trial import TuneProgress


def run_trial(config: dict[str, Any], request: AgentTuneRequest, store_url: str, folders: tuple[str, ...]) -> None:
    """Replay one point on every history."""
    extend_search_path(folders)
    point_gains = gains(request, request.points()[config["index"]], store_url)
    tune.report({"gain": sum(point_gains) / len(point_gains), "gains": point_gains, "failure": ""})


def fit(
    request: AgentTuneRequest,
    points: list[AgentPoint],
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
    TuneProgress.phase = phase
    # Replays are kept in the store; what Ray Tune itself writes is not needed afterwards.
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
                callbacks=[TuneProgress()],
            ),
        )
        try:
            grid = tuner.fit()
        finally:
            TuneProgress.phase = None
    by_index: dict[int, list[float]] = {}
    for position in range(len(grid)):
        trial = grid[position]
        if trial.error is not None or trial.metrics is None or "gains" not in trial.metrics or trial.config is None:
            raise ProctorError(f"a trial failed ({trial.error})")
        by_index[trial.config["index"]] = [float(value) for value in trial.metrics["gains"]]
    return [by_index[index] for index in range(len(points))]
