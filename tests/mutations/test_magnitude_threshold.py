"""Thresholds of simulated sweeps with a known law, and the sweeps that have none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize

from mutations.killing.margins import Margins
from mutations.magnitude_threshold import magnitude_threshold, monotone_p, rising_shares, trend_p
from mutations.psychometric import PsychometricFunction, ThresholdFinding
from mutations.psychometric_fit import NoticedAgents, fit_psychometric

MAGNITUDES = (0.05, 0.1, 0.2, 0.4, 0.8)
AGENTS = 20


def counts(noticed, healthy=0, agents=AGENTS):
    return NoticedAgents(
        np.array([0.0, *MAGNITUDES]),
        np.array([healthy, *noticed], dtype=np.float64),
        np.full(len(MAGNITUDES) + 1, agents, dtype=np.float64),
    )


def sweep(noticed, healthy=None, margins=None, agents=AGENTS):
    """Healthy agents at 500; of the mutants some are at 100."""
    mutants = {
        magnitude: np.array([100.0] * number + [500.0] * (agents - number))
        for magnitude, number in zip(MAGNITUDES, noticed, strict=True)
    }
    healthy = np.full(agents, 500.0) if healthy is None else np.array(healthy, dtype=np.float64)
    return magnitude_threshold(healthy, mutants, margins or Margins(), np.random.default_rng(0))


def test_chance_is_halfway_at_the_threshold():
    function = PsychometricFunction(guess=0.1, lapse=0.02, threshold=0.2, slope=3.0)
    chances = function.chance(np.array([0.0, 0.2, 1e6]))
    assert chances == pytest.approx([0.1, (0.1 + 0.98) / 2, 0.98])


def test_fit_returns_the_function_that_made_the_shares():
    law = PsychometricFunction(guess=0.1, lapse=0.0, threshold=0.17, slope=3.0)
    magnitudes = np.array([0.0, *MAGNITUDES])
    agents = np.full(magnitudes.size, 10_000.0)
    fitted = fit_psychometric(NoticedAgents(magnitudes, np.round(10_000 * law.chance(magnitudes)), agents))
    assert fitted.threshold == pytest.approx(0.17, rel=0.01)
    assert fitted.slope == pytest.approx(3.0, rel=0.02)
    assert fitted.guess == pytest.approx(0.1, abs=0.005)


def test_threshold_with_its_interval():
    estimate = sweep([0, 4, 10, 17, 20])
    assert estimate.finding is ThresholdFinding.WITHIN
    assert estimate.noticed == (0, 4, 10, 17, 20)
    assert estimate.limit == 475.0
    assert estimate.reason == ""
    assert 0.15 < estimate.threshold < 0.25
    assert 0.12 < estimate.low < estimate.threshold < estimate.high < 0.32


def test_interval_between_two_magnitudes_keeps_its_width():
    estimate = sweep([0, 0, 20, 20, 20])
    assert estimate.threshold == pytest.approx(math.sqrt(0.1 * 0.2), rel=0.05)
    assert 0.095 < estimate.low < 0.115
    assert 0.175 < estimate.high < 0.21


def test_more_agents_narrow_the_interval():
    few, many = sweep([0, 2, 5, 8, 10], agents=10), sweep([0, 10, 25, 40, 50], agents=50)
    assert math.log(many.high / many.low) < 0.6 * math.log(few.high / few.low)


def test_everything_is_noticed_already():
    estimate = sweep([20, 20, 20, 20, 20])
    assert estimate.finding is ThresholdFinding.BELOW
    assert estimate.threshold is None and estimate.low is None
    assert "already at 0.05" in estimate.reason


@pytest.mark.parametrize(
    ("noticed", "reason"),
    [
        ([0, 0, 0, 0, 0], "does not rise with the magnitude"),
        ([9, 12, 8, 11, 9], "does not rise with the magnitude"),
        ([20, 15, 10, 5, 0], "does not rise with the magnitude"),
        ([0, 16, 2, 18, 20], "rises and falls"),
        ([0, 0, 1, 3, 6], "not halfway up at 0.8"),
    ],
)
def test_no_threshold_is_ever_extrapolated(noticed, reason):
    healthy = [500.0] * 10 + [400.0] * 10 if noticed[0] == 9 else None
    estimate = sweep(noticed, healthy, Margins(scale=500.0))
    assert estimate.finding is ThresholdFinding.NONE
    assert estimate.threshold is None
    assert reason in estimate.reason


def test_differences_within_the_margin_are_not_noticed():
    mutants = {magnitude: np.full(AGENTS, 499.9 - 20 * magnitude) for magnitude in MAGNITUDES}
    estimate = magnitude_threshold(np.full(AGENTS, 500.0), mutants, Margins(), np.random.default_rng(0))
    assert estimate.noticed == (0,) * 5


def test_healthy_agents_beyond_the_margin_are_the_guess_rate():
    healthy = [500.0] * 15 + [400.0] * 5
    estimate = sweep([5, 6, 12, 18, 20], healthy)
    assert estimate.healthy_noticed == 5
    assert estimate.function.guess == pytest.approx(0.25, abs=0.1)


def test_dead_agents_are_noticed():
    mutants = {magnitude: np.full(AGENTS, 500.0) for magnitude in MAGNITUDES}
    mutants[0.4], mutants[0.8] = (np.full(AGENTS, -np.inf) for _ in range(2))
    estimate = magnitude_threshold(np.full(AGENTS, 500.0), mutants, Margins(), np.random.default_rng(0))
    assert estimate.noticed == (0, 0, 0, 20, 20)
    assert estimate.finding is ThresholdFinding.WITHIN


def test_without_a_scale_there_is_no_limit():
    healthy = [-50.0, 50.0] * 10
    estimate = sweep([0, 4, 10, 17, 20], healthy)
    assert estimate.limit is None and estimate.finding is ThresholdFinding.NONE
    assert "no margin without a scale" in estimate.reason
    assert sweep([0, 4, 10, 17, 20], healthy, Margins(scale=500.0)).limit == pytest.approx(-25.0)


def test_same_generator_same_estimate():
    rng = np.random.default_rng(1)
    healthy = rng.normal(100, 10, 20)
    mutants = {magnitude: rng.normal(100 - 60 * magnitude, 10, 20) for magnitude in MAGNITUDES}
    first, second = (magnitude_threshold(healthy, mutants, Margins(), np.random.default_rng(3)) for _ in range(2))
    assert first == second


def test_trend_and_monotone_tests_hold_their_level():
    rng = np.random.default_rng(0)
    flat = [counts(rng.binomial(AGENTS, 0.3, 5), rng.binomial(AGENTS, 0.3)) for _ in range(400)]
    assert np.mean([trend_p(case) <= 0.05 for case in flat]) < 0.08
    assert np.mean([monotone_p(case, rng) <= 0.05 for case in flat]) < 0.12  # no margin to spare where shares are equal
    rising = [counts(rng.binomial(AGENTS, (0.1, 0.2, 0.5, 0.8, 0.9)), rng.binomial(AGENTS, 0.1)) for _ in range(400)]
    assert np.mean([monotone_p(case, rng) <= 0.05 for case in rising]) < 0.05
    assert monotone_p(counts([1, 2, 3, 4, 5]), rng) == 1.0


def test_rising_shares_are_those_of_isotonic_regression():
    rng = np.random.default_rng(2)
    agents = rng.integers(5, 20, 7).astype(np.float64)
    noticed = rng.binomial(agents.astype(int), 0.5, size=(50, 7)).astype(np.float64)
    expected = [optimize.isotonic_regression(row / agents, weights=agents).x for row in noticed]
    assert rising_shares(noticed, agents) == pytest.approx(np.array(expected))


def test_bias_is_small_and_intervals_cover():
    """A smoke test of what `benchmarks.magnitudes` measures with many more sweeps."""
    rng = np.random.default_rng(5)
    errors, covered = [], 0
    for _ in range(30):
        true = math.exp(rng.uniform(math.log(0.1), math.log(0.4)))
        law = PsychometricFunction(0.0, 0.0, true, 3.0)
        estimate = sweep(rng.binomial(AGENTS, law.chance(np.array(MAGNITUDES))))
        errors.append(math.log(estimate.threshold / true))
        covered += (estimate.low or 0) <= true <= (estimate.high or math.inf)
    assert abs(np.mean(errors)) < 0.08
    assert covered >= 26
