"""A real `proctor serve` under load: replica, owner, whole process tree are killed; nothing acknowledged is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestration.runtime.serve import free_port

pytestmark = pytest.mark.slow

TESTS = tuple(f"test_{number}" for number in range(20))
PATIENCE_SECONDS = 90.0
START_SECONDS = 180.0


class Service:
    """A `proctor serve` with a Ray of its own. Its processes are known by a mark in their environment."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = home / "serve.log"
        self.mark = f"PROCTOR_TEST_MARK={uuid.uuid4().hex}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it says how it is stopped."""
        command = [sys.executable, "-m", "orchestration", "serve", "--port", str(self.port), "--home", str(self.home)]
        name, _, value = self.mark.partition("=")
        environment = {**os.environ, name: value}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, cwd=self.home, env=environment
            )
        end = time.monotonic() + START_SECONDS
        while "stop " not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.2)

    def processes(self) -> dict[int, str]:
        """Command lines of all its processes, by id."""
        entries = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self.mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                    entries[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return entries

    def kill(self, name: str = "") -> int:
        """kill -9 of its processes whose command line begins like this; how many."""
        chosen = [process for process, command in self.processes().items() if command.startswith(name)]
        for process in chosen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return len(chosen)

    def kill_tree(self) -> None:
        """kill -9 of all of it, until nothing is left."""
        while self.kill():
            time.sleep(0.1)
            assert self.process is not None
            self.process.poll()

    def listening(self, name: str) -> set[str]:
        """Addresses on which its processes with this in their command line listen, as the kernel writes them."""
        sockets = set()
        for process, command in self.processes().items():
            if name in command:
                for handle in Path(f"/proc/{process}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        sockets.add(str(handle.readlink()))
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return {row[1].split(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service; whatever is left of it is killed in the end."""
    own = Service(tmp_path_factory.mktemp("home"))
    own.start()
    try:
        yield own
    finally:
        own.kill_tree()


@dataclass
class Acknowledged:
    """What the service has answered with 200."""

    results: dict[str, dict[str, str]] = field(default_factory=dict)
    rewards: dict[str, Any] = field(default_factory=dict)


class Load:
    """Four callers, each with one episode at a time, who try again until they are told or the end is called.

    Args:
        give_up: called when the service is gone for good; calls under way then stay without an answer.
    """

    def __init__(self, url: str, agent: str) -> None:
        self.url, self.agent = url, agent
        self.seen = Acknowledged()
        self.ended = threading.Event()
        self.gone = threading.Event()

    def call(self, http: httpx.Client, path: str, body: Any, key: str = "") -> Any:
        """One call, tried again until it is answered; None once the service is gone for good."""
        end = time.monotonic() + PATIENCE_SECONDS
        headers = {"Idempotency-Key": key} if key else {}
        while not self.gone.is_set():
            try:
                answer = http.post(f"/v1/agents/{self.agent}{path}", json=body, headers=headers)
                if answer.status_code == 200:
                    return answer.json()
                assert answer.status_code >= 500, answer.text
            except httpx.TransportError:
                pass
            assert time.monotonic() < end, f"{path} was not answered for {PATIENCE_SECONDS} s"
            time.sleep(0.05)
        return None

    def wait_for_reward(self) -> None:
        """Return after the first reward: a busy machine needs more than the usual seconds."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not self.seen.rewards and time.monotonic() < end:
            time.sleep(0.05)

    def caller(self, number: int) -> None:
        """Episodes one after another."""
        with httpx.Client(base_url=self.url, timeout=10.0) as http:
            for turn in range(1000):
                if self.ended.is_set() or self.gone.is_set() or not self.episode(http, number, turn):
                    return

    def episode(self, http: httpx.Client, number: int, turn: int) -> bool:
        """Recommend, results in two parts, reward; whether all was answered."""
        body = {"test_cases": [{"id": name} for name in TESTS]}
        opened = self.call(http, "/recommendations", body, key=f"{self.agent}-{number}-{turn}")
        if opened is None:
            return False
        episode = opened["episode_id"]
        verdicts = {
            name: "failed" if (number + turn + place) % 9 == 0 else "passed" for place, name in enumerate(TESTS)
        }
        for part in (TESTS[:12], TESTS[12:]):
            results = [{"id": name, "verdict": verdicts[name], "duration": 1.0} for name in part]
            if self.call(http, f"/episodes/{episode}/results", {"results": results}) is None:
                return False
            self.seen.results.setdefault(episode, {}).update({name: verdicts[name] for name in part})
        reward = self.call(http, f"/episodes/{episode}/reward", None)
        if reward is None:
            return False
        self.seen.rewards[episode] = {**reward, "repeated": False}
        return True


def under_load(service: Service, agent: str, fault: Callable[[Load], None], seconds: float = 3.0) -> Acknowledged:
    """Load for some seconds before and after the fault; what was acknowledged."""
    created = httpx.post(f"{service.url}/v1/agents", json={"name": agent, "kind": "failure_rate"}, timeout=60.0)
    assert created.status_code == 201
    load = Load(service.url, agent)
    with ThreadPoolExecutor(4) as pool:
        callers = [pool.submit(load.caller, number) for number in range(4)]
        time.sleep(seconds)
        load.wait_for_reward()
        fault(load)
        time.sleep(seconds)
        load.ended.set()
        for caller in callers:
            caller.result()
    assert load.seen.rewards, "nothing was rewarded at all"
    return load.seen


def check_all_there(service: Service, agent: str, seen: Acknowledged) -> None:
    """Everything acknowledged is there, once, and the agent's version counts the rewards."""
    own = f"/v1/agents/{agent}"
    with httpx.Client(base_url=service.url, timeout=60.0) as http:
        rows = paged(http, f"{own}/metrics", "rows")
        rewarded = [row["episode_id"] for row in rows]
        assert len(rewarded) == len(set(rewarded))
        assert set(seen.rewards) <= set(rewarded)
        assert [row["agent_version"] for row in rows] == list(range(1, len(rows) + 1))
        assert http.get(own).json()["version"] == len(rows)
        for episode, verdicts in seen.results.items():
            episode_body = http.get(f"{own}/episodes/{episode}").json()
            kept = {result["id"]: result["verdict"] for result in episode_body["results"]}
            assert len(kept) == len(episode_body["results"])
            assert verdicts.items() <= kept.items()
        for episode, first in seen.rewards.items():
            again = http.post(f"{own}/episodes/{episode}/reward").json()
            assert again["repeated"]
            assert {**again, "repeated": False} == first
        assert http.get(own).json()["version"] == len(rows)


def paged(http: httpx.Client, path: str, name: str) -> list[Any]:
    """All pages of a listing."""
    entries: list[Any] = []
    cursor = ""
    while cursor is not None:
        page = http.get(path, params={"cursor": cursor, "limit": 500}).json()
        entries += page[name]
        cursor = page["next_cursor"]
    return entries


def test_the_smoke_command_passes(service: Service) -> None:
    command = [sys.executable, "-m", "orchestration", "smoke", service.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\n") == 12
    assert httpx.get(f"{service.url}/v1/agents").json()["agents"] == []


def test_it_listens_on_the_loopback_interface_alone(service: Service) -> None:
    """HTTP and HAProxy; the ports of Ray itself ask for its token."""
    assert service.listening("haproxy") == {"0100007F"}


def test_what_it_writes_is_for_its_user_alone(service: Service) -> None:
    modes = {path: path.stat().st_mode & 0o077 for path in service.home.rglob("service.db*")}
    assert modes
    assert not any(modes.values()), modes
    assert not (service.home / "logs").stat().st_mode & 0o077


def test_chunks_are_refused_and_the_next_call_is_answered(service: Service) -> None:
    """The trailer `connection: close` made the next call on the replica's connection wait for ever."""
    head = (
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nConnection: close\r\n\r\n"
    )
    for _ in range(8):
        with socket.create_connection(("127.0.0.1", service.port), timeout=10.0) as caller:
            caller.sendall(head)
            assert caller.recv(100).startswith(b"HTTP/1.1 411")
        assert httpx.get(f"{service.url}/healthz", timeout=10.0).status_code == 200


def test_health_has_a_port_of_its_own(service: Service) -> None:
    line = next(line for line in service.log.read_text().splitlines() if line.startswith("health"))
    url = line.split()[1].rstrip(",")
    assert httpx.get(url, timeout=10.0).json() == httpx.get(f"{service.url}/healthz", timeout=10.0).json()


def test_a_killed_replica_loses_nothing(service: Service) -> None:
    def fault(_: Load) -> None:
        assert service.kill("ray::ServeReplica") == 1

    check_all_there(service, "replica", under_load(service, "replica", fault))


def test_a_killed_owner_loses_nothing(service: Service) -> None:
    def fault(_: Load) -> None:
        assert service.kill("ray::AgentActor") >= 1

    check_all_there(service, "owner", under_load(service, "owner", fault))


def test_a_killed_process_tree_loses_nothing(service: Service) -> None:
    def fault(load: Load) -> None:
        service.kill_tree()
        load.gone.set()

    seen = under_load(service, "tree", fault, seconds=2.0)
    service.start()
    check_all_there(service, "tree", seen)


def test_sigterm_is_a_clean_end(service: Service) -> None:
    assert service.stop() == 0
    assert "stopping" in service.log.read_text()
    assert "Traceback" not in service.log.read_text()
    end = time.monotonic() + 60
    while service.processes():
        assert time.monotonic() < end, service.processes()
        time.sleep(0.2)
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{service.url}/healthz")


def test_sigterm_while_it_starts_is_a_clean_end(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "orchestration", "serve", "--port", str(free_port()), "--home", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "starting" in process.stdout.readline()
    time.sleep(1.0)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


def test_few_open_files_are_refused_in_one_line(tmp_path: Path) -> None:
    command = ["sh", "-c", 'ulimit -n 400; exec "$0" -m orchestration serve --home "$1"', sys.executable, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "PROCTOR_STORE": ""})
    assert done.returncode == 2, done.stderr
    assert "ulimit -n" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_open_address_without_a_token_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "orchestration", "serve", "--host", "0.0.0.0", "--home", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "PROCTOR_STORE": ""})
    assert done.returncode == 2
    assert "proctor token create" in done.stderr
    assert done.stderr.count("\n") == 1
