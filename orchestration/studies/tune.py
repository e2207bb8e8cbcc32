"""``proctor tune``: search hyper-parameters of a preset with Ray Tune, starting with the preset's own.

The points are drawn here, by a seeded generator, and Ray Tune runs, stops early and resumes them. Agents and
evaluations are kept in the same store as those of campaigns, under the same addresses: a tune that is killed trains no
finished agent again, and a campaign with the best hyper-parameters already has its healthy agents.
"""

from __future__ import annotations

import fcntl
import json
import os
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.deeprl.engines.registry import engine
from envsearch.canonical import plain
from envsearch.errors import CorruptArtifactError, InputError
from orchestration.campaign.folder import write_whole
from orchestration.execution.work import AgentKey
from orchestration.runtime.progress import Progress
from orchestration.runtime.ray import search_path, start_ray, stop_ray
from orchestration.studies.tune_result import TrialResult, TuneRequest, TuneResult, best_yaml, read_result

if TYPE_CHECKING:
    from ray.tune import RunConfig, TuneConfig, Tuner

MAX_WORKER_DEATHS = 3
"""How often a trial is restarted after its worker died."""

TUNE_ENVIRONMENT = {
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
}
"""Ctrl-C works as everywhere else; no unused log files; nothing on stdout (with ``verbose=0``)."""


def run_tune(
    request: TuneRequest,
    home: Path,
    store_url: str,
    progress: Progress,
    cpus: int | None = None,
    address: str | None = None,
) -> TuneResult:
    """Run a tune to its end, or continue it where it stopped.

    Args:
        home: its files go to ``<home>/tune/<id>/``: ``trials/`` (Ray Tune's own), and at the end ``result.json`` and
            ``best.yaml``.
        store_url: where agents and evaluations are kept.
        cpus: trials that run at once, one CPU each; all of the cluster's by default.
        address: see `start_ray`.

    Raises:
        InputError: a point cannot be trained; the same search is running elsewhere; no Ray cluster at the address.
        CorruptArtifactError: the state of an earlier run cannot be read back.
        KeyboardInterrupt: the same call continues later.
    """
    folder = (home / "tune" / request.id).absolute()
    if (folder / "result.json").exists():
        return read_result(folder)
    _refuse_untrainable(request)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        runtime = start_ray(cpus, address)
        try:
            result = _fit(request, folder, store_url, progress, cpus)
        finally:
            stop_ray(runtime)
        write_whole(folder / "best.yaml", best_yaml(result))
        write_whole(folder / "result.json", json.dumps(plain(result), indent=1))
    return result


def _refuse_untrainable(request: TuneRequest) -> None:
    """Refuse what the engine cannot train before anything is trained."""
    from orchestration.studies.tune_trial import with_hyperparameters

    trainer = engine(request.engine)
    for candidate in request.candidates():
        reason = trainer.objection(with_hyperparameters(request.healthy, candidate))
        if reason is not None:
            raise InputError(f"{candidate} cannot be trained ({reason})", "space", "values that the engine accepts")


def _fit(request: TuneRequest, folder: Path, store_url: str, progress: Progress, cpus: int | None) -> TuneResult:
    os.environ.update(TUNE_ENVIRONMENT)
    from orchestration.studies.tune_trial import TuneProgress

    tuner, finished = _tuner(request, folder, store_url, cpus)
    with progress.phase("tune", request.samples + 1, finished) as phase:
        TuneProgress.phase = phase
        try:
            grid = tuner.fit()
        finally:
            TuneProgress.phase = None
    trials = sorted((_trial_result(request, grid[place]) for place in range(len(grid))), key=lambda trial: trial.index)
    healthy = request.healthy
    return TuneResult(request.id, healthy.environment.name, healthy.algorithm, healthy.total_steps, tuple(trials))


def _tuner(request: TuneRequest, folder: Path, store_url: str, cpus: int | None) -> tuple[Tuner, int]:
    """A new tuner, or the interrupted one in the folder; and how many of its trials have ended."""
    from ray import tune

    trainable = _trainable(request, store_url)
    path = folder / "trials"
    if tune.Tuner.can_restore(str(path)):
        try:
            restored = tune.Tuner.restore(str(path), trainable)
            return restored, restored.get_results().num_terminated
        except Exception as error:  # whatever a damaged or foreign pickle raises
            expected = "the state of a tune; delete this folder and run again (finished agents are kept in the store)"
            raise CorruptArtifactError(f"cannot be read ({error})", "", expected, str(path)) from error
    points = [{"index": index, "hyperparameters": candidate} for index, candidate in enumerate(request.candidates())]
    space = {"point": tune.grid_search(points)}
    return tune.Tuner(
        trainable, param_space=space, tune_config=_tune_config(request, cpus), run_config=_run_config(folder)
    ), 0


def _trainable(request: TuneRequest, store_url: str) -> Any:
    from ray import tune

    from orchestration.studies.tune_trial import TrialTask, run_trial

    task = TrialTask(
        agents=tuple(AgentKey(request.healthy, seed, request.engine, request.selection) for seed in request.seeds),
        episodes=request.evaluation.episodes,
        evaluation_seed=request.evaluation.seed,
        store_url=store_url,
        folders=search_path(),
    )
    return tune.with_resources(tune.with_parameters(run_trial, task=task), {"cpu": 1})


def _tune_config(request: TuneRequest, cpus: int | None) -> TuneConfig:
    from ray.tune import TuneConfig
    from ray.tune.schedulers import ASHAScheduler

    from orchestration.studies.tune_trial import trial_name

    seeds = len(request.seeds)
    return TuneConfig(
        metric="mean_return",
        mode="max",
        max_concurrent_trials=cpus,
        reuse_actors=True,
        trial_name_creator=trial_name,
        trial_dirname_creator=trial_name,
        # The "time" of a trial is the number of its seeds that have been trained.
        scheduler=ASHAScheduler(max_t=seeds, grace_period=1, reduction_factor=3) if request.early_stopping else None,
    )


def _run_config(folder: Path) -> RunConfig:
    from ray.tune import FailureConfig, RunConfig

    from orchestration.studies.tune_trial import TuneProgress

    return RunConfig(
        name="trials",
        storage_path=str(folder),
        verbose=0,
        failure_config=FailureConfig(max_failures=MAX_WORKER_DEATHS),
        callbacks=[TuneProgress()],
    )


def _trial_result(request: TuneRequest, trial: Any) -> TrialResult:
    """One of Ray Tune's results as plain data."""
    metrics, point = trial.metrics or {}, trial.config["point"]
    returns = tuple(float(value) for value in metrics.get("returns", ()))
    failure = str(metrics.get("failure") or (f"{type(trial.error).__name__}" if trial.error else ""))
    complete = not failure and len(returns) == len(request.seeds)
    mean = statistics.fmean(returns) if returns and not failure else None
    return TrialResult(point["index"], tuple(point["hyperparameters"].items()), mean, returns, complete, failure)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time; the operating system releases the lock however its holder ends."""
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                "this search is already running", "", "one process at a time; wait until it ends", str(folder)
            ) from None
        yield
