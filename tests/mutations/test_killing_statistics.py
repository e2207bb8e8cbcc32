"""Hand-computed cases, and properties, of the numbers that kill tests share."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.power import TTestPower

from envsearch.errors import InputError
from mutations.killing.kill_test import Direction
from mutations.killing.registry import KILL_TESTS
from mutations.killing.statistics import (
    direction_of,
    mean_direction,
    newcombe_interval,
    paired_populations,
    paired_power,
    pooled_deviation,
    vargha_delaney,
)


def test_pooled_deviation_by_hand():
    # squares about the means: 2 + 8 = 10, four degrees of freedom
    assert pooled_deviation(np.array([1.0, 2, 3]), np.array([4.0, 6, 8])) == pytest.approx(math.sqrt(10 / 4))


def test_pooled_deviation_of_constants_is_exactly_zero():
    assert pooled_deviation(np.full(20, 0.1), np.full(20, 0.3)) == 0.0


def test_vargha_delaney_by_hand():
    # mutant 2 beats 1, ties with 2; mutant 0 beats none: (1 + .5) / 4
    assert vargha_delaney(np.array([1.0, 2.0]), np.array([2.0, 0.0])) == pytest.approx(0.375)
    assert vargha_delaney(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 1.0
    assert vargha_delaney(np.array([1.0, 2.0]), np.array([-3.0, 0.0])) == 0.0
    assert vargha_delaney(np.full(5, 7.0), np.full(5, 7.0)) == 0.5


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=8), st.lists(st.integers(-5, 5), min_size=2, max_size=8))
def test_vargha_delaney_is_the_count_of_wins(healthy, mutant):
    wins = sum((m > h) + 0.5 * (m == h) for m in mutant for h in healthy)
    a = vargha_delaney(np.array(healthy, dtype=float), np.array(mutant, dtype=float))
    assert a == pytest.approx(wins / (len(healthy) * len(mutant)))


@pytest.mark.parametrize("confidence", [0.90, 0.95])
@given(a=st.floats(0, 1), n=st.integers(2, 60), m=st.integers(2, 60))
def test_newcombe_interval_holds_the_estimate_and_mirrors(confidence, a, n, m):
    low, high = newcombe_interval(a, n, m, confidence)
    assert 0 <= low <= a + 1e-12
    assert a - 1e-12 <= high <= 1
    assert high - low > 0.01
    mirrored_low, mirrored_high = newcombe_interval(1 - a, n, m, confidence)
    assert mirrored_low == pytest.approx(1 - high, abs=1e-9)
    assert mirrored_high == pytest.approx(1 - low, abs=1e-9)


def test_newcombe_interval_solves_its_equation():
    """At both ends the estimate lies z of that end's own standard errors away."""
    low, high = newcombe_interval(0.6, 20, 20, 0.95)
    for end in (low, high):
        spread = 1 + 19 * ((1 - end) / (2 - end) + end / (1 + end))
        assert abs(end - 0.6) == pytest.approx(1.959964 * math.sqrt(end * (1 - end) * spread / 400), rel=1e-5)


def test_newcombe_interval_at_the_limits():
    low, high = newcombe_interval(0.0, 20, 20, 0.95)
    assert low == 0.0
    assert 0.05 < high < 0.2
    assert newcombe_interval(1.0, 20, 20, 0.95) == pytest.approx((1 - high, 1.0))


def test_newcombe_interval_covers_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        low, high = newcombe_interval(vargha_delaney(rng.normal(size=20), rng.normal(size=20)), 20, 20, 0.95)
        covered += low <= 0.5 <= high
    assert 0.92 <= covered / 400 <= 0.98


@pytest.mark.parametrize("n", [2, 6, 20, 100])
@pytest.mark.parametrize("ratio", [0.01, 0.3, 0.5657, 1.0])
def test_paired_power_agrees_with_statsmodels(n, ratio):
    assert paired_power(ratio, n, 0.032) == pytest.approx(TTestPower().power(ratio, n, 0.032), abs=1e-9)


def test_paired_power_at_the_limits():
    assert paired_power(0.0, 20, 0.05) == 0.05
    assert paired_power(math.inf, 20, 0.05) == 1.0
    assert paired_power(1e9, 1000, 0.05) == 1.0
    assert paired_power(1.0, 1, 0.05) == 0.0


def test_directions():
    assert direction_of(-1.0) is Direction.WORSE
    assert direction_of(1e-9) is Direction.BETTER
    assert direction_of(0.0) is Direction.EQUAL
    assert mean_direction(np.full(3, 0.1), np.full(3, 0.1)) is Direction.EQUAL
    assert mean_direction(np.array([1.0, 2]), np.array([1.0, 1])) is Direction.WORSE


def test_a_mean_that_differs_by_rounding_is_equal():
    """The same rewards in another order add up to another last bit."""
    healthy, mutant = np.array([0.1, 0.2, 0.3, 1e3]), np.array([1e3, 0.3, 0.2, 0.1])
    assert mean_direction(healthy, mutant) is Direction.EQUAL
    assert mean_direction(healthy, mutant + 1e-8) is Direction.BETTER


@pytest.mark.parametrize("test", KILL_TESTS.values(), ids=KILL_TESTS)
def test_rounding_noise_is_a_tie_for_every_test(test):
    """Of 500 it is 6e-14; the verdict is the one without noise, in each of its numbers."""
    healthy = np.tile([500.0, 450.0], 10)
    noise = np.where(np.arange(20) % 3 == 0, 6e-14, -6e-14)
    ratios = 0.9 * healthy
    for mutant in (healthy, np.where(np.arange(20) < 4, 100.0, healthy), ratios):
        clean = test.judge(healthy, mutant, np.random.default_rng(1))
        noisy = test.judge(healthy, mutant + noise, np.random.default_rng(1))
        assert (noisy.outcome, noisy.direction) == (clean.outcome, clean.direction)
        for name in ("statistic", "p_value", "effect_size", "effect_low", "effect_high", "power"):
            before, after = getattr(clean, name), getattr(noisy, name)
            assert after is before is None or after == pytest.approx(before, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("healthy", "mutant", "words"),
    [
        ([], [], "healthy: population has 0 agents"),
        ([1.0], [1.0], "healthy: population has 1 agents"),
        ([1.0, 2], [1.0], "mutant: population has 1 agents"),
        ([1.0, 2, 3], [1.0, 2], "3 healthy agents but 2 mutant agents"),
        ([1.0, math.nan], [1.0, 2], "healthy: reward nan at position 1 is not finite"),
        ([1.0, 2], [math.inf, 2], "mutant: reward inf at position 0 is not finite"),
        ([1.0, 2], [1e200, 2], "mutant: a reward is too large"),
        ([[1.0, 2]], [[1.0, 2]], "healthy: rewards have shape (1, 2)"),
        (["a", "b"], [1.0, 2], "healthy: rewards are not numbers"),
    ],
)
def test_bad_populations_are_refused(healthy, mutant, words):
    with pytest.raises(InputError) as caught:
        paired_populations(healthy, mutant)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
