"""A small real campaign whose driver and workers are killed, whose disk is full, whose stored files are cut short.

After every fault the same command is given again, which is what a person or a scheduler does. In the end the tables
must be those of an undisturbed campaign, byte for byte. A damaged file must be named with what to do, and doing that
must be enough.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.chaos_disk import SmallDisk
from orchestration.campaign.result_file import read_result, result_tables

SPEC = """
environment: CartPole-v1
algorithm: ppo
seeds: 3
steps: 512
hyperparameters: {n_steps: 128, batch_size: 64, n_epochs: 2}
operators: [NR]
kill_tests: [reward_distribution]
evaluation: {episodes: 2}
boundary: {enabled: false}
higher_order: {enabled: false}
sanity: {threshold: off}
"""
RUN_SECONDS = 600.0
DAMAGED = ("record.json", "evaluation.json", "model-*.zip")


class Campaign:
    """One campaign in a folder of its own.

    Args:
        executor: inline or ray.
    """

    def __init__(self, spec: Path, home: Path, executor: str = "ray") -> None:
        self.home = home
        self._mark = ("PROCTOR_CHAOS_MARK", uuid.uuid4().hex)
        run = [sys.executable, "-m", "orchestration", "campaign", "run", str(spec), "--home", str(home)]
        self._command = [*run, "--tracking-uri", "none", "--quiet", "--executor", executor]
        self._command += ["--cpus", "2"] if executor == "ray" else []

    def start(self) -> subprocess.Popen[str]:
        """Start it; its worker processes carry a mark."""
        environment = {**os.environ, self._mark[0]: self._mark[1]}
        return subprocess.Popen(
            self._command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self) -> tuple[int, str]:
        """Run it to its end; exit code and what it said on stderr."""
        process = self.start()
        _, stderr = process.communicate(timeout=RUN_SECONDS)
        return process.returncode, stderr

    def processes(self, part: str) -> list[int]:
        """Its processes whose command line holds this."""
        mark, processes = "=".join(self._mark).encode(), []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                environ = (folder / "environ").read_bytes().split(b"\0")
                if mark in environ and part in (folder / "cmdline").read_bytes().decode():
                    processes.append(int(folder.name))
        return sorted(processes)

    def workers(self) -> list[int]:
        """Its workers that are at a block of work: Ray's agents have titles like theirs, and a node ends with them."""
        return self.processes("ray::proctor block")

    def files(self, name: str) -> list[Path]:
        """Files of its store."""
        return sorted((self.home / "store").rglob(name))

    def tables(self) -> str:
        """What it found, as canonical text."""
        (path,) = (self.home / "campaigns").glob("*/result.json")
        return result_tables(read_result(path))


Fault = Callable[[Campaign, SmallDisk, np.random.Generator], list[str]]
"""Injects a fault into a campaign and lets it end; complaints about how."""


def _after_progress(campaign: Campaign, process: subprocess.Popen[str], rng: np.random.Generator) -> None:
    """Wait until one more thing is stored, or some seconds are over, or it has ended."""
    before, end = len(campaign.files("*.json")), time.monotonic() + float(rng.uniform(5, 40))
    while process.poll() is None and time.monotonic() < end and len(campaign.files("*.json")) <= before:
        time.sleep(0.05)


def kill_driver(campaign: Campaign, disk: SmallDisk, rng: np.random.Generator) -> list[str]:
    """kill -9 of the driver."""
    process = campaign.start()
    _after_progress(campaign, process, rng)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for left in campaign.processes(""):  # Ray's own end with their driver, a moment later
        with contextlib.suppress(ProcessLookupError):
            os.kill(left, signal.SIGKILL)
    return _ends(campaign)


def kill_worker(campaign: Campaign, disk: SmallDisk, rng: np.random.Generator) -> list[str]:
    """kill -9 of a worker in mid-work; the running campaign continues by itself."""
    process = campaign.start()
    end = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end and not (workers := campaign.workers()):
        time.sleep(0.05)
    if process.poll() is not None or not workers:
        process.communicate(timeout=RUN_SECONDS)
        return ["no worker was seen at work"]
    with contextlib.suppress(ProcessLookupError):
        os.kill(workers[int(rng.integers(len(workers)))], signal.SIGKILL)
    _, stderr = process.communicate(timeout=RUN_SECONDS)
    return [] if process.returncode == 0 else [f"a killed worker ended the campaign: {stderr[-300:]}"]


