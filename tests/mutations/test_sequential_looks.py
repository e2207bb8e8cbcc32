"""Looks: how the level is divided over them, and that whatever look a training stops at, its p-value is valid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envsearch.errors import InputError
from mutations.killing.margins import EQUIVALENCE_LEVEL, Margins
from mutations.killing.sequential_looks import DEFAULT_LOOKS, Looks, equivalence_levels, spending

LOOKS = Looks()
rising = st.lists(st.integers(3, 200), min_size=1, max_size=8, unique=True).map(sorted)


def test_the_level_is_spent_by_the_square_of_the_share_of_agents():
    assert DEFAULT_LOOKS == (6, 10, 15, 20)
    assert spending(DEFAULT_LOOKS) == pytest.approx([36 / 400, 64 / 400, 125 / 400, 175 / 400])
    assert LOOKS.most == 20


@given(rising)
def test_the_shares_are_positive_and_sum_to_one(agents):
    shares = [Looks(tuple(agents)).share(number) for number in agents]
    assert sum(shares) == pytest.approx(1)
    assert min(shares) > 0


def test_a_p_value_is_divided_by_the_share_of_its_look_and_never_above_one():
    assert LOOKS.p_value(0.0009, 6) == pytest.approx(0.01)
    assert LOOKS.p_value(0.0175, 20) == pytest.approx(0.04)
    assert LOOKS.p_value(0.5, 6) == 1.0
    assert Looks((20,)).p_value(0.03, 20) == 0.03


@pytest.mark.parametrize("stop", ["smallest", "first below .1", "last"])
def test_p_values_are_valid_whenever_a_training_stops(stop):
    """The worst case of Bonferroni: looks that exclude each other, each rejecting as often as it may."""
    uniform = (np.arange(100_000) + 0.5) / 100_000
    starts = np.concatenate(([0.0], np.cumsum(spending(DEFAULT_LOOKS))))
    looks = np.array([(uniform - start) % 1.0 for start in starts[:-1]])
    adjusted = np.array([np.minimum(1, looks[k] / LOOKS.share(n)) for k, n in enumerate(DEFAULT_LOOKS)])
    if stop == "smallest":
        final = adjusted.min(axis=0)
    elif stop == "last":
        final = adjusted[-1]
    else:
        below = adjusted <= 0.1
        final = adjusted[np.where(below.any(axis=0), below.argmax(axis=0), 3), np.arange(uniform.size)]
    for level in (0.001, 0.05, 0.3):
        assert np.mean(final <= level) <= level + 1e-4
    if stop == "smallest":
        assert np.mean(final <= 0.05) == pytest.approx(0.05, abs=1e-4)


@pytest.mark.parametrize("agents", [(), (2, 6), (6, 6), (10, 6)])
def test_looks_must_rise_from_three(agents):
    with pytest.raises(InputError, match="cannot be looks"):
        Looks(agents)


def test_a_number_that_is_not_a_look_is_refused():
    with pytest.raises(InputError, match="there is no look at 7 agents"):
        LOOKS.share(7)


# --- equivalence -----------------------------------------------------------------------------------------------------


def test_looks_that_cannot_show_equivalence_spend_nothing_on_it():
    assert equivalence_levels(DEFAULT_LOOKS, Margins()) == [0, 0, 0, EQUIVALENCE_LEVEL]
    assert equivalence_levels((20, 59), Margins()) == [0, EQUIVALENCE_LEVEL]
    assert equivalence_levels((20, 59, 80), Margins()) == [0, 0, EQUIVALENCE_LEVEL]
    assert equivalence_levels((20, 80, 100), Margins()) == pytest.approx([0, 0.05 * 0.64, 0.05 * 0.36])


def test_wide_margins_let_early_looks_show_equivalence():
    levels = equivalence_levels((15, 20), Margins(mean=0.3, collapsed=0.3))
    assert levels == pytest.approx([0.05 * 0.5625, 0.05 * 0.4375])
    assert Looks((15, 20)).equivalence_level(15, Margins(mean=0.3, collapsed=0.3)) == levels[0]


@given(rising, st.floats(0.01, 0.9))
def test_equivalence_levels_sum_to_the_level_and_the_last_look_has_some(agents, margin):
    levels = equivalence_levels(agents, Margins(mean=margin, collapsed=margin))
    assert len(levels) == len(agents)
    assert sum(levels) == pytest.approx(EQUIVALENCE_LEVEL)
    assert levels[-1] > 0
    unused = [level == 0 for level in levels]
    assert unused == sorted(unused, reverse=True)
