"""A whole campaign on the fleet, against the time that Stable-Baselines3 needs for its trainings alone.

    python -m benchmarks.campaign --spec paper/cartpole_ppo --workers 2 --format json

Runs the campaign (training, search, kill matrix, higher order, report, MLflow) through Ray in a folder of its own with
an empty compilation cache, and takes the wall time. The library's side is timed on a part: as many processes as
workers train side by side for `--reference-steps` steps, and the rate is scaled to the steps of all the campaign's
trainings. With `--compare-workers` the campaign is run once more with one worker. All else that the campaign does
(driver, Ray, stores, MLflow, report) is what its tasks' own time leaves over.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from orchestration.campaign.spec.loading import load_spec
from orchestration.campaign.spec.resolving import resolve

TRAIN = """
import sys
from agents.deeprl.engines.base import AgentSelection
from agents.deeprl.engines.registry import engine
from agents.deeprl.recipe import TrainingRecipe
import json, time
recipe = TrainingRecipe.from_plain(json.loads(sys.argv[1]))
engine("sb3").train(recipe.replace(total_steps=500), [0], AgentSelection())
started = time.perf_counter()
engine("sb3").train(recipe, [0], AgentSelection())
print(time.perf_counter() - started)
"""


def main() -> None:
    """Measure and print; the last key of the JSON is the ratio."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        runs = {count: run(arguments, count, Path(folder)) for count in _worker_counts(arguments)}
    result = runs[arguments.workers]
    library = library_seconds(arguments, result["agent_steps"])
    summary: dict[str, Any] = {
        "spec": arguments.spec,
        "workers": arguments.workers,
        **{key: value for key, value in result.items() if key != "wall_seconds"},
        "library_steps_timed": arguments.reference_steps,
        "library_training_seconds_scaled": round(library),
        "load_average": os.getloadavg()[0],
    }
    if 1 in runs and arguments.workers > 1:
        summary["speed_up_over_one_worker"] = round(runs[1]["wall_seconds"] / result["wall_seconds"], 2)
    summary |= {"wall_seconds": round(result["wall_seconds"], 1), "ratio": round(library / result["wall_seconds"], 1)}
    if arguments.format == "json":
        print(json.dumps(summary))
    else:
        for key, value in summary.items():
            print(f"{key:36} {value}")


def _worker_counts(arguments: argparse.Namespace) -> tuple[int, ...]:
    return (arguments.workers, 1) if arguments.compare_workers else (arguments.workers,)


def run(arguments: argparse.Namespace, workers: int, folder: Path) -> dict[str, Any]:
    """One campaign from nothing: its wall time, its trainings, and the share of it that no task accounts for."""
    home = folder / f"home-{workers}"
    spec = _spec_file(arguments, folder)
    environment = os.environ | {"PROCTOR_COMPILATION_CACHE": str(folder / f"cache-{workers}")}
    command = [sys.executable, "-m", "orchestration", "campaign", "run", str(spec), "--home", str(home)]
    started = time.perf_counter()
    subprocess.run(
        [*command, "--executor", "ray", "--cpus", str(workers), "--quiet"],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    wall = time.perf_counter() - started
    (path,) = home.glob("campaigns/*/result.json")
    result = json.loads(path.read_text(encoding="utf-8"))
    cost = result["provenance"]["cost"]
    trained = [population for population in result["populations"] if not population["failed"]]
    steps = resolve(load_spec(spec)).healthy.total_steps
    return {
        "wall_seconds": wall,
        "populations": len(trained),
        "agent_steps": sum(len(population["seeds"]) for population in trained) * steps,
        "task_seconds": round(cost["task_seconds_this_run"], 1),
        "share_outside_tasks": round(1 - cost["task_seconds_this_run"] / (workers * wall), 4),
    }


def _spec_file(arguments: argparse.Namespace, folder: Path) -> Path:
    """The campaign's spec, with fewer steps where requested."""
    spec = load_spec(arguments.spec)
    content = spec.model_dump(mode="json", exclude_unset=True)
    if arguments.steps is not None:
        content["steps"] = arguments.steps
    path = folder / "spec.yaml"
    path.write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
    return path


def library_seconds(arguments: argparse.Namespace, agent_steps: int) -> float:
    """Wall seconds that Stable-Baselines3 needs for so many agent-steps on as many cores as there are workers."""
    recipe = resolve(load_spec(arguments.spec)).healthy.replace(total_steps=arguments.reference_steps)
    command = [sys.executable, "-c", TRAIN, json.dumps(recipe.to_plain())]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(arguments.workers)
    ]
    seconds = [float(process.communicate()[0]) for process in processes]
    rate = sum(arguments.reference_steps / each for each in seconds)
    return float(agent_steps / rate)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", default="paper/cartpole_ppo")
    parser.add_argument("--steps", type=int, default=None, help="per agent (default: the spec's)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--compare-workers", action="store_true", help="run with one worker too")
    parser.add_argument("--reference-steps", type=int, default=20_000, help="of the library's side; scaled")
    parser.add_argument("--format", choices=("json", "text"), default="text")
    return parser.parse_args()


if __name__ == "__main__":
    main()
