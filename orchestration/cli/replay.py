"""``proctor replay``: what would agents have done on a CI history?"""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from envsearch.errors import InputError
from orchestration.cli.options import Address, Cpus, Executor, ExecutorName, Format, Home, Quiet, TrackingUri
from orchestration.cli.output import OutputFormat, console, json_value, print_json, print_table

if TYPE_CHECKING:
    from orchestration.runtime.progress import Progress
    from orchestration.studies.replay import ReplayedPair, ReplayRequest
    from orchestration.studies.replay_item import HistorySource

SOURCE = "proctor replay"
DEFAULT_KINDS = ("failure_model", "failure_rate", "last_failed_first", "random")
FLAKY_KINDS = ("failure_model", "random")
FLAKY_BUDGET = 3600.0
"""Seconds, as in the demo of the original article."""
COLUMNS = ("agent", "reward", "napfd", "apfd", "apfdc", "ttff", "recall", "seconds_per_cycle")


class Fill(StrEnum):
    """What ``--fill`` accepts."""

    GREEDY = "greedy"
    PREFIX = "prefix"


class Objective(StrEnum):
    """What ``--objective`` accepts."""

    FAILURES_FIRST = "failures_first"
    TIME_FIRST = "time_first"


class Feedback(StrEnum):
    """What ``--feedback`` accepts."""

    FULL = "full"
    PARTIAL = "partial"


