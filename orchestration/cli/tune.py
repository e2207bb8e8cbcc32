"""``proctor tune``: search hyper-parameters of a preset or a campaign spec with Ray Tune."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from agents.deeprl.presets import PRESETS, preset
from envsearch.errors import InputError
from envsearch.registry import environment, initial_spec
from orchestration.campaign.folder import campaign_home
from orchestration.campaign.run import RunSettings
from orchestration.campaign.spec.loading import experiment_names, load_spec
from orchestration.campaign.spec.resolving import resolve
from orchestration.cli.options import Address, Cpus, Format, Home, Store
from orchestration.cli.output import OutputFormat, console, print_json, print_table
from orchestration.runtime.progress import Progress
from orchestration.studies.search_space import default_space, read_space
from orchestration.studies.tune import run_tune
from orchestration.studies.tune_result import TrialResult, TuneRequest, TuneResult, best_yaml

SOURCE = "proctor tune"


def tune(
    subject: Annotated[
        str, typer.Argument(help="A preset (cartpole_ppo), a campaign spec (YAML), or an environment with ALGORITHM.")
    ],
    algorithm: Annotated[str | None, typer.Argument(help="Algorithm, where SUBJECT is an environment.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps per agent; default: the preset's or spec's.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Agents per trial.")] = 3,
    samples: Annotated[int, typer.Option(min=1, help="Points drawn in addition to the preset's own.")] = 8,
    space: Annotated[
        Path | None, typer.Option(help="YAML file of ranges, as in gamma: {uniform: [0.9, 0.999]}.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 0,
    early_stopping: Annotated[
        bool, typer.Option("--early-stopping", help="Stop poor trials before all their seeds are trained (ASHA).")
    ] = False,
    home: Home = None,
    store: Store = None,
    cpus: Cpus = None,
    address: Address = None,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Search hyper-parameters and print the best ones as fields of a campaign spec.

    The same command continues an interrupted search, and prints a finished search again without training.
    """
    request = request_for(subject, algorithm, steps, seeds)
    name = request.healthy.algorithm
    chosen_space = read_space(space, name) if space is not None else default_space(name)
    request = replace(request, space=chosen_space, samples=samples, seed=seed, early_stopping=early_stopping)
    where = RunSettings(home=campaign_home(home), store=store)
    with Progress() as progress:
        progress.note(f"tune {request.id}: {samples + 1} trials of {seeds} agents, {request.healthy.total_steps} steps")
        result = run_tune(request, where.home, where.result_store().url, progress, cpus, address)
    if output is OutputFormat.JSON:
        print_json({"id": result.id, "trials": [row(trial, result) for trial in result.ranked]})
        return
    _print_result(result, where.home)


def request_for(subject: str, algorithm: str | None, steps: int | None, seeds: int) -> TuneRequest:
    """What is tuned: the healthy agents of a campaign spec, a preset, or an environment and an algorithm.

    Raises:
        InputError: the subject is none of these, or names something that does not exist.
    """
    if subject.endswith((".yaml", ".yml")) or (algorithm is None and subject in experiment_names()):
        return _of_spec(subject, algorithm, steps, seeds)
    if algorithm is None:
        by_name = {file_name.removesuffix(".yaml"): pair for pair, file_name in PRESETS.items()}
        if subject not in by_name:
            expected = f"one of {', '.join(by_name)}, a spec file, or an environment and an algorithm"
            raise InputError(f"{subject!r} is not a preset", "SUBJECT", expected, SOURCE)
        subject, algorithm = by_name[subject]
    try:
        definition = environment(subject, field="ENVIRONMENT")
        healthy = preset(definition.name, algorithm).recipe(initial_spec(definition), steps)
    except InputError as error:
        raise error.located(SOURCE) from None
    return TuneRequest(healthy, tuple(range(seeds)), (), 0)


def _of_spec(path: str, algorithm: str | None, steps: int | None, seeds: int) -> TuneRequest:
    if algorithm is not None:
        raise InputError("a spec has its own algorithm", "ALGORITHM", "no second argument", SOURCE)
    changes: dict[str, Any] = {"seeds": seeds} | ({"steps": steps} if steps is not None else {})
    campaign = resolve(load_spec(path).model_copy(update=changes), path)
    return TuneRequest(
        campaign.healthy,
        campaign.seeds,
        space=(),
        samples=0,
        engine=campaign.engine,
        selection=campaign.selection,
        evaluation=campaign.evaluation,
    )


def row(trial: TrialResult, result: TuneResult) -> dict[str, Any]:
    """One trial as an object of the JSON list."""
    best = result.best
    return {
        "trial": trial.name,
        "mean_return": trial.mean_return,
        "returns": list(trial.returns),
        "complete": trial.complete,
        "best": best is not None and trial.index == best.index,
        "hyperparameters": dict(trial.hyperparameters),
        "failure": trial.failure or None,
    }


def _print_result(result: TuneResult, home: Path) -> None:
    rows = []
    for trial in result.ranked:
        state = "failed" if trial.failure else "complete" if trial.complete else "stopped early"
        changes = ", ".join(f"{name} {value}" for name, value in trial.hyperparameters)
        rows.append([trial.name, trial.mean_return, len(trial.returns), state, changes or None])
    title = f"{result.environment} / {result.algorithm}, {result.steps} steps"
    print_table(["trial", "mean_return", "seeds", "state", "hyperparameters"], rows, title)
    for trial in result.trials:
        if trial.failure:
            console().print(f"{trial.name}: {trial.failure}", style="dim", markup=False)
    print(best_yaml(result), end="")
    console().print(f"Saved in {home / 'tune' / result.id}", style="dim", markup=False)
