"""A real `proctor serve` under load whose processes, disk and files are attacked."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.chaos_disk import SmallDisk
from benchmarks.chaos_ledger import Ledger
from orchestration.runtime.serve import free_port

START_SECONDS = 240.0
PATIENCE_SECONDS = 150.0
"""How long a caller tries one call again: a killed HAProxy needs about 25 s on a free machine."""

TESTS = tuple(f"test_{number}" for number in range(20))


class Served:
    """A `proctor serve` with a Ray of its own. Its processes are known by a mark in their environment.

    Args:
        folder: for its log; its data lie on a small disk below.
        options: more of the command.
        small: whether its disk is a small one of its own.
    """

    def __init__(self, folder: Path, *options: str, small: bool = True) -> None:
        self.folder = folder
        self._options = options
        self.disk = SmallDisk(folder / "disk", mount=small)
        self.home = self.disk.folder / "home"
        self.home.mkdir(exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "serve.log"
        self._mark = ("PROCTOR_CHAOS_MARK", uuid.uuid4().hex)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, tries: int = 3) -> None:
        """Start it, and again where it does not come up, as whoever watches over it does.

        Raises:
            RuntimeError: it never came up.
        """
        for left in range(tries - 1, -1, -1):
            try:
                self._start()
                return
            except RuntimeError:
                self.kill_tree()
                if not left:
                    raise

    def _start(self) -> None:
        command = [sys.executable, "-m", "orchestration", "serve", "--port", str(self.port), "--home", str(self.home)]
        command += self._options
        with self.log.open("ab") as log:
            start = log.tell()
            self._process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, self._mark[0]: self._mark[1]}
            )
        end = time.monotonic() + START_SECONDS
        while b"stop " not in self.log.read_bytes()[start:]:
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(self.log.read_text()[-2000:])
            time.sleep(0.2)

    def processes(self) -> dict[int, str]:
        """Command lines of all its processes, by id."""
        mark, processes = "=".join(self._mark).encode(), {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    processes[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return processes

    def chosen(self, part: str, rng: np.random.Generator) -> list[int]:
        """One process whose command line holds this; none if there is none."""
        processes = sorted(process for process, command in self.processes().items() if part in command)
        return [processes[int(rng.integers(len(processes)))]] if processes else []

    def signal(self, processes: list[int], what: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal; how many it reached."""
        reached = 0
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, what)
                reached += 1
        return reached

    def kill_tree(self) -> int:
        """kill -9 of all of it, until nothing is left."""
        count = 0
        while processes := self.processes():
            count += self.signal(list(processes))
            time.sleep(0.1)
            if self._process is not None:
                self._process.poll()
        return count

    def close(self) -> None:
        """End it and its disk."""
        self.kill_tree()
        self.disk.close()

    def get(self, path: str) -> Any:
        """A GET, tried again as callers do."""
        return answered(self.url, "GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        """The same for POST."""
        return answered(self.url, "POST", path, body)


def answered(url: str, method: str, path: str, body: Any = None, key: str = "") -> Any:
    """The answer to a call that is tried again until it is served.

    Raises:
        RuntimeError: it was refused as wrong, or never answered.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    last = ""
    while time.monotonic() < end:
        try:
            headers = {"Idempotency-Key": key} if key else {}
            answer = httpx.request(method, f"{url}{path}", json=body, headers=headers, timeout=70.0)
            if answer.status_code in (200, 201):
                return answer.json()
            last = f"{answer.status_code} {answer.text[:300]}"
            if answer.status_code < 500 and answer.status_code != 429:
                raise RuntimeError(f"{method} {path}: {last}")
        except httpx.TransportError as error:
            last = type(error).__name__
        time.sleep(0.1)
    raise RuntimeError(f"{method} {path} was not answered for {PATIENCE_SECONDS:g} s ({last})")


class Callers:
    """Some threads that run episodes one after another and keep a ledger of what was acknowledged."""

    def __init__(self, url: str, ledger: Ledger, count: int = 3) -> None:
        self._url, self._ledger = url, ledger
        self._path = f"/v1/agents/{ledger.agent}"
        self._ended = threading.Event()
        self.errors: list[str] = []
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def end(self) -> list[str]:
        """Let every caller finish its episode; calls that were never answered."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        return self.errors

    def _run(self, number: int) -> None:
        turn = 0
        try:
            while not self._ended.is_set():
                self._episode(f"{uuid.uuid4().hex[:8]}-{number}-{turn}", number + turn)
                turn += 1
        except RuntimeError as error:
            self.errors.append(str(error))

    def _call(self, path: str, body: Any = None, key: str = "") -> Any:
        return answered(self._url, "POST", self._path + path, body, key)

    def _episode(self, key: str, salt: int) -> None:
        cases = [{"id": name} for name in TESTS]
        episode = self._call("/recommendations", {"test_cases": cases}, key)["episode_id"]
        verdicts = {name: "failed" if (salt + place) % 9 == 0 else "passed" for place, name in enumerate(TESTS)}
        for part in (TESTS[:12], TESTS[12:]):
            results = [{"id": name, "verdict": verdicts[name], "duration": 1.0} for name in part]
            self._call(f"/episodes/{episode}/results", {"results": results})
            self._ledger.reported(episode, {name: verdicts[name] for name in part})
        self._ledger.rewarded(episode, self._call(f"/episodes/{episode}/reward"))
