"""The service's half of ``proctor demo``: serve, recommend, report and reward over HTTP, compare, stop."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.scheduling.settings import DEFAULT_REWARD
from envsearch.errors import ProctorError

if TYPE_CHECKING:
    from proctor_client import SchedulerClient

    from agents.scheduling.loaders.ci_history import CiHistory
    from agents.scheduling.observation import FloatArray

LIVE = ("failure-model", "failure_model")
SHADOWS = (("bandit", "bandit"), ("failure-rate", "failure_rate"), ("random", "random"))
"""(name, kind): the live agent's order is run; the shadows rank the same tests and learn from the same results."""

JOB = "unit"
BUDGET_SHARE = 0.5
START_SECONDS = 120.0
STOP_SECONDS = 40.0
MEASURES = ("napfd", "apfd", "apfdc", "ttff", "recall")


def own_history() -> Path:
    """The project's own recorded history (see docs/recording.md)."""
    return Path(str(resources.files("orchestration.campaign.experiments").joinpath("own_history.parquet")))


def run_service_demo(home: Path, cycles: int = 100, history: Path | None = None) -> Path:
    """Serve on a free port, replay cycles through four agents with the client, print the table; the plot's path.

    The service has its own folder below `home`, which is emptied first. The service is stopped in any case.

    Args:
        history: any history file; the project's own by default.

    Raises:
        ProctorError: the service does not start.
        KeyboardInterrupt: Ctrl-C.
    """
    from agents.scheduling.loaders.ci_history import CiHistory
    from agents.scheduling.loaders.registry import load_history

    loaded = load_history(history or own_history())
    loaded = CiHistory(loaded.name, loaded.cycles[:cycles])
    folder = home / "service-demo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(
        f"Scheduling demo: {len(loaded)} cycles of {loaded.name}, {loaded.failing_cycles} of them with a failing test"
    )
    with service(folder) as client:
        create_agents(client)
        replay_cycles(client, loaded)
        curves = {name: curves_of(client, name, len(loaded)) for name, _ in (LIVE, *SHADOWS)}
    print_curves(curves)
    path = folder / "curves.png"
    draw_curves(curves, loaded.name, path)
    print(f"Curves: {path}", flush=True)
    return path


@contextmanager
def service(folder: Path) -> Iterator[SchedulerClient]:
    """A client of a service that runs while the context lasts.

    Raises:
        ProctorError: it does not start; names its log.
    """
    from proctor_client import SchedulerClient

    from orchestration.runtime.serve import free_port

    port, log = free_port(), folder / "serve.log"
    command = [sys.executable, "-m", "orchestration", "serve", "--port", str(port), "--home", str(folder)]
    with log.open("wb") as output:
        # In its own session: Ctrl-C reaches this process only, which then stops the service gracefully.
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        with SchedulerClient(f"http://127.0.0.1:{port}", on_failure="raise") as client:
            print(f"1. Start the service: proctor serve --port {port}", flush=True)
            _await_ready(client, process, log)
            yield client
            print("4. Stop the service.", flush=True)
    finally:
        _stop(process)


def create_agents(client: SchedulerClient) -> None:
    """The live agent and its shadows, which rank the same tests and learn from the same results."""
    shadows = ", ".join(name for name, _ in SHADOWS)
    print(f"2. Create the agent {LIVE[0]} and its shadows {shadows}.", flush=True)
    for name, kind in (LIVE, *SHADOWS):
        client.create_agent(name, kind, reward=DEFAULT_REWARD, seed=0)


def replay_cycles(client: SchedulerClient, history: CiHistory) -> None:
    """Every cycle as a CI job would do it: request an order, run within the budget, report, reward."""
    from orchestration.runtime.progress import Progress
    from orchestration.studies.replay_http import as_case, results_of

    print(f"3. Replay: half of each cycle's time as budget, {LIVE[0]} decides.", flush=True)
    shadows = tuple(name for name, _ in SHADOWS)
    with Progress() as progress, progress.phase("recommend, run, reward", len(history)) as phase:
        for cycle in history:
            budget = BUDGET_SHARE * float(np.nansum(cycle.durations))
            tests = [as_case(test) for test in cycle.tests]
            with client.episode(LIVE[0], JOB, tests, time_budget_seconds=budget, observe=shadows) as episode:
                for result in results_of(cycle, episode.recommendation, "full"):
                    episode.report(result.id, result.verdict, result.duration, result.finished_at)
            phase.advance()


def curves_of(client: SchedulerClient, agent: str, cycles: int) -> dict[str, FloatArray]:
    """Each measure per cycle, as the service reports it; NaN in cycles without a failing test."""
    curves = {name: np.full(cycles, np.nan) for name in MEASURES}
    for place, row in enumerate(client.metrics(agent)):
        for name in MEASURES:
            curves[name][place] = row.metrics.get(name, np.nan)
    return curves


def print_curves(curves: dict[str, dict[str, FloatArray]]) -> None:
    """The table of means over the failing cycles."""
    from orchestration.cli.output import print_table

    rows: list[list[Any]] = []
    for name, measures in curves.items():
        role = "live" if name == LIVE[0] else "shadow"
        half = len(measures["napfd"]) // 2
        halves = [_mean(measures["napfd"][:half]), _mean(measures["napfd"][half:])]
        rows.append([name, role, *(_mean(measures[measure]) for measure in MEASURES), *halves])
    columns = ["agent", "role", *MEASURES, "napfd, 1st half", "napfd, 2nd half"]
    print_table(columns, rows, "Mean over the cycles with a failing test")


def draw_curves(curves: dict[str, dict[str, FloatArray]], history: str, path: Path) -> None:
    """NAPFD and time to first failure per cycle."""
    from orchestration.studies.replay import BASELINES
    from orchestration.studies.replay_plot import draw

    grey = {name: kind in BASELINES for name, kind in (LIVE, *SHADOWS)}
    panels = [
        (label, [(name, grey[name], measures[measure]) for name, measures in curves.items()])
        for label, measure in (("NAPFD", "napfd"), ("time to first failure, share of the cycle", "ttff"))
    ]
    draw(panels, f"{history} over HTTP, budget {BUDGET_SHARE:.0%}: rolling means", path)


def _await_ready(client: SchedulerClient, process: subprocess.Popen[bytes], log: Path) -> None:
    from proctor_client import ClientError

    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            client.ready()
            return
        except ClientError:
            time.sleep(0.2)
    last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:] or ["it printed nothing"]
    raise ProctorError(f"the service did not start ({last[0]}); see {log}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Gracefully; a service that does not stop is killed."""
    if process.poll() is not None:
        return
    process.terminate()  # not SIGINT: a demo in the background of a script, and so its service, ignores that
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _mean(values: FloatArray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
