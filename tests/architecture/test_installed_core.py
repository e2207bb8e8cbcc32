"""The core alone, installed into an empty environment: what it is for works, and the extras are not there.

The packages come from the index that pip is set up with; without one the tests are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.test_light_core import REPORT, SERVICE
from tests.architecture.test_packaging import PACKAGES, ROOT, locked

pytestmark = pytest.mark.slow

ABSENT = ("ray", "torch", "jax", "mlflow", "stable_baselines3", "gymnasium", "scipy", "pandas", "starlette", "httpx")
CLEAN = {name: text for name, text in os.environ.items() if name not in ("PYTHONPATH", "MLFLOW_TRACKING_URI")}
UNREACHABLE = ("Could not find a version", "No matching distribution", "Connection", "Read timed out")


def run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*map(str, command)], cwd=folder, env=CLEAN, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a new environment that has the core, in the versions of the lock."""
    folder = tmp_path_factory.mktemp("core")
    source = folder / "source"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    pins = [f"{name}=={version}\n" for name, version in locked("requirements.lock").items()]
    (folder / "pins").write_text("".join(pins), encoding="utf-8")
    assert run(sys.executable, "-m", "venv", "environment", folder=folder).returncode == 0
    programs = folder / "environment" / "bin"
    install = ("-m", "pip", "install", "--quiet", "--no-compile", "--retries", "1", "--constraint", "pins", "./source")
    done = run(programs / "python", *install, folder=folder)
    if done.returncode and any(text in done.stderr for text in UNREACHABLE):
        pytest.skip(f"no package index answers: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return programs


def test_the_extras_are_absent(programs: Path, tmp_path: Path) -> None:
    check = f"import importlib.util as u; print([name for name in {ABSENT!r} if u.find_spec(name)])"
    assert run(programs / "python", "-c", check, folder=tmp_path).stdout == "[]\n"


def test_nothing_is_missing(programs: Path, tmp_path: Path) -> None:
    done = run(programs / "python", "-m", "pip", "check", folder=tmp_path)
    assert done.returncode == 0, done.stdout


def test_the_library_costs_little_more_to_import_than_numpy(programs: Path, tmp_path: Path) -> None:
    library = "agents.scheduling.scheduler, agents.scheduling.registry, agents.scheduling.history_replay"
    script = "import time; start = time.process_time()\nimport {}\nprint(time.process_time() - start)"
    seconds: dict[str, list[float]] = {library: [], "numpy": []}
    for names in [*seconds] * 4:  # the first import compiles; the best of the others says what the code itself costs
        seconds[names].append(float(run(programs / "python", "-c", script.format(names), folder=tmp_path).stdout))
    assert min(seconds[library]) < 4 * min(seconds["numpy"])


def test_the_inline_service_serves(programs: Path, tmp_path: Path) -> None:
    done = run(programs / "python", "-c", SERVICE, folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_record_and_replay(programs: Path, tmp_path: Path) -> None:
    write = f"import sys; open(sys.argv[1], 'w').write({REPORT!r})"
    for _ in range(2):
        command = (programs / "proctor", "record", "runs.parquet", "--", sys.executable, "-c", write, "{junit}")
        done = run(*command, folder=tmp_path)
        assert done.returncode == 0, done.stderr
    done = run(programs / "proctor", "replay", "runs.parquet", "--seeds", "2", "--quiet", folder=tmp_path)
    assert done.returncode == 0 and "failure_rate" in done.stdout, done.stderr