def full_disk(campaign: Campaign, disk: SmallDisk, rng: np.random.Generator) -> list[str]:
    """The disk is full: one line says so; with free space again the same command continues."""
    if not disk.mounted:
        return []
    disk.fill()
    code, stderr = campaign.run()
    disk.free()
    complaints = _ends(campaign)
    if code == 0 or "Traceback" in stderr or not re.search("full|space", stderr):
        complaints.append(f"a full disk ended with {code}: {stderr[-300:]}")
    return complaints


def damage(campaign: Campaign, disk: SmallDisk, rng: np.random.Generator) -> list[str]:
    """A stored file is cut short: it is named with what to do, and doing so is enough."""
    files = [path for name in DAMAGED for path in campaign.files(name)]
    if not files:
        return ["nothing was stored that could be damaged"]
    path = files[int(rng.integers(len(files)))]
    data = path.read_bytes()
    path.write_bytes(data[: int(rng.integers(len(data)))])
    _forget_result(campaign)
    code, stderr = campaign.run()
    if code == 0 and path.name.startswith("model-"):
        return []  # this checkpoint is not needed: its evaluation is stored
    if code != 2 or str(path) not in stderr or "delete" not in stderr or "Traceback" in stderr:
        return [f"damage of {path.name} ended with {code}: {stderr[-300:]}"]
    shutil.rmtree(path.parent)
    return _ends(campaign)


FAULTS: dict[str, Fault] = {
    "kill -9 of the driver": kill_driver,
    "kill -9 of a worker": kill_worker,
    "full disk under a campaign": full_disk,
    "checkpoint or record cut short": damage,
}
"""The explicit table."""


def _ends(campaign: Campaign) -> list[str]:
    code, stderr = campaign.run()
    return [] if code == 0 else [f"the same command again ended with {code}: {stderr[-300:]}"]


def _forget_result(campaign: Campaign) -> None:
    for path in (campaign.home / "campaigns").glob("*/result.json"):
        path.unlink()


def campaign_rounds(
    folder: Path, rng: np.random.Generator, rounds: int, note: Callable[[str], None]
) -> tuple[Counter[str], int, list[str]]:
    """Faults by kind, stored items that were compared, complaints."""
    spec = folder / "small.yaml"
    spec.write_text(SPEC, encoding="utf-8")
    undisturbed = Campaign(spec, folder / "undisturbed", "inline")
    code, stderr = undisturbed.run()
    if code:
        raise RuntimeError(stderr)
    disk = SmallDisk(folder / "campaign-disk")
    faults: Counter[str] = Counter()
    complaints: list[str] = []
    try:
        for number in range(rounds):
            home = disk.folder / f"home-{number}"
            for name in _order(rng, number):
                campaign = Campaign(spec, home, "inline" if name != "kill -9 of a worker" else "ray")
                round_complaints = FAULTS[name](campaign, disk, rng)
                faults[name] += 1
                if not round_complaints and campaign.tables() != undisturbed.tables():
                    round_complaints = ["the tables are not those of the undisturbed campaign"]
                complaints += [f"campaign round {number}, {name}: {text}" for text in round_complaints]
                note(f"campaign {number + 1}/{rounds}, {name}: {'; '.join(round_complaints) or 'no complaint'}")
    finally:
        disk.close()
    return faults, rounds * len(undisturbed.files("*.json")), complaints


def _order(rng: np.random.Generator, number: int) -> list[str]:
    """One fault that strikes a campaign at its work, then a damage of what it stored."""
    striking = [name for name in FAULTS if FAULTS[name] is not damage]
    first = striking[int(rng.integers(len(striking)))] if number >= len(striking) else striking[number]
    return [first, "checkpoint or record cut short"]
