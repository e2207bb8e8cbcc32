"""Mutation score, and the exact smallest subset of environments."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envsearch.errors import InputError
from mutations.kill_matrix import KillMatrix, Point
from mutations.killing.kill_test import Outcome
from mutations.score import MutationScore, minimal_cover, mutation_score
from orchestration.campaign.result import ScoreResult

MARKS = {"x": Outcome.KILLED, ".": Outcome.SURVIVED, "?": Outcome.INCONCLUSIVE}


def point(column: int) -> Point:
    return (("e", float(column)),)


def matrix_of(**rows: str) -> KillMatrix:
    return KillMatrix.from_cells(
        (name, point(column), MARKS[mark]) for name, row in rows.items() for column, mark in enumerate(row)
    )


def test_every_number_of_a_score() -> None:
    score = mutation_score("t", matrix_of(ALL="xxx", A="x..", B=".x?", C="..x", NO="...", HM="?.."))
    assert score == MutationScore(
        test="t",
        mutation_score=4 / 6,
        killed=("ALL", "A", "B", "C"),
        trivial=("ALL",),
        never_killed=("NO", "HM"),
        inconclusive=("HM",),
        minimal_environments=(point(0), point(1), point(2)),
        possible_score=5 / 6,
    )


def test_nothing_killed_needs_no_environment() -> None:
    score = mutation_score("t", matrix_of(NO="..", HM="??"))
    assert (score.mutation_score, score.minimal_environments, score.inconclusive) == (0.0, (), ("HM",))


def test_ties_go_to_the_first_environments() -> None:
    assert mutation_score("t", matrix_of(A="xxx")).minimal_environments == (point(0),)
    assert mutation_score("t", matrix_of(A=".xx")).minimal_environments == (point(1),)


def test_greedy_is_not_enough() -> None:
    """The column with the most kills is not in the smallest cover."""
    rows = [{0, 2}, {0, 2}, {0, 1}, {0, 1}, {1}, {2}]
    assert minimal_cover(rows) == (1, 2)


def test_no_mutants_is_an_error() -> None:
    with pytest.raises(InputError, match="no mutants to score"):
        mutation_score("t", KillMatrix((), (), ()))


def test_a_row_without_columns_cannot_be_covered() -> None:
    with pytest.raises(ValueError, match="cannot be covered"):
        minimal_cover([set()])


def test_fields_are_those_of_a_campaign_result() -> None:
    names = [field.name for field in dataclasses.fields(MutationScore)]
    assert names == [field.name for field in dataclasses.fields(ScoreResult)]


@given(st.lists(st.sets(st.integers(0, 6), min_size=1), max_size=9))
def test_minimal_cover_is_the_first_smallest(rows: list[set[int]]) -> None:
    covers = (
        chosen
        for size in range(8)
        for chosen in itertools.combinations(range(7), size)
        if all(row & set(chosen) for row in rows)
    )
    assert minimal_cover(rows) == next(covers)


@given(st.lists(st.text("x.?", min_size=4, max_size=4), min_size=1, max_size=8))
def test_a_score_adds_up(rows: list[str]) -> None:
    matrix = matrix_of(**{f"M{index}": row for index, row in enumerate(rows)})
    score = mutation_score("t", matrix)
    assert sorted(score.killed + score.never_killed) == sorted(matrix.mutants)
    assert set(score.trivial) <= set(score.killed)
    assert set(score.inconclusive) <= set(score.never_killed)
    assert score.mutation_score == len(score.killed) / len(rows)
    columns = [matrix.environments.index(environment) for environment in score.minimal_environments]
    np.testing.assert_array_equal(matrix.killed[:, columns].any(axis=1), matrix.killed.any(axis=1))


def test_forty_environments_are_solved() -> None:
    rng = np.random.default_rng(1)
    rows = [{int(column) for column in np.flatnonzero(row)} for row in rng.random((60, 40)) < 0.2]
    cover = minimal_cover([row or {0} for row in rows])
    assert all(set(cover) & row for row in rows if row)
