"""Bisection of one segment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envsearch.bisection import Bracket, Segment, halvings
from envsearch.errors import InputError


@pytest.mark.parametrize(
    ("length", "precision", "expected"),
    [(19.0, 0.5, 6), (19.9, 0.05, 9), (10.0, 0.5, 5), (1.0, 1.0, 0), (0.5, 1.0, 0), (1.0, 0.5, 1), (1.0, 0.49, 2)],
)
def test_halvings_until_the_bracket_is_not_wider_than_the_precision(
    length: float, precision: float, expected: int
) -> None:
    assert halvings(length, precision) == expected


@pytest.mark.parametrize("length", [1.0, 1e308 * 10])
def test_a_precision_too_fine_for_its_limits_is_refused(length: float) -> None:
    with pytest.raises(InputError, match=r"mass\.precision: 1e-300 is too fine"):
        halvings(length, 1e-300, "mass.precision")


def test_the_ends_of_a_segment_are_exact_and_the_middle_is_halfway() -> None:
    segment = Segment((1.0, 0.1), (20.0, 0.1), 3)
    assert segment.cells == 8
    assert segment.point(0) == (1.0, 0.1)
    assert segment.point(8) == (20.0, 0.1)
    assert segment.point(4) == (10.5, 0.1)
    assert segment.point(1) == (3.375, 0.1)
    assert segment.point(7) == (17.625, 0.1)


@given(st.floats(-100, 100), st.floats(-100, 100), st.integers(0, 8), st.data())
def test_grid_points_are_the_numbers_that_repeated_halving_meets(
    start: float, end: float, levels: int, data: st.DataObject
) -> None:
    segment = Segment((start,), (end,), levels)
    index = data.draw(st.integers(0, segment.cells))
    low, high, first, last = start, end, 0, segment.cells
    while index not in (first, last):
        middle, half = (low + high) / 2, (first + last) // 2
        low, high, first, last = (low, middle, first, half) if index < half else (middle, high, half, last)
    assert segment.point(index) == ((low if index == first else high),)


@given(st.integers(0, 9), st.integers(1, 9), st.data())
def test_any_width_finds_the_last_accepted_cell_in_logarithmically_many_rounds(
    levels: int, width: int, data: st.DataObject
) -> None:
    cells = 1 << levels
    edge = data.draw(st.integers(0, cells))
    bracket, rounds = Bracket(cells), 0
    while not bracket.done:
        proposals = bracket.proposals(width)
        assert 1 <= len(proposals) <= width
        assert proposals == sorted(set(proposals))
        bracket.absorb({index: index <= edge for index in proposals})
        rounds += 1
    assert bracket.accepted == edge
    assert bracket.proposals(width) == []
    assert rounds <= 2 + levels  # width 1: the end, then one halving per level
    if width == 1:
        assert rounds == (1 if edge == cells else 1 + levels)


def test_three_cuts_divide_a_bracket_into_four() -> None:
    bracket = Bracket(64)
    assert bracket.proposals(1) == [64]
    bracket.absorb({64: False})
    assert bracket.proposals(3) == [16, 32, 48]
    bracket.absorb({48: False, 32: False, 16: True})
    assert (bracket.accepted, bracket.rejected) == (16, 32)


def test_the_first_round_of_a_wide_search_asks_about_the_end_too() -> None:
    assert Bracket(64).proposals(4) == [16, 32, 48, 64]


def test_of_contradicting_answers_the_rejection_nearest_to_the_start_counts() -> None:
    bracket = Bracket(64)
    bracket.absorb({16: True, 32: False, 48: True, 64: True})
    assert (bracket.accepted, bracket.rejected) == (16, 32)
