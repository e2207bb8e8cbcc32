"""Records the project's own history: its unit tests on copies of its code in which small faults were seeded.

    python -m benchmarks.record_own_history --cycles 160 --history own_history.parquet

Which fault appears and disappears in which cycle is drawn from one seeded generator and does not depend on what the
tests find. The same command continues where it stopped. How the history that is shipped was made: docs/recording.md.
"""

from __future__ import annotations

import argparse
import ast
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.seeded_faults import Fault, faults_of

ROOT = Path(__file__).parents[1]
SOURCES = ("envsearch/*.py", "mutations/**/*.py", "agents/scheduling/**/*.py")
"""Where faults are seeded, of these in files that a test of the cycle imports by name."""

TEST_FILES = (
    "tests/envsearch/test_bisection.py",
    "tests/mutations/test_kill_matrix.py",
    "tests/mutations/test_reward_table.py",
    "tests/mutations/test_score.py",
    "tests/mutations/test_higher_order.py",
    "tests/envsearch/test_boundary.py",
    "tests/envsearch/test_registry.py",
    "tests/mutations/test_killing_published.py",
    "tests/mutations/test_killing_statistics.py",
    "tests/contracts/test_kill_tests.py",
    "tests/mutations/test_operators_registry.py",
    "tests/mutations/test_operators_recipes.py",
    "tests/mutations/test_parsing.py",
    "tests/mutations/test_folding.py",
    "tests/agents/scheduling/test_*.py",
)
"""In the order in which they appear in the history, which is about the order in which they were written."""

DESELECTED = (
    "tests/envsearch/test_boundary.py::test_every_batch_gives_the_same_environments",
    "tests/envsearch/test_boundary.py::test_any_oracle_terminates_and_the_order_of_answers_does_not_matter",
    "tests/envsearch/test_boundary.py::test_the_number_of_calls_is_bounded",
    "tests/envsearch/test_boundary.py::test_corners_lie_within_the_scaled_precision_of_the_edge",
    "tests/mutations/test_folding.py::test_the_order_of_mutations_does_not_matter",
    "tests/mutations/test_killing_published.py::test_repeats_tell_majority_and_share",
    "tests/mutations/test_killing_published.py::test_reward_distribution_agrees_with_statsmodels",
    "tests/mutations/test_killing_statistics.py::test_holm_agrees_with_statsmodels",
)
"""Slower than all the others together."""

REPLACED = ("tests/conftest.py", "tests/agents/conftest.py")
"""Fixtures that load torch; `benchmarks.recording_plugin` has what these tests want of them."""

FIRST_FILES = 4
"""Test files that are there in the first cycle."""
GROWTH = 0.7
"""Share of the cycles in which the others appear."""
NEW_FAULTS = (0.74, 0.19, 0.05, 0.02)
"""Probability of 0, 1, 2, 3 new faults in a cycle."""
FIXED = 0.4
"""Probability that a fault is gone in the next cycle."""
HOT = 0.5
"""How unevenly faults fall on files: the file at place r of a random order has weight 1 / r ** HOT."""


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A fault before it is known in which code.

    Attributes:
        first, last: the cycles in which it is there, from 1.
        file, place: numbers in [0, 1) that choose the file and the place in it.
    """

    first: int
    last: int
    file: float
    place: float


def plan(cycles: int, rng: np.random.Generator) -> list[PlannedFault]:
    """The faults of a whole history. A longer one begins like a shorter one."""
    faults = []
    for cycle in range(1, cycles + 1):
        for _ in range(int(rng.choice(len(NEW_FAULTS), p=NEW_FAULTS))):
            last = cycle - 1 + int(rng.geometric(FIXED))
            faults.append(PlannedFault(cycle, last, rng.random(), rng.random()))
    return faults


def test_files(cycle: int, cycles: int, known: Sequence[str]) -> tuple[str, ...]:
    """The test files of a cycle: some from the start, the others one after another."""
    later = len(known) - FIRST_FILES
    grown = int(later * min(1.0, (cycle - 1) / max(1.0, GROWTH * cycles)))
    return tuple(known[: FIRST_FILES + grown])


@dataclass(frozen=True, slots=True)
class Code:
    """The project's code as it was committed.

    Attributes:
        archive: a tar file.
        files: (path, faults that can be put into it), in a drawn order that says how often faults fall on a file.
        tests: the test files of `TEST_FILES` that are there, and the modules that each imports.
    """

    archive: bytes
    files: tuple[tuple[str, tuple[Fault, ...]], ...]
    tests: Mapping[str, frozenset[str]]

    @classmethod
    def committed(cls, commit: str, seed: int) -> Code:
        """The code of a commit. The order of two files is the same in every commit that has both."""
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
        with tempfile.TemporaryDirectory(prefix="proctor-code-") as name:
            folder = Path(name)
            _unpack(archive, folder)
            tests = [path for pattern in TEST_FILES for path in _below(folder, pattern)]
            imports = {path: _imported((folder / path).read_bytes()) for path in tests}
            paths = sorted({path for pattern in SOURCES for path in _below(folder, pattern)}, key=_drawn(seed))
            committed = [(path, tuple(faults_of((folder / path).read_bytes()))) for path in paths]
        return cls(archive, tuple(entry for entry in committed if entry[1]), imports)

    def located(self, fault: PlannedFault, tests: Sequence[str]) -> tuple[str, Fault]:
        """Where a planned fault falls in this code, if these are the test files of the cycle in which it appears."""
        known = {name for test in tests for name in self.tests[test]}
        files = [entry for entry in self.files if entry[0].removesuffix(".py").replace("/", ".") in known]
        weights = 1.0 / np.arange(1, len(files) + 1) ** HOT
        path, places = files[int(np.searchsorted(np.cumsum(weights) / weights.sum(), fault.file))]
        return path, places[int(fault.place * len(places))]

    def write(self, folder: Path, faults: Sequence[tuple[str, Fault]]) -> None:
        """A copy with these faults in it; of two that overlap only one."""
        _unpack(self.archive, folder)
        for path in REPLACED:
            (folder / path).unlink(missing_ok=True)
        for path in {path for path, _ in faults}:
            source = (folder / path).read_bytes()
            begin = len(source)
            for fault in sorted((fault for name, fault in faults if name == path), reverse=True):
                if fault.end <= begin:
                    source, begin = fault.applied(source), fault.start
            (folder / path).write_bytes(source)


def _imported(source: bytes) -> frozenset[str]:
    """Modules that a file imports by name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return frozenset(names)


