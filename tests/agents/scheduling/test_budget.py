"""Budgets: greedy and prefix fill, must-run, new tests."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.scheduling.budget import budget_seconds, fill
from agents.scheduling.episode import Budget
from envsearch.errors import InputError

DURATIONS = np.array([4.0, 3.0, 2.0, 1.0])
NONE_NEW = np.zeros(4, np.bool_)


def chosen(budget, order=(0, 1, 2, 3), new=NONE_NEW):
    selection = fill(np.array(order), DURATIONS, budget, "abcd", new)
    return selection.order.tolist(), selection.selected.tolist()


def test_without_a_budget_everything_is_selected():
    assert chosen(Budget(), (2, 0, 1, 3)) == ([2, 0, 1, 3], [True] * 4)


def test_greedy_lets_a_later_shorter_test_in():
    assert chosen(Budget(seconds=6.0)) == ([0, 2, 1, 3], [True, False, True, False])


def test_prefix_cuts_at_the_first_that_does_not_fit():
    assert chosen(Budget(seconds=6.0, fill="prefix")) == ([0, 1, 2, 3], [True, False, False, False])


def test_a_share_of_the_summed_durations():
    assert budget_seconds(Budget(share=0.5), DURATIONS) == 5.0
    assert chosen(Budget(share=1.0), (3, 1, 2, 0))[1] == [True] * 4


def test_must_run_comes_first_and_is_paid_for():
    order, selected = chosen(Budget(seconds=5.0, must_run=("d", "b")))
    assert order == [1, 3, 0, 2] and selected == [False, True, False, True]


def test_must_run_exceeds_a_budget_that_is_too_small():
    assert chosen(Budget(seconds=0.0, must_run=("a",)))[1] == [True, False, False, False]


def test_new_tests_are_in_but_keep_their_place():
    order, selected = chosen(Budget(seconds=3.0, new_tests_in=True), new=np.array([False, False, True, False]))
    assert selected == [False, False, True, True] and order == [2, 3, 0, 1]


@given(
    st.lists(st.floats(0.0, 100.0), min_size=1, max_size=12), st.floats(0.0, 1.0), st.sampled_from(["greedy", "prefix"])
)
def test_what_is_selected_fits(durations, share, way):
    seconds = np.array(durations)
    ids = [str(place) for place in range(len(durations))]
    selection = fill(np.arange(len(ids)), seconds, Budget(share=share, fill=way), ids, np.zeros(len(ids), np.bool_))
    assert seconds[selection.selected].sum() <= share * seconds.sum() * (1 + 1e-6)
    assert sorted(selection.order.tolist()) == list(range(len(ids)))
    positions = selection.selected[selection.order]
    assert not (np.diff(positions.astype(int)) > 0).any(), "not selected tests follow the selected ones"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"fill": "greedily"}, "budget.fill"),
        ({"seconds": -1.0}, "budget.seconds"),
        ({"seconds": float("nan")}, "budget.seconds"),
        ({"share": 1.5}, "budget.share"),
        ({"share": 0.5, "seconds": 3.0}, "budget"),
    ],
)
def test_wrong_budgets(wrong, field):
    with pytest.raises(InputError) as caught:
        Budget(**wrong)
    assert caught.value.field == field