def replay(
    history: Annotated[
        Path | None, typer.Argument(metavar="[HISTORY]", help="RETECS csv, COLEMAN csv or parquet, recorded, JUnit.")
    ] = None,
    agent: Annotated[
        list[str] | None,
        typer.Option(help=f"Agent kind or module:Class; may be repeated (default: {', '.join(DEFAULT_KINDS)})."),
    ] = None,
    reward: Annotated[
        list[str] | None, typer.Option(help="Reward or module:Class; may be repeated (default: verdict).")
    ] = None,
    objective: Annotated[
        Objective | None, typer.Option(help="Objective of the agents that have one (default: failures_first).")
    ] = None,
    exploration: Annotated[str, typer.Option(help="Exploration of all agents, or module:Class.")] = "none",
    budget: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of each cycle's time.")] = 0.5,
    budget_minutes: Annotated[
        float | None, typer.Option(min=0.0, help="The same budget for every cycle, instead of a share.")
    ] = None,
    fill: Annotated[Fill, typer.Option(help="greedy: a later, shorter test may still fit.")] = Fill.GREEDY,
    feedback: Annotated[Feedback, typer.Option(help="partial: only the results of selected tests.")] = Feedback.FULL,
    seeds: Annotated[int, typer.Option(min=1, help="Replays per agent and reward.")] = 10,
    cycles: Annotated[int | None, typer.Option(min=1, help="Only the first cycles.")] = None,
    synthetic: Annotated[str | None, typer.Option(help="A synthetic history instead of a file: flaky.")] = None,
    history_format: Annotated[str | None, typer.Option(help="Format of the file, if detection fails.")] = None,
    errors_as_failures: Annotated[
        bool, typer.Option("--errors-as-failures", help="Treat an error in the history as a failure of the test.")
    ] = False,
    url: Annotated[str | None, typer.Option(help="Replay through this running service, over HTTP.")] = None,
    token: Annotated[str | None, typer.Option(envvar="PROCTOR_TOKEN", help="Bearer token of the service.")] = None,
    keep_agents: Annotated[bool, typer.Option("--keep-agents", help="Leave the agents in the service.")] = False,
    executor: Executor = ExecutorName.AUTO,
    cpus: Cpus = None,
    address: Address = None,
    home: Home = None,
    tracking_uri: TrackingUri = None,
    plot: Annotated[Path | None, typer.Option(help="Where to draw the curves (default: in the home).")] = None,
    quiet: Quiet = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Replay a CI history through agents and measure the orders that they produce.

    Every agent is replayed with every reward and several seeds. Finished replays are not repeated.
    """
    from agents.scheduling.settings import DEFAULT_REWARD, AgentSettings
    from orchestration.campaign.folder import campaign_home
    from orchestration.campaign.tracking.registry import tracker
    from orchestration.runtime.progress import Progress
    from orchestration.studies.replay import ReplayRequest
    from orchestration.studies.replay_runs import replay_children, replay_parent

    flaky_budget = FLAKY_BUDGET if synthetic == "flaky" else None
    request = ReplayRequest(
        source=source(history, synthetic, history_format, cycles, errors_as_failures),
        kinds=tuple(dict.fromkeys(agent or (FLAKY_KINDS if synthetic else DEFAULT_KINDS))),
        rewards=tuple(dict.fromkeys(reward or (DEFAULT_REWARD,))),
        seeds=seeds,
        fill=fill.value,
        budget_share=budget,
        budget_seconds=flaky_budget if budget_minutes is None else budget_minutes * 60.0,
        feedback=feedback.value,
        objective=None if objective is None else objective.value,
        settings=AgentSettings("random", exploration=exploration),
    )
    tell_notes(request.source)
    where = campaign_home(home)
    memory = tracker(tracking_uri, where)
    with Progress("silent" if quiet else "auto") as progress:
        if url is None:
            pairs = _locally(request, where, progress, executor.value, cpus, address)
        else:
            pairs = _through(url, token, request, progress, keep_agents)
    folder = where / "replays" / request.id
    picture = _picture(plot, folder)
    if picture is not None:
        draw_curves(pairs, request, picture)
    rows = save(pairs, folder)
    memory.log_runs(replay_parent(pairs, request, url), replay_children(pairs), picture)
    print_result(rows, pairs, request, picture, output)


def source(
    history: Path | None, synthetic: str | None, form: str | None, cycles: int | None, errors_as_failures: bool = False
) -> Any:
    """Where the history comes from.

    Raises:
        InputError: neither or both are named.
    """
    from orchestration.studies.replay_item import HistorySource

    if (history is None) == (synthetic is None):
        problem = "no history is named" if history is None else "a file and --synthetic exclude each other"
        raise InputError(problem, "HISTORY", "a history file, or --synthetic flaky", SOURCE)
    if synthetic is not None:
        return HistorySource.made_up(synthetic, cycles=cycles)
    assert history is not None
    return HistorySource.of_file(history, form, cycles, errors_as_failures)


def tell_notes(source: HistorySource) -> None:
    """What was passed over in the history, and why there may be nothing to measure; on the error stream.

    Raises:
        InputError: see `load_history`.
    """
    from orchestration.studies.replay_item import load

    history = load(source)
    hints = list(history.notes)
    if not history.failing_cycles:
        hints.append("no cycle has a failing test: nothing to measure")
        if history.errors:
            hints.append(f"errors read as the infrastructure's: {history.errors}; --errors-as-failures counts them")
    for hint in hints:
        print(f"note: {hint}", file=sys.stderr)


def _locally(
    request: ReplayRequest, home: Path, progress: Progress, executor: str, cpus: int | None, address: str | None
) -> list[ReplayedPair]:
    from orchestration.cli.errors import resumable
    from orchestration.studies.replay import run_replays

    with resumable("replays") as interrupted:
        return run_replays(request, str(home / "store"), progress, executor, cpus, address, interrupted)


def _through(url: str, token: str | None, request: ReplayRequest, progress: Progress, keep: bool) -> list[ReplayedPair]:
    from proctor_client import SchedulerClient

    from orchestration.studies.replay import run_replays_with
    from orchestration.studies.replay_http import HttpReplay, client_errors

    try:
        client = SchedulerClient(url, token, on_failure="raise")
    except ValueError as error:
        raise InputError(str(error), "--url", source=SOURCE) from None
    with client:
        with client_errors():
            client.ready()
        return run_replays_with(request, progress, HttpReplay(client, keep=keep).run)


def _picture(plot: Path | None, folder: Path) -> Path | None:
    """Where to draw the curves; None: they are not requested, and nothing here can draw."""
    from envsearch.extras import is_installed, missing_extra

    if is_installed("matplotlib"):
        return plot or folder / "curves.png"
    if plot is not None:
        raise missing_extra("drawing", "matplotlib", "--plot")
    return None


def draw_curves(pairs: list[ReplayedPair], request: ReplayRequest, path: Path) -> None:
    """NAPFD and time to first failure per cycle; minutes where the budget is in minutes."""
    from orchestration.studies.replay import BASELINES
    from orchestration.studies.replay_plot import draw

    several = len(request.rewards) > 1
    named = [(f"{p.kind}, {p.reward}" if several else p.kind, p.kind in BASELINES, p) for p in pairs]
    panels = [
        ("NAPFD", [(name, grey, pair.curve("napfd")) for name, grey, pair in named]),
        ("time to first failure, share of the cycle", [(name, grey, pair.curve("ttff")) for name, grey, pair in named]),
    ]
    if request.budget_seconds is not None:
        panels.append(("minutes to first failure or end", [(name, grey, pair.minutes) for name, grey, pair in named]))
    title = f"{pairs[0].results[0].history}, {budget_text(request)}: rolling means over {request.seeds} seeds"
    draw(panels, title, path)


def budget_text(request: ReplayRequest) -> str:
    """For titles."""
    if request.budget_seconds is not None:
        return f"budget {request.budget_seconds / 60:g} min"
    return f"budget {request.budget_share:.0%}"


def save(pairs: list[ReplayedPair], folder: Path) -> list[dict[str, Any]]:
    """The rows, also as a file in the folder of this replay."""
    from orchestration.campaign.folder import write_whole

    rows: list[dict[str, Any]] = json_value([pair.row() for pair in pairs])
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "replay.json", json.dumps(rows, indent=1, allow_nan=False) + "\n")
    return rows


def print_result(
    rows: list[dict[str, Any]],
    pairs: list[ReplayedPair],
    request: ReplayRequest,
    plot: Path | None,
    output: OutputFormat,
) -> None:
    """The table or the JSON list."""
    if output is OutputFormat.JSON:
        print_json(rows)
        return
    first = rows[0]
    if not first["failing_cycles"]:
        print(f"{first['history']}: {first['cycles']} cycles, 0 failing: nothing to measure")
        return
    title = (
        f"{first['history']}: {first['cycles']} cycles, {first['failing_cycles']} failing; {budget_text(request)}, "
        f"{request.fill} fill, {request.feedback} feedback, {request.seeds} seeds"
    )
    columns = [*COLUMNS, *(["minutes_to_first_failure"] if request.budget_seconds is not None else [])]
    print_table(columns, [[row[name] for name in columns] for row in rows], title)
    if request.budget_seconds is not None:
        _print_minutes(pairs)
    if plot is not None:
        console().print(f"Curves: {plot}", style="dim", markup=False, soft_wrap=True)


def _print_minutes(pairs: list[ReplayedPair]) -> None:
    """First and last third of the cycles: whether it improved."""
    print("Minutes to the first failure, or until all that fits the budget was run:")
    for pair in pairs:
        third = max(1, len(pair.minutes) // 3)
        early, late = pair.minutes[:third].mean(), pair.minutes[-third:].mean()
        print(f"  {pair.kind}: {early:.1f} in the first {third} cycles, {late:.1f} in the last {third}")