def _below(folder: Path, pattern: str) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.glob(pattern))


def _drawn(seed: int) -> Callable[[str], float]:
    """A number in [0, 1) per text."""
    return lambda text: np.random.default_rng([seed, *text.encode()]).random()


def _unpack(archive: bytes, folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


def record_cycle(folder: Path, history: Path, files: Sequence[str], seed: int) -> int:
    """Run the tests of a copy through ``proctor record``; the exit code."""
    command = [sys.executable, "-m", "pytest", "-qq", "--no-header", "--no-summary", "--tb=no"]
    command += ["-p", "no:cacheprovider", "-p", "benchmarks.recording_plugin", "--continue-on-collection-errors"]
    command += [f"--hypothesis-seed={seed}", "-m", "not slow", "--junit-xml={junit}"]
    command += [part for test in DESELECTED if test.partition("::")[0] in files for part in ("--deselect", test)]
    # Not `python -m orchestration`: that would be the copy's own recorder, with its faults.
    recorder = [str(Path(sys.executable).with_name("proctor")), "record", str(history), "--job", "unit", "--"]
    environment = {name: value for name, value in os.environ.items() if name != "PROCTOR_DATA"}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    return subprocess.run([*recorder, *command, *files], cwd=folder, env=environment, check=False).returncode


def recorded_cycles(history: Path) -> int:
    """How many cycles the file has already."""
    from agents.scheduling.loaders.recorded import load_recorded

    return len(load_recorded(history)) if history.exists() else 0


def record(history: Path, cycles: int, seed: int, commit: str) -> Iterator[str]:
    """Record what is still missing, one line of text per cycle."""
    planned, code = plan(cycles, np.random.default_rng(seed)), Code.committed(commit, seed)
    for cycle in range(recorded_cycles(history) + 1, cycles + 1):
        active = [
            code.located(fault, test_files(fault.first, cycles, list(code.tests)))
            for fault in planned
            if fault.first <= cycle <= fault.last
        ]
        with tempfile.TemporaryDirectory(prefix="proctor-copy-") as folder:
            code.write(Path(folder), active)
            exit_code = record_cycle(Path(folder), history, test_files(cycle, cycles, list(code.tests)), seed + cycle)
        if recorded_cycles(history) != cycle:
            raise SystemExit(f"cycle {cycle} was not recorded (exit code {exit_code})")
        description = ", ".join(f"{path}:{f.line} {f.old.decode()} -> {f.new.decode()}" for path, f in active)
        yield f"cycle {cycle}/{cycles}: exit code {exit_code}; faults: {description or 'none'}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--history", type=Path, default=Path("own_history.parquet"))
    parser.add_argument("--cycles", type=int, default=160)
    parser.add_argument("--seed", type=int, default=23)
    parser.add_argument("--commit", default="HEAD", help="whose code is copied")
    options = parser.parse_args()
    for line in record(options.history.absolute(), options.cycles, options.seed, options.commit):
        print(line, flush=True)


if __name__ == "__main__":
    main()
