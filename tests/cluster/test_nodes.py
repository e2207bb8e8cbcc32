"""A cluster of several nodes (on this machine) that loses one in mid-work."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestration.campaign.result_file import read_result, result_tables

HERE = Path(__file__).parent
SPEC = """
environment: CartPole-v1
algorithm: ppo
engine: sb3
seeds: 3
steps: 4096
hyperparameters: {n_steps: 256, batch_size: 128}
operators: [NR, RN_1.0]
kill_tests: [paired_permutation, reward_distribution]
evaluation: {episodes: 2, engine: sb3}
boundary: {precision: {cart_mass: 10, pole_mass: 10}, tests: [paired_permutation]}
higher_order: {mutants: [RN_1.0-NR]}
sanity: {threshold: off}
"""

pytestmark = pytest.mark.cluster


class Nodes:
    """A cluster in a process of its own."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "nodes.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
            cwd="/",
        )
        self.address = str(self._answer()["address"])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        while True:
            line = self._process.stdout.readline()
            assert line, "the cluster ended"
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer

    def _tell(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._answer()

    def add(self, cpus: int) -> str:
        """A new node's id."""
        return str(self._tell(f"add {cpus}")["node"])

    def lose(self, node: str) -> None:
        """Lose a node at once, as if its power had gone."""
        self._tell(f"lose {node}")

    def close(self) -> None:
        """End the cluster."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    """A head without CPUs; token authentication is on."""
    folder = tempfile.mkdtemp(prefix="ray-nodes-", dir="/tmp")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    settings = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_TMPDIR": folder}
    cluster = Nodes(environment | settings | {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(HERE.parents[1])})
    yield cluster
    cluster.close()
    shutil.rmtree(folder, ignore_errors=True)


def _records(home: Path) -> list[Path]:
    return [path for name in ("record.json", "evaluation.json") for path in (home / "store").rglob(name)]


def _tables(home: Path) -> str:
    (path,) = (home / "campaigns").glob("*/result.json")
    return result_tables(read_result(path))


def _command(spec: Path, home: Path, *options: str) -> list[str]:
    run = [sys.executable, "-m", "orchestration", "campaign", "run", str(spec), "--home", str(home)]
    return [*run, "--tracking-uri", "none", *options]


def test_a_campaign_loses_a_node_in_mid_training_and_ends_with_the_undisturbed_table(
    nodes: Nodes, tmp_path: Path
) -> None:
    spec, home, undisturbed = tmp_path / "small.yaml", tmp_path / "home", tmp_path / "undisturbed"
    spec.write_text(SPEC)
    first, second = nodes.add(1), nodes.add(1)
    campaign = subprocess.Popen(
        _command(spec, home, "--executor", "ray", "--address", nodes.address),
        env=nodes.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
    )
    try:
        end = time.monotonic() + 300
        while len(_records(home)) < 3:  # nine agents are to be trained
            assert campaign.poll() is None, campaign.communicate()[0]
            assert time.monotonic() < end
            time.sleep(0.05)
        nodes.lose(second)
        lost_at = len(_records(home))
        settings, _ = campaign.communicate(timeout=400)
    finally:
        campaign.kill()
    assert campaign.returncode == 0, settings
    assert lost_at < 9, "it was too late to lose anything"
    assert len(_records(home)) > lost_at
    assert "Traceback" not in settings
    subprocess.run(
        _command(spec, undisturbed, "--executor", "inline", "--quiet"), check=True, timeout=600, cwd=tmp_path
    )
    assert _tables(home) == _tables(undisturbed)
    assert first != second


def test_agents_of_a_lost_node_recover_while_the_others_go_on(
    nodes: Nodes, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """On PostgreSQL where `make test-services` has started one, else on a SQLite file that all nodes share."""
    store = request.getfixturevalue("postgresql_url") if os.environ.get("PROCTOR_TEST_POSTGRESQL") else ""
    both = [nodes.add(1), nodes.add(1)]
    service = subprocess.Popen(
        [sys.executable, str(HERE / "agents_on_nodes.py"), nodes.address, str(tmp_path), store],
        env=nodes.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert service.stdin is not None
    assert service.stdout is not None
    try:
        places = json.loads(_line(service.stdout, "{"))
        _line(service.stdout, "working")
        on_workers = [node for node in places.values() if node in both]
        gone = max(both, key=on_workers.count)
        assert on_workers.count(gone), f"no agent is on a node that can be lost: {places}"
        nodes.lose(gone)
        service.stdin.write(gone + "\n")
        service.stdin.flush()
        report = json.loads(_line(service.stdout, "{"))
        assert service.wait(60) == 0
    finally:
        service.kill()
    moved = {agent for agent, node in places.items() if node == gone}
    assert report["wrong"] == []
    assert all(count >= 10 for count in report["after"].values()), report
    assert not any(report["now"][agent] == gone for agent in places)
    staying = set(places) - moved
    assert not [error for error in report["errors"] if error.partition(":")[0] in staying], report["errors"]
    assert all(report["now"][agent] == places[agent] for agent in staying)


def _line(stream: Any, start: str) -> str:
    while line := stream.readline():
        if line.startswith(start):
            return str(line)
    raise AssertionError("the service ended")
