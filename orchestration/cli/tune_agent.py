"""``proctor tune-agent``: search hyper-parameters of a scheduling agent on a folder of CI histories."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from envsearch.errors import InputError
from orchestration.cli.options import Address, Cpus, Format, Home, Quiet
from orchestration.cli.output import OutputFormat, print_json, print_table
from orchestration.cli.replay import Objective

if TYPE_CHECKING:
    from orchestration.studies.replay_item import HistorySource
    from orchestration.studies.tune_agent import AgentTuneResult

SOURCE = "proctor tune-agent"
ENDINGS = (".csv", ".parquet")


def tune_agent(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="CI histories, *.csv and *.parquet; two or more.")],
    agent: Annotated[str, typer.Option(help="Agent kind.")] = "failure_model",
    objective: Annotated[Objective, typer.Option(help="What to optimise.")] = Objective.FAILURES_FIRST,
    samples: Annotated[int, typer.Option(min=1, help="Points drawn in addition to the kind's defaults.")] = 12,
    seeds: Annotated[int, typer.Option(min=1, help="Replays per point, history and feedback.")] = 1,
    space: Annotated[Path | None, typer.Option(help="JSON file: hyper-parameter -> list of values.")] = None,
    cycles: Annotated[int | None, typer.Option(min=1, help="Only the first cycles of each history.")] = None,
    errors_as_failures: Annotated[
        bool, typer.Option("--errors-as-failures", help="Treat an error in a history as a failure of the test.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 0,
    home: Home = None,
    cpus: Cpus = None,
    address: Address = None,
    quiet: Quiet = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Search hyper-parameters and judge the choice for each history from the others alone (leave one history out).

    Every replay is kept: the same command continues where it was interrupted.
    """
    from orchestration.campaign.folder import campaign_home, write_whole
    from orchestration.runtime.progress import Progress
    from orchestration.studies.tune_agent import run_agent_tune
    from orchestration.studies.tune_agent_request import AgentTuneRequest

    request = AgentTuneRequest(
        sources=histories(folder, cycles, errors_as_failures),
        kind=agent,
        space=_space(space, agent),
        objective=objective.value,
        samples=samples,
        seeds=seeds,
        seed=seed,
    )
    where = campaign_home(home)
    with Progress("silent" if quiet else "auto") as progress:
        result = run_agent_tune(request, str(where / "store"), progress, cpus, address)
    summary = report(result)
    saved = where / "tune-agent" / request.id
    saved.mkdir(parents=True, exist_ok=True)
    write_whole(saved / "result.json", json.dumps(summary, indent=1) + "\n")
    if output is OutputFormat.JSON:
        print_json(summary)
        return
    _print(summary)


def histories(folder: Path, cycles: int | None, errors_as_failures: bool = False) -> tuple[HistorySource, ...]:
    """The history files of a folder, by name.

    Raises:
        InputError: it is not a folder, or holds no history.
    """
    from orchestration.studies.replay_item import HistorySource

    if not folder.is_dir():
        raise InputError("is not a folder", "FOLDER", "a folder of CI histories", str(folder))
    files = sorted(path for path in folder.iterdir() if path.suffix in ENDINGS)
    if not files:
        raise InputError("holds no history", "FOLDER", f"files that end in {' or '.join(ENDINGS)}", str(folder))
    return tuple(HistorySource.of_file(path, None, cycles, errors_as_failures) for path in files)


def report(result: AgentTuneResult) -> dict[str, Any]:
    """The validation, and every point with its gains, best first."""
    order = sorted(range(len(result.points)), key=lambda place: -sum(result.gains[place]))
    return {
        "validation": result.validation(),
        "best": result.points[result.best],
        "points": [
            {
                "point": place,
                "hyperparameters": result.points[place],
                "mean": sum(result.gains[place]) / len(result.histories),
                **dict(zip(result.histories, result.gains[place], strict=True)),
            }
            for place in order
        ],
    }


def _space(path: Path | None, kind: str) -> dict[str, Any]:
    from orchestration.studies.tune_agent_request import DEFAULT_SPACE

    if path is None:
        if kind not in DEFAULT_SPACE:
            raise InputError(f"{kind} has no default search space", "--space", "a JSON file of lists of values", SOURCE)
        return dict(DEFAULT_SPACE[kind])
    try:
        space = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot be read ({type(error).__name__})", "--space", "a JSON file", str(path)) from error
    if not isinstance(space, dict) or not all(isinstance(values, list) and values for values in space.values()):
        raise InputError("has the wrong form", "--space", 'an object of lists, as in {"cost": [0.0, 0.1]}', str(path))
    return space


def _print(summary: dict[str, Any]) -> None:
    columns = ["history", "default", "chosen_without_it", "point", "best_with_hindsight"]
    print_table(columns, [[row[name] for name in columns] for row in summary["validation"]], "Leave one history out")
    points = summary["points"]
    names = [name for name in points[0] if name != "hyperparameters"]
    rows = [[*(point[name] for name in names), json.dumps(point["hyperparameters"])] for point in points]
    print_table([*names, "hyperparameters"], rows, "Gain over failure_rate")
