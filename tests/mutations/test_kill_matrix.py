"""The kill matrix: its constructors, and that inconclusive is no kill and no survival."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from envsearch.errors import InputError
from mutations.kill_matrix import Cell, KillMatrix, Point
from mutations.killing.kill_test import Direction, KillVerdict, Outcome

NEAR: Point = (("mass", 1.0),)
FAR: Point = (("mass", 7.5),)

CELLS: list[Cell] = [
    ("NDF", NEAR, Outcome.KILLED),
    ("NDF", FAR, Outcome.SURVIVED),
    ("MTS", FAR, Outcome.KILLED),
    ("MTS", NEAR, Outcome.INCONCLUSIVE),
]


@dataclass(frozen=True)
class Placed:
    mutant: str
    environment: Point
    verdict: KillVerdict


def verdict(outcome: Outcome | None, test: str = "t") -> KillVerdict:
    return KillVerdict(test, outcome, Direction.WORSE, 0.0, 0.5, None, None, None, None, 20, 20)


def test_from_cells_keeps_order_and_outcomes() -> None:
    matrix = KillMatrix.from_cells(CELLS)
    assert matrix.mutants == ("NDF", "MTS")
    assert matrix.environments == (NEAR, FAR)
    np.testing.assert_array_equal(matrix.killed, [[True, False], [False, True]])
    np.testing.assert_array_equal(matrix.inconclusive, [[False, False], [True, False]])
    np.testing.assert_array_equal(matrix.kills_of("MTS"), [False, True])


def test_from_verdicts_is_from_cells() -> None:
    placed = [Placed(mutant, point, verdict(outcome)) for mutant, point, outcome in CELLS]
    assert KillMatrix.from_verdicts(placed) == KillMatrix.from_cells(CELLS)


def test_select_keeps_the_matrix_order() -> None:
    matrix = KillMatrix.from_cells(CELLS)
    assert matrix.select(["MTS"]).outcomes == (matrix.outcomes[1],)
    assert matrix.select(["MTS", "NDF"]) == matrix


def test_an_empty_matrix_has_shapes() -> None:
    assert KillMatrix.from_cells([]).killed.shape == (0, 0)
    assert KillMatrix.from_cells(CELLS).select([]).killed.shape == (0, 2)


def test_missing_and_double_cells_are_refused() -> None:
    with pytest.raises(InputError, match=r"no outcome for MTS in \(mass 1\)"):
        KillMatrix.from_cells(CELLS[:3])
    with pytest.raises(InputError, match=r"two outcomes for NDF in \(mass 1\)"):
        KillMatrix.from_cells([*CELLS, CELLS[0]])


def test_verdicts_must_be_outcomes_of_one_test() -> None:
    with pytest.raises(InputError, match=r"several tests \(a, b\)"):
        KillMatrix.from_verdicts([Placed("X", NEAR, verdict(Outcome.KILLED, name)) for name in "ab"])
    with pytest.raises(InputError, match="average_ratio gives no outcome for X"):
        KillMatrix.from_verdicts([Placed("X", NEAR, verdict(None, "average_ratio"))])


def test_an_unknown_mutant_is_named() -> None:
    with pytest.raises(InputError, match="'NR' is not in the kill matrix; expected one of NDF, MTS"):
        KillMatrix.from_cells(CELLS).kills_of("NR")
