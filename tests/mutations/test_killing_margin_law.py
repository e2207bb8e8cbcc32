"""The permutation law of the margin test, against hand counts and plain enumeration."""

import itertools
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from mutations.killing.permutation_law import paired_p_value, permutation_p_value
from mutations.killing.splits import (
    MOST_EXACT,
    drawn_splits,
    exact_splits,
    number_of_splits,
    smallest_split_p,
    swaps,
)
from mutations.killing.statistics import merge_rounding

levels = st.lists(st.integers(-3, 3), min_size=2, max_size=5).map(lambda values: np.array(values, dtype=float))


def p_of(healthy, mutant, seed=0):
    first, second = np.asarray(healthy, dtype=float), np.asarray(mutant, dtype=float)
    return permutation_p_value(first, second, np.random.default_rng(seed))


def statistics_of(healthy, mutant, pooled):
    """Mean, rank and energy distance by their definitions."""
    ranks = dict(zip(pooled, stats.rankdata(pooled), strict=True))
    rank = np.mean([ranks[x] for x in healthy]) - np.mean([ranks[x] for x in mutant])

    def apart(first, second):
        return np.mean(np.abs(np.subtract.outer(first, second)))

    energy = 2 * apart(healthy, mutant) - apart(healthy, healthy) - apart(mutant, mutant)
    return np.round([abs(np.mean(healthy) - np.mean(mutant)), abs(rank), energy], 9)


def enumerated(assignments):
    """p of the smallest p and the three p-values, over all (healthy, mutant); the first is the observed one."""
    assignments = list(assignments)
    pooled = np.concatenate(assignments[0])
    table = np.array([statistics_of(healthy, mutant, pooled) for healthy, mutant in assignments])
    tails = np.array([[np.mean(table[:, k] >= row[k]) for k in range(3)] for row in table])
    return np.mean(tails.min(axis=1) <= tails[0].min() + 1e-12), tails[0]


def all_splits(healthy, mutant):
    pooled = np.concatenate((healthy, mutant))
    for chosen in itertools.combinations(range(pooled.size), healthy.size):
        others = [position for position in range(pooled.size) if position not in chosen]
        yield pooled[list(chosen)], pooled[others]


def all_swaps(healthy, mutant):
    for flips in itertools.product((False, True), repeat=healthy.size):
        flipped = np.array(flips)
        yield np.where(flipped, mutant, healthy), np.where(flipped, healthy, mutant)


def test_number_of_splits_by_hand():
    assert number_of_splits((1, 1, 1, 1), 2) == 6
    assert number_of_splits((3, 1), 2) == 2  # the single one is in the healthy population or not
    assert number_of_splits((2, 2), 2) == 3
    assert number_of_splits((1,) * 16, 8) == 12_870
    assert number_of_splits((35, 1, 1, 1, 1, 1), 20) == 32


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.data())
def test_exact_splits_have_their_probabilities(multiplicities, data):
    total = sum(multiplicities)
    n = data.draw(st.integers(1, max(1, total - 1)))
    if n >= total:
        return
    labels = [value for value, count in enumerate(multiplicities) for _ in range(count)]
    counted = Counter(
        tuple(sorted(labels[position] for position in chosen)) for chosen in itertools.combinations(range(total), n)
    )
    splits = exact_splits(tuple(multiplicities), n)
    assert len(splits.weights) == len(counted) == number_of_splits(tuple(multiplicities), n)
    assert sorted(splits.weights) == pytest.approx(sorted(count / sum(counted.values()) for count in counted.values()))


def test_p_value_by_hand():
    # Six splits of 1 2 | 3 4 in two halves: the observed one and its mirror are the most extreme by every statistic.
    assert p_of([1, 2], [3, 4]).p_value == pytest.approx(2 / 6)
    assert p_of([1, 4], [2, 3]).single[:2] == pytest.approx((1.0, 1.0))
    assert p_of([5, 5, 5], [5, 5]).p_value == 1.0


def test_five_collapsed_agents_of_twenty_are_the_fewest_that_are_significant():
    """All five are in one population with chance 2 C(35, 15) / C(40, 20)."""
    perfect = np.full(20, 500.0)
    expected = {4: 0.1060, 5: 0.0471, 6: 0.0202}
    for collapsed, p_value in expected.items():
        mutant = np.concatenate((np.arange(collapsed), perfect[collapsed:]))
        result = p_of(perfect, mutant)
        assert result.p_value == pytest.approx(p_value, abs=5e-5)
        assert result.exact


