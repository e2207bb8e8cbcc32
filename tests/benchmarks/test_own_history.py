"""How the project's own history is made, and what is shipped of it."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.scheduling.loaders.registry import load_history
from benchmarks.record_own_history import FIRST_FILES, Code, plan, test_files
from benchmarks.seeded_faults import faults_of
from orchestration.cli.demo_service import own_history

test_files.__test__ = False  # type: ignore[attr-defined]  # a function of the script, not a test

SOURCE = b'''"""Not a constant that computes: 1 < 2."""
LIMIT: int = 3


@dataclass(frozen=True)
class A:
    x: float = 0.5


def f(a: Literal[1], b) -> int:
    if a < b and b is not None:
        return a + b * 2
    name = "\xc3\xa9"; flag = a in b
    return -1
'''


def test_faults_change_one_place_each() -> None:
    texts = {(fault.line, fault.old.decode().strip(), fault.new.decode().strip()) for fault in faults_of(SOURCE)}
    assert texts == {
        (2, "3", "4"),
        (7, "0.5", "0.75"),
        (11, "<", "<="),
        (11, "and", "or"),
        (11, "is not", "is"),
        (12, "+", "-"),
        (12, "*", "/"),
        (12, "2", "3"),
        (13, "in", "not in"),
        (14, "1", "2"),
    }


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "mutations" / "killing").glob("*.py")), ids=lambda path: path.name
)
def test_real_files_stay_python_and_really_change(path: Path) -> None:
    source = path.read_bytes()
    before = ast.dump(ast.parse(source))
    for fault in faults_of(source):
        assert ast.dump(ast.parse(fault.applied(source))) != before


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(0, 60))
def test_a_longer_plan_begins_like_a_shorter_one(seed: int, cycles: int, more: int) -> None:
    shorter = plan(cycles, np.random.default_rng(seed))
    longer = plan(cycles + more, np.random.default_rng(seed))
    assert longer[: len(shorter)] == shorter
    assert all(1 <= fault.first <= fault.last and fault.first <= cycles for fault in shorter)


@given(st.integers(1, 300), st.integers(FIRST_FILES, 40))
def test_test_files_only_appear(cycles: int, count: int) -> None:
    known = [str(number) for number in range(count)]
    sizes = [len(test_files(cycle, cycles, known)) for cycle in range(1, cycles + 1)]
    assert sizes == sorted(sizes)
    assert sizes[0] == FIRST_FILES
    assert all(test_files(cycle, cycles, known) == tuple(known[:size]) for cycle, size in enumerate(sizes, start=1))


def test_a_copy_has_the_faults_and_nothing_else(tmp_path: Path) -> None:
    import io
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in (("mutations/a.py", b"x = 1 + 2\n"), ("tests/conftest.py", b"import torch\n")):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    faults = tuple(faults_of(b"x = 1 + 2\n"))
    code = Code(buffer.getvalue(), (("mutations/a.py", faults),), {"tests/a.py": frozenset({"mutations.a"})})
    code.write(tmp_path, [("mutations/a.py", fault) for fault in faults])
    assert (tmp_path / "mutations" / "a.py").read_bytes() == b"x = 2 - 3\n"
    assert not (tmp_path / "tests" / "conftest.py").exists()
    assert code.located(plan(5, np.random.default_rng(1))[0], ["tests/a.py"])[0] == "mutations/a.py"


def test_the_shipped_history() -> None:
    assert own_history().stat().st_size <= 1_000_000
    history = load_history(own_history())
    assert len(history) >= 150
    assert 0.4 <= history.failing_cycles / len(history) <= 0.6
    sizes = [len(cycle) for cycle in history]
    assert sizes[-1] > 3 * sizes[0]
    assert all(np.isfinite(cycle.durations).all() for cycle in history)
    assert all(cycle.finished_at is not None for cycle in history)
