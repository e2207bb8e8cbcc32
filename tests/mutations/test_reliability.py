"""Interquartile mean, probability of improvement and performance profile: by hand, against rliable, in simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.reliability import LAWS, coverage
from envsearch.errors import InputError
from mutations import reliability
from mutations.killing.statistics import vargha_delaney
from mutations.reliability import (
    BootstrapEstimate,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
)

HEALTHY = (
    *(470.1, 487.9, 453.6, 416.6, 442.7, 410.5, 473.6, 500.0, 440.5, 432.8),
    *(499.4, 491.4, 476.3, 414.2, 468.2, 500.0, 389.3, 442.5, 355.9, 392.6),
)
MUTANT = (
    *(282.7, 411.2, 328.6, 451.7, 442.5, 415.0, 228.7, 386.9, 426.1, 439.1),
    *(307.6, 391.8, 351.7, 365.3, 500.0, 365.4, 427.4, 500.0),
)

REWARDS = st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=25)


def ends(estimate):
    return estimate.low, estimate.high


# --- by hand ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rewards", "expected"),
    [
        ([1, 2, 3, 100], 2.5),  # one left out at either end
        ([0, 1, 2, 3, 4, 100], 2.5),  # int(1.5) = 1 at either end
        ([5, 1, 3], 3.0),  # int(.75) = 0: a plain mean
        ([7], 7.0),
        ([-np.inf, 1, 2, 3], 1.5),  # a dead agent is the lowest
        ([-np.inf, -np.inf, 2, 3], -np.inf),
    ],
)
def test_interquartile_mean_by_hand(rewards, expected):
    assert interquartile_mean(rewards).value == expected


def test_probability_of_improvement_by_hand():
    # the mutant's 3 beats 1 and 2 and ties with 3, its 2 beats 1 and ties with 2, its 0 beats none
    assert probability_of_improvement([1, 2, 3], [3, 2, 0]).value == pytest.approx((2.5 + 1.5 + 0) / 9)
    assert probability_of_improvement([-np.inf, 1], [-np.inf]).value == 0.25


def test_profile_by_hand():
    profile = performance_profile([1, 2, 2, 4], [0, 1, 2, 3.9, 4])
    assert profile.thresholds == (0, 1, 2, 3.9, 4)
    assert profile.shares == (1.0, 0.75, 0.25, 0.25, 0.0)
    assert (profile.low[0], profile.high[-1]) == (1.0, 0.0)
    # 1 agent of 4 is above 2: Binomial(4, 1/4) / 4 has its 2.5 % quantile at 0 and its 97.5 % quantile at 3/4
    assert (profile.low[2], profile.high[2]) == (0.0, 0.75)


def test_interval_of_two_agents_by_hand():
    """Both drawn are 0 in a quarter of the replicates, both 10 in another: the ends are 0 and 10."""
    assert interquartile_mean([0, 10]) == BootstrapEstimate(5.0, 0.0, 10.0)
    assert interquartile_mean([3, 3, 3]) == BootstrapEstimate(3.0, 3.0, 3.0)


def test_populations_that_are_apart_give_a_point():
    assert probability_of_improvement([5, 6, 7], [1, 2]) == BootstrapEstimate(0.0, 0.0, 0.0)


@pytest.mark.parametrize("rewards", [[], [[1.0, 2.0]], [np.nan, 1.0], [np.inf]])
def test_populations_that_cannot_be_described_are_refused(rewards):
    with pytest.raises(InputError):
        interquartile_mean(rewards)
    with pytest.raises(InputError, match="mutant"):
        probability_of_improvement([1.0], rewards)


# --- against others --------------------------------------------------------------------------------------------------


@given(REWARDS)
def test_interquartile_mean_is_scipys_trimmed_mean(rewards):
    assert interquartile_mean(rewards, replicates=1).value == pytest.approx(stats.trim_mean(rewards, 0.25))


@given(REWARDS, REWARDS)
def test_probability_of_improvement_is_vargha_delaneys(healthy, mutant):
    expected = vargha_delaney(np.asarray(healthy), np.asarray(mutant))
    assert probability_of_improvement(healthy, mutant, replicates=1).value == pytest.approx(expected)


def test_replicates_are_those_of_resampled_agents():
    """A replicate's trimmed mean from counts equals the trimmed mean of the agents drawn that often."""
    ordered = np.sort(np.array(MUTANT))
    counts = reliability._counts(ordered.size, 5, 0, 50)
    drawn = [np.repeat(ordered, row.astype(int)) for row in counts]
    assert np.all(counts.sum(axis=1) == ordered.size)
    expected = [stats.trim_mean(agents, 0.25) for agents in drawn]
    assert reliability._trimmed_means(ordered, counts) == pytest.approx(expected)


def test_rliable_gives_the_same():
    """Values of rliable 1.2.0: 50,000 replicates (5,000 for the probability), so the ends are good to some points."""
    healthy, mutant = interquartile_mean(HEALTHY), interquartile_mean(MUTANT)
    assert (healthy.value, mutant.value) == (pytest.approx(451.69), pytest.approx(397.99))
    assert ends(healthy) == pytest.approx((428.45, 473.69), abs=1.0)
    assert ends(mutant) == pytest.approx((359.50, 428.17), abs=1.5)
    improvement = probability_of_improvement(HEALTHY, MUTANT)
    assert improvement.value == pytest.approx(0.24861111)
    assert ends(improvement) == pytest.approx((0.1027, 0.4139), abs=0.012)
    profile = performance_profile(MUTANT, [300.0, 400.0, 450.0, 480.0, 499.9, 500.0])
    assert profile.shares == pytest.approx((0.88888889, 0.5, 0.16666667, 0.11111111, 0.11111111, 0.0))
    assert profile.low == pytest.approx((0.72222222, 0.27777778, 0.0, 0.0, 0.0, 0.0))
    assert profile.high == pytest.approx((1.0, 0.72222222, 0.33333333, 0.27777778, 0.27777778, 0.0))


# --- draws -----------------------------------------------------------------------------------------------------------


def test_same_seed_same_bits_and_order_of_agents_does_not_matter():
    assert interquartile_mean(MUTANT, 3) == interquartile_mean(MUTANT[::-1], 3)
    assert interquartile_mean(MUTANT, 3) != interquartile_mean(MUTANT, 4)
    state = np.random.get_state(legacy=False)["state"]["key"].copy()
    probability_of_improvement(HEALTHY, MUTANT, 9, 17)
    assert np.array_equal(np.random.get_state(legacy=False)["state"]["key"], state)


def test_both_populations_are_resampled_independently():
    """With the same draws on both sides, a population against itself would always have probability .5."""
    assert ends(probability_of_improvement(HEALTHY, HEALTHY)) == pytest.approx((0.32, 0.68), abs=0.02)


# --- in simulation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statistic", ["interquartile mean", "probability of improvement", "performance profile"])
def test_coverage_of_normal_rewards(statistic):
    """95 % nominal; the percentile bootstrap of 20 agents is known to be a little narrow (full table: docs)."""
    share = coverage(statistic, LAWS["normal"], 20, 300, np.random.default_rng(0), 500)
    assert 0.89 <= share <= 0.985


def test_coverage_notices_intervals_that_are_too_narrow():
    share = coverage("interquartile mean", LAWS["normal"], 20, 200, np.random.default_rng(0), replicates=3)
    assert share < 0.7
