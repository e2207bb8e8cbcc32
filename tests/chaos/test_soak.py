"""A short soak: memory flat, history cut, archive complete; and that an incomplete archive is noticed."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.soak import Mark, Soak, complaints, growth, soak
from orchestration.service.store.archive import Archive


@pytest.mark.slow
def test_many_episodes_leave_no_trace_but_the_archive(tmp_path: Path) -> None:
    marks, done = soak(tmp_path, 3000, tests=4, kept=500, measurements=10)
    assert done == 3000
    assert complaints(marks) == []
    last = marks.marks[-1]
    assert last.stored <= 500 + 100
    assert last.history_runs <= 20 * (3 + 30)
    assert list((tmp_path / "archive" / "episodes").rglob("*.parquet"))


@pytest.mark.slow
def test_a_piece_that_is_gone_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really = Archive.write

    def forgetful(self: Archive, table: str, agent: str, agent_id: int, first: int, *others: object) -> None:
        if first not in (0, 201):
            really(self, table, agent, agent_id, first, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(Archive, "write", forgetful)
    marks, _ = soak(tmp_path, 1000, tests=3, kept=200, measurements=5)
    assert marks.missing == 100
    assert marks.executions_missing == 100


def test_growing_memory_is_noticed() -> None:
    def marks(*sizes: float) -> tuple[Mark, ...]:
        return tuple(Mark(n, 0.0, size, 0, 0.0, 0) for n, size in enumerate(sizes))

    assert growth(list(marks(50, 100, 101, 102, 101))) == pytest.approx(1.02)
    assert math.isnan(growth([]))
    grown = marks(50, 100, 120, 140, 160)
    assert "memory grew" in complaints(Soak(grown, 0, 0, 0, 0, growth(list(grown))))[0]
    assert complaints(Soak(grown, 1, 2, 3, 4, 1.0)) == [
        "missing: 1",
        "doubled: 2",
        "executions_missing: 3",
        "executions_doubled: 4",
    ]
