"""The core runs without the libraries of the extras: the scheduling library, its inline service, record and replay.

Each test runs in a fresh interpreter whose imports of these libraries fail.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Set
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEFT_OUT = {
    *("ray", "torch", "jax", "optax", "mlflow", "stable_baselines3", "gymnasium", "scipy", "pandas", "matplotlib"),
    *("fastapi", "starlette", "httpx", "prometheus_client", "jinja2"),
}

HOOK = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name.partition(".")[0])
sys.meta_path.insert(0, Refuse())
"""

SERVICE = """
import asyncio, pathlib
from orchestration.service.api.agents import CreateAgent
from orchestration.service.api.recommendations import RecommendationRequest, ResultsRequest
from orchestration.service.service import SchedulingService, ServiceSettings

async def main():
    service = SchedulingService(ServiceSettings.in_folder(pathlib.Path("data"), inline=True))
    await service.create_agent(CreateAgent("nightly", "failure_model"))
    answer = await service.recommend("nightly", RecommendationRequest.of(("a", "b")))
    await service.results("nightly", answer.episode_id, ResultsRequest.of(("a", "b"), ("passed", "failed")))
    reward = await service.reward("nightly", answer.episode_id)
    assert reward.agent_version == 1, reward
    await service.insights("nightly")
    await service.close()
    again = SchedulingService(ServiceSettings.in_folder(pathlib.Path("data"), inline=True))
    assert (await again.agent("nightly")).version == 1
    await again.close()

asyncio.run(main())
"""

REPORT = (
    '<testsuite name="s"><testcase name="a" time="1.5"/><testcase name="b" time="2"><failure/></testcase></testsuite>'
)


def run(
    script: str, folder: Path, *arguments: str, left_out: Set[str] = LEFT_OUT | {"pydantic"}
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    return subprocess.run(
        [sys.executable, "-c", HOOK.format(names=sorted(left_out)) + script, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def proctor(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # typer itself may import pydantic.
    return run("from orchestration.cli import main; main(sys.argv[1:])", folder, *arguments, left_out=LEFT_OUT)


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Three cycles of two tests in a csv file."""
    rows = [
        f"{2 * cycle + test};t{test};100;0;;[];{test if cycle else 0};{cycle + 1}"
        for cycle in range(3)
        for test in (0, 1)
    ]
    path = tmp_path / "history.csv"
    path.write_text("\n".join(["Id;Name;Duration;CalcPrio;LastRun;LastResults;Verdict;Cycle", *rows]) + "\n")
    return path


def test_the_hook_refuses(tmp_path):
    done = run("import scipy", tmp_path)
    assert done.returncode == 1 and "No module named 'scipy'" in done.stderr


def test_the_library_is_imported_in_half_a_second(tmp_path):
    script = """
import time
started = time.process_time()
import agents.scheduling.scheduler, agents.scheduling.registry, agents.scheduling.loaders.registry
import agents.scheduling.history_replay, agents.scheduling.insights
print(time.process_time() - started)
"""
    # Time of the processor, the best of three: a busy machine changes neither.
    assert min(float(run(script, tmp_path).stdout) for _ in range(3)) < 0.5


def test_the_inline_service_serves(tmp_path):
    done = run(SERVICE, tmp_path)
    assert done.returncode == 0, done.stderr


def test_record_and_replay(tmp_path):
    write = f"import sys; open(sys.argv[1], 'w').write({REPORT!r})"
    for cycle in (1, 2):
        done = proctor(tmp_path, "record", "runs.parquet", "--", sys.executable, "-c", write, "{junit}")
        assert done.returncode == 0 and f"cycle {cycle}, 2 tests, 1 failed" in done.stderr, done.stderr
    done = proctor(tmp_path, "replay", "runs.parquet", "--seeds", "2", "--format", "json", "--quiet")
    assert done.returncode == 0, done.stderr
    assert {row["agent"] for row in json.loads(done.stdout)} == {
        "failure_model",
        "failure_rate",
        "last_failed_first",
        "random",
    }


def test_replay_prints_a_table_without_curves(tmp_path, history):
    done = proctor(tmp_path, "replay", str(history), "--agent", "failure_rate", "--quiet")
    assert done.returncode == 0 and "failure_rate" in done.stdout and "Curves" not in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--agent", "ppo"], "--agent: agent kind 'ppo' needs the extra `campaign` (torch is not installed)"),
        (["--agent", "network"], "--agent: agent kind 'network' needs the extra `campaign` (torch is not installed)"),
        (["--executor", "ray"], "executor: executor ray needs the extra `campaign` (ray is not installed)"),
        (["--tracking-uri", "sqlite:///x.db"], "tracking_uri: tracking needs the extra `campaign` (mlflow is not"),
        (["--plot", "x.png"], "--plot: drawing needs the extra `campaign` (matplotlib is not installed)"),
    ],
)
def test_what_needs_an_extra_says_so_in_one_line(tmp_path, history, options, line):
    done = proctor(tmp_path, "replay", str(history), "--seeds", "1", "--quiet", *options)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert line in done.stderr and "expected pip install 'proctor[campaign]'" in done.stderr


def test_check_of_a_kind(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from agents.scheduling.kinds.failure_rate import FailureRate\nclass Mine(FailureRate):\n    kind = 'mine'\n"
    )
    for part in ("mine:Mine", "tableau"):
        done = proctor(tmp_path, "check", part)
        assert done.returncode == 0 and "agent kind" in done.stdout, done.stderr
