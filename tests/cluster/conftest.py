"""A local head with token authentication, on ports and in folders of its own, and what a job is made of."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestration.runtime.serve import free_port

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("envsearch", "agents", "mutations", "orchestration", "serve_app")
RAY = [sys.executable, "-m", "ray.scripts.scripts"]
START_SECONDS = 120.0


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the project."""
    return ROOT


@pytest.fixture
def working_copy(tmp_path: Path) -> Path:
    """A checkout with more in it than a job needs, for `--working-dir`."""
    folder = tmp_path / "checkout"
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    listed = [Path(name) for name in names.split("\0") if name] or [
        path.relative_to(ROOT) for package in (*PACKAGES, "docs", "tests") for path in (ROOT / package).rglob("*.*")
    ]
    for name in {*listed, Path(".rayignore"), Path(".gitignore"), Path("cluster.yaml")}:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    for left_out in (".git/objects/pack", ".venv/lib", "proctor-data/store", "mlruns/0", "agents/__pycache__"):
        (folder / left_out).mkdir(parents=True, exist_ok=True)
        (folder / left_out / "large.pyc").write_bytes(secrets.token_bytes(3_000_000))
    return folder


@dataclass
class Head:
    """A running head.

    Attributes:
        environment: of a client that has the token.
        process: ``ray start --block``, which ends all of Ray's processes with itself.
    """

    address: str
    environment: dict[str, str]
    process: subprocess.Popen[bytes]

    def job(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """``ray job ...`` as a user types it."""
        return subprocess.run(
            [*RAY, "job", *arguments],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )


@pytest.fixture
def head() -> Iterator[Head]:
    """A head for jobs."""
    with _started_head() as running:
        yield running


@pytest.fixture
def service_head(tmp_path: Path) -> Iterator[Head]:
    """A head for the service: its nodes have the variables of serve_app/config.yaml."""
    metrics, stats, fallback = map(str, _free_ports(3))
    with _started_head(
        PROCTOR_HOME=str(tmp_path / "home"),
        RAY_SERVE_ENABLE_HA_PROXY="1",
        RAY_SERVE_THROUGHPUT_OPTIMIZED="1",
        RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S="1",
        RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S="60",
        RAY_SERVE_HAPROXY_BINARY_PATH=str(ROOT / "deploy" / "haproxy"),
        RAY_SERVE_HAPROXY_METRICS_PORT=metrics,
        RAY_SERVE_HAPROXY_STATS_PORT=stats,
        RAY_SERVE_FALLBACK_PROXY_HTTP_PORT=fallback,
    ) as running:
        yield running


@contextmanager
def _started_head(**more: str) -> Iterator[Head]:
    """``ray start --head`` with two CPUs, as docs/cluster.md tells it; ended by the process that was started here.

    Args:
        more: of its environment.
    """
    temporary = Path(tempfile.mkdtemp(prefix="ray-head-", dir="/tmp"))  # short: sockets lie in it
    ports = _free_ports(6)
    options = {
        "--port": ports[0],
        "--dashboard-host": "127.0.0.1",
        "--dashboard-port": ports[1],
        "--dashboard-agent-listen-port": ports[2],
        "--dashboard-agent-grpc-port": ports[3],
        "--metrics-export-port": ports[4],
        "--ray-client-server-port": ports[5],
        "--min-worker-port": 0,
        "--max-worker-port": 0,
        "--temp-dir": temporary,
        "--num-cpus": 2,
        "--object-store-memory": 500_000_000,
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    own = Path(sys.executable).parent  # a job's `python` is the one of the shell that started the head
    environment |= {
        "PATH": f"{own}{os.pathsep}{environment.get('PATH', '')}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ADDRESS": f"http://127.0.0.1:{ports[1]}",
        "OMP_NUM_THREADS": "1",
        **more,
    }
    environment["RAY_DASHBOARD_ADDRESS"] = environment["RAY_ADDRESS"]
    command = [*RAY, "start", "--head", "--block", *(f"{name}={value}" for name, value in options.items())]
    started = {name: value for name, value in environment.items() if name != "RAY_ADDRESS"}
    with (temporary / "start.log").open("wb") as log:
        process = subprocess.Popen(command, env=started, stdout=log, stderr=log, cwd="/")
    running = Head(f"127.0.0.1:{ports[0]}", environment, process)
    try:
        _await(running, temporary / "start.log")
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(temporary, ignore_errors=True)


def _await(head: Head, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while head.job("list").returncode != 0:
        assert head.process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.5)


def _free_ports(count: int) -> list[int]:
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return list(ports)
