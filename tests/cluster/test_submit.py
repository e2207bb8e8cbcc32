"""``ray job submit`` against a local head with token authentication: submit, tail, stop, submit again."""

from __future__ import annotations

import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from ray._private.runtime_env.packaging import create_package

from orchestration.campaign.result_file import read_result, result_tables

SPEC = """
environment: CartPole-v1
algorithm: ppo
engine: sb3
seeds: 3
steps: 2048
hyperparameters: {n_steps: 256, batch_size: 128}
operators: [NR, RN_1.0]
kill_tests: [paired_permutation, reward_distribution]
evaluation: {episodes: 2, engine: sb3}
boundary: {precision: {cart_mass: 10, pole_mass: 10}, tests: [paired_permutation]}
higher_order: {mutants: [RN_1.0-NR]}
sanity: {threshold: off}
"""

LARGEST_PACKAGE = 4_000_000
"""Bytes that every submission may send."""


def _finished(home: Path) -> dict[Path, tuple[int, int]]:
    files = [path for name in ("record.json", "evaluation.json") for path in (home / "store").rglob(name)]
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in files}


def _tables(home: Path) -> str:
    (path,) = (home / "campaigns").glob("*/result.json")
    return result_tables(read_result(path))


def test_a_job_ships_what_it_needs_and_nothing_else(working_copy: Path, tmp_path: Path, root: Path) -> None:
    (working_copy / "spec.yaml").write_text(SPEC)
    (working_copy / "my_parts").mkdir()
    (working_copy / "my_parts" / "faults.py").write_text("")
    package = tmp_path / "package.zip"
    create_package(str(working_copy), package, include_gitignore=True)
    assert package.stat().st_size < LARGEST_PACKAGE
    names = {name for name in zipfile.ZipFile(package).namelist() if not name.endswith("/")}
    top = {name.partition("/")[0] for name in names}
    assert top == {
        *("envsearch", "agents", "mutations", "orchestration", "serve_app"),
        *("pyproject.toml", "spec.yaml", "my_parts"),
    }
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    wanted = {
        str(path.relative_to(root))
        for package_name in ("envsearch", "agents", "mutations", "orchestration", "serve_app")
        for path in (root / package_name).rglob("*")
        if path.suffix in {".py", ".yaml", ".mako", ".parquet"} or path.parent.name == "templates"
    }
    assert {name for name in wanted if (working_copy / name).exists()} <= names


@pytest.mark.cluster
def test_submit_tail_stop_and_submit_again(head: Any, working_copy: Path, tmp_path: Path) -> None:
    (working_copy / "small.yaml").write_text(SPEC)
    home, undisturbed = tmp_path / "home", tmp_path / "undisturbed"
    entrypoint = ["python", "-m", "orchestration", "campaign", "run", "small.yaml", "--tracking-uri", "none"]
    submit = ("submit", "--working-dir", str(working_copy))

    intruder = head.job(*submit, "--", *entrypoint, RAY_AUTH_TOKEN="0" * 64)
    assert intruder.returncode != 0
    assert "uthenti" in intruder.stdout + intruder.stderr

    # Results in the job's own folder would vanish with it.
    relative = head.job(*submit, "--", *entrypoint)
    assert relative.returncode == 1
    assert "is removed after the job" in relative.stdout
    assert "Traceback" not in relative.stdout.partition("Job 'raysubmit")[2].partition("------")[0]

    job = [*entrypoint, "--home", str(home)]
    assert head.job(*submit, "--no-wait", "--submission-id", "first", "--", *job).returncode == 0
    end = time.monotonic() + 300
    while len(_finished(home)) < 3:
        assert "RUNNING" in (status := head.job("status", "first").stdout) or "PENDING" in status, head.job(
            "logs", "first"
        )
        assert time.monotonic() < end
        time.sleep(0.1)
    assert head.job("stop", "first").returncode == 0
    before = _finished(home)
    tail = head.job("logs", "first").stdout
    assert "interrupted; finished items are kept. To continue: proctor campaign run small.yaml" in tail
    assert "Traceback" not in tail
    assert "was stopped" in head.job("status", "first").stdout
    assert not list((home / "campaigns").glob("*/result.json"))

    again = head.job(*submit, "--submission-id", "second", "--", *job)
    assert again.returncode == 0, again.stdout
    assert "Report: " in again.stdout
    assert before.items() <= _finished(home).items(), "finished items were computed anew"

    alone = [sys.executable, "-m", "orchestration", "campaign", "run", "small.yaml", "--home", str(undisturbed)]
    alone += ["--tracking-uri", "none", "--executor", "inline", "--quiet"]
    subprocess.run(alone, cwd=working_copy, check=True, timeout=600)
    assert _tables(home) == _tables(undisturbed)
