"""``proctor deploy serve_app/config.yaml`` on a local head with token authentication."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestration.runtime.serve import SERVE_ENVIRONMENT, free_port

PROCTOR = [sys.executable, "-m", "orchestration"]
READY_SECONDS = 180.0
CLUSTER_ENVIRONMENT = (
    "RAY_SERVE_ENABLE_HA_PROXY",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED",
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S",
)
"""Of `proctor serve`'s variables, those that a cluster needs too."""


def exported(root: Path) -> dict[str, str]:
    """What deploy/environment exports, and the umask that it sets."""
    script = ". deploy/environment && umask && env -0"
    clean = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(["sh", "-c", script], cwd=root, env=clean, capture_output=True, text=True, check=True)
    umask, _, variables = done.stdout.partition("\n")
    return {"umask": umask, **dict(line.partition("=")[::2] for line in variables.split("\0") if line)}


def test_a_cluster_has_the_edge_of_one_machine(root: Path) -> None:
    variables = exported(root)
    assert variables["umask"] == "0077"
    assert variables["RAY_AUTH_MODE"] == "token"
    assert variables["RAY_USAGE_STATS_ENABLED"] == "0"
    program = Path(variables["RAY_SERVE_HAPROXY_BINARY_PATH"])
    assert program == root / "deploy" / "haproxy"
    assert os.access(program, os.X_OK), "Ray starts it as a program"
    assert "-m orchestration.runtime.haproxy" in program.read_text()


def test_nodes_have_what_serve_is_started_with(root: Path) -> None:
    variables = exported(root)
    manifest = (root / "deploy" / "rayservice.yaml").read_text()
    for name in CLUSTER_ENVIRONMENT:
        assert variables[name] == SERVE_ENVIRONMENT[name]
        assert f'name: {name}, value: "{SERVE_ENVIRONMENT[name]}"' in manifest
    assert 'name: RAY_USAGE_STATS_ENABLED, value: "0"' in manifest


@pytest.mark.cluster
def test_deploy_smoke_and_a_killed_haproxy(service_head: Any, tmp_path: Path, root: Path) -> None:
    port = free_port()
    config = tmp_path / "config.yaml"
    config.write_text((root / "serve_app" / "config.yaml").read_text().replace("port: 8000", f"port: {port}"))

    def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=service_head.environment | environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    refused = run(*PROCTOR, "deploy", str(config), RAY_AUTH_TOKEN="0" * 64)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "refuses the token" in refused.stderr
    broken = tmp_path / "broken.yaml"
    broken.write_text(config.read_text().replace("serve_app.app:app", "serve_app.app:nothing"))
    failed = run(*PROCTOR, "deploy", str(broken))
    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1), failed.stderr
    assert "has no attribute 'nothing'" in failed.stderr
    # RAY_ADDRESS alone names the cluster, as it does for jobs.
    deployed = run(*PROCTOR, "deploy", str(config), RAY_DASHBOARD_ADDRESS="")
    assert deployed.returncode == 0, deployed.stderr
    url = f"http://127.0.0.1:{port}"
    assert f"service  {url}/v1" in deployed.stdout
    _await_ready(url)
    smoke = run(*PROCTOR, "smoke", url)
    assert smoke.returncode == 0, smoke.stdout + smoke.stderr
    assert (tmp_path / "home" / "service.db").exists(), "data lie where PROCTOR_HOME says"

    for process in _haproxies(port):
        os.kill(process, signal.SIGKILL)
    seen = _await_ready(url)
    assert 404 not in seen, "404 would tell callers to give up"


def _haproxies(port: int) -> list[int]:
    """Processes of the HAProxy that listens there."""
    lines = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (folder / "cmdline").read_bytes().split(b"\0")
            if command[0].endswith(b"haproxy") and b"-f" in command:
                settings = Path(command[command.index(b"-f") + 1].decode())
                if f":{port}" in settings.read_text():
                    lines.append(int(folder.name))
    assert lines, "no HAProxy listens there"
    return lines


def _await_ready(url: str) -> set[int]:
    """The statuses seen until ten in a row were 200."""
    seen: set[int] = set()
    good, end = 0, time.monotonic() + READY_SECONDS
    while good < 10:
        assert time.monotonic() < end
        time.sleep(0.1)
        try:
            status = httpx.get(f"{url}/readyz", timeout=5.0).status_code
        except httpx.HTTPError:
            good = 0
            continue
        seen.add(status)
        good = good + 1 if status == 200 else 0
    return seen