@settings(deadline=None, max_examples=60)
@given(levels, levels)
def test_exact_p_value_is_the_plain_enumeration(healthy, mutant):
    expected, single = enumerated(all_splits(healthy, mutant))
    result = p_of(healthy, mutant)
    assert result.p_value == pytest.approx(expected)
    if len(set(np.concatenate((healthy, mutant)))) > 1:
        assert result.single == pytest.approx(tuple(single))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=6))
def test_paired_p_value_is_the_plain_enumeration(pairs):
    healthy, mutant = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    expected, _ = enumerated(all_swaps(healthy, mutant))
    assert paired_p_value(healthy, mutant, np.random.default_rng(0)).p_value == pytest.approx(expected)


def test_drawn_p_value_is_near_the_exact_one_and_never_zero():
    rng = np.random.default_rng(4)
    healthy, mutant = rng.normal(size=8), rng.normal(0.8, 1, size=8)
    exact = p_of(healthy, mutant)
    assert exact.exact
    # the same populations with their splits drawn: two more agents on either side make too many to count
    first, second = (np.concatenate((side, [50.0, -50.0])) for side in (healthy, mutant))
    drawn = p_of(first, second)
    assert not drawn.exact
    assert drawn.p_value == pytest.approx(p_of(first, second, seed=9).p_value, abs=0.02)
    assert p_of(np.arange(30.0), np.arange(30.0) + 1e6).p_value == pytest.approx(1 / 10_000)


def test_the_generator_is_used_only_where_splits_are_drawn():
    rng = np.random.default_rng(0)
    permutation_p_value(np.full(50, 500.0), np.concatenate((np.arange(10.0), np.full(40, 500.0))), rng)
    permutation_p_value(np.arange(8.0), np.arange(8.0) + 0.5, rng)
    paired_p_value(np.arange(14.0), np.arange(14.0) + 0.5, rng)
    assert rng.random() == np.random.default_rng(0).random()


def test_shared_splits_give_the_p_value_of_their_own():
    rng = np.random.default_rng(5)
    healthy, mutant = rng.normal(size=20), rng.normal(0.5, 1, size=20)
    splits = drawn_splits(20, 20, np.random.default_rng(7))
    shared = permutation_p_value(healthy, mutant, rng, splits)
    assert shared == permutation_p_value(healthy, mutant, np.random.default_rng(7))


def test_swaps_leave_equal_pairs_alone():
    same = np.arange(40.0)
    mutant = same.copy()
    mutant[:3] -= 0.5
    splits = swaps(same, mutant, np.random.default_rng(0))
    assert splits.exact
    assert len(splits.weights) == 8
    assert 2**14 <= MOST_EXACT < 2**15


def test_smallest_p_value_of_a_size():
    assert smallest_split_p(4, 4) == pytest.approx(2 / 70)
    assert smallest_split_p(3, 3) == pytest.approx(2 / 20)
    assert smallest_split_p(2, 5) == pytest.approx(1 / 21)
    assert smallest_split_p(100, 100) == 0.0


def test_rounding_noise_is_a_tie():
    healthy, mutant = merge_rounding(np.array([500.0, 499.9999999]), np.array([500.0 + 6e-14, 499.9]))
    assert healthy[0] == healthy[1] == mutant[0]
    assert mutant[1] == 499.9
    noisy = 500 - 1e-7 * np.random.default_rng(0).random(20)
    assert p_of(*merge_rounding(np.full(20, 500.0), noisy)).p_value == 1.0


@pytest.mark.parametrize("law", ["normal", "cauchy", "saturated"])
def test_false_kills_stay_at_the_level(law):
    """600 pairs of 20 and 12 agents: at most 5 % and the error of the simulation (2.3 points is 2.6 sigma)."""
    rng = np.random.default_rng(11)
    laws: dict[str, Callable[[int], NDArray[np.float64]]] = {
        "normal": lambda size: rng.normal(size=size),
        "cauchy": lambda size: rng.standard_cauchy(size),
        "saturated": lambda size: np.where(rng.random(size) < 0.85, 500.0, rng.uniform(0, 500, size)),
    }
    draw = laws[law]
    splits = drawn_splits(20, 12, rng)
    rejected = sum(permutation_p_value(draw(20), draw(12), rng, splits).p_value <= 0.05 for _ in range(600))
    assert rejected / 600 <= 0.073
    assert rejected > 0
