"""One trial of a tune, as a Ray worker runs it. Imported only where Ray Tune is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ray import tune
from ray.tune import Callback
from ray.tune.experiment import Trial

from agents.deeprl.recipe import Scalar, TrainingRecipe
from orchestration.campaign.context import last_line
from orchestration.execution.results import ResultStore
from orchestration.execution.tasks import DEFAULT_FUNCTIONS, TaskFunctions, run_block
from orchestration.execution.work import AgentKey, BlockReport, EvaluateBlock, EvaluationKey, TrainBlock
from orchestration.runtime.progress import Phase
from orchestration.runtime.ray import extend_search_path

FAILED = float("-inf")
"""Objective of a trial with a failed agent: below all others."""


@dataclass(frozen=True, slots=True)
class TrialTask:
    """What the trials of one tune share.

    Attributes:
        agents: of the preset, one per seed; a trial changes their hyper-parameters.
        episodes, evaluation_seed: see `EvaluationKey`.
        store_url: where agents and evaluations are kept, so that nothing is trained twice.
        folders: where a user's own parts are imported from.
    """

    agents: tuple[AgentKey, ...]
    episodes: int
    evaluation_seed: int
    store_url: str
    folders: tuple[str, ...] = ()
    functions: TaskFunctions = DEFAULT_FUNCTIONS


def with_hyperparameters(recipe: TrainingRecipe, changes: dict[str, Scalar]) -> TrainingRecipe:
    """The recipe with some hyper-parameters changed."""
    return recipe.replace(hyperparameters=tuple({**dict(recipe.hyperparameters), **changes}.items()))


def run_trial(config: dict[str, Any], task: TrialTask) -> None:
    """Train and evaluate one agent per seed; after each, report the mean return over the seeds so far.

    A failing agent is the trial's result, not a crash: Ray repeats crashed trials, and this trial would fail again.
    """
    extend_search_path(task.folders)
    returns: list[float] = []
    for key in task.agents:
        recipe = with_hyperparameters(key.recipe, config["point"]["hyperparameters"])
        agent = AgentKey(recipe, key.seed, key.engine, key.selection)
        evaluation = EvaluationKey(agent, recipe.environment, task.episodes, task.evaluation_seed)
        for block in (TrainBlock((agent,)), EvaluateBlock((evaluation,))):
            report: BlockReport = run_block(block, task.store_url, task.functions)
            if report.failed:
                tune.report({"mean_return": FAILED, "returns": returns, "failure": last_line(report.traceback)})
                return
        episodes = ResultStore(task.store_url).load_evaluation(evaluation)
        returns.append(sum(episodes) / len(episodes))
        tune.report({"mean_return": sum(returns) / len(returns), "returns": returns, "failure": ""})


def trial_name(trial: Trial) -> str:
    """Name of a trial and of its folder."""
    return f"trial_{trial.config['point']['index']:03d}"


class TuneProgress(Callback):
    """Advances the driver's progress bar. It is pickled with the tuner and read back on resumption, so the bar
    itself is a class attribute.
    """

    phase: ClassVar[Phase | None] = None

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Count a trial that ended, whether or not its agents failed."""
        if self.phase is not None:
            self.phase.advance(1, int(bool((trial.last_result or {}).get("failure"))))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Count a trial whose worker died once too often."""
        if self.phase is not None:
            self.phase.advance(1, 1)
