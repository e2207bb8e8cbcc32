"""Rewards against hand-computed cases. N: not run, E: error of the infrastructure, S: skipped."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.scheduling.flakiness import flakiness, flip_rate
from agents.scheduling.metrics import cycle_metrics
from agents.scheduling.registry import REWARDS, reward

NAN = math.nan


def check(name, outcome, expected):
    np.testing.assert_allclose(reward(name).rewards(outcome), expected, rtol=1e-12)


def test_failure_count(outcome):
    check("failure_count", outcome("PFFP"), [2, 2, 2, 2])
    check("failure_count", outcome("PPP"), [0, 0, 0])
    # the third test failed but was not scheduled: it is not counted, and is rewarded for the schedule all the same
    check("failure_count", outcome("PFF", selected=2), [1, 1, 1])
    check("failure_count", outcome("PFNES"), [1, 1, NAN, NAN, NAN])


def test_test_case_failure(outcome):
    check("test_case_failure", outcome("PFFP"), [0, 1, 1, 0])
    check("test_case_failure", outcome("PFF", selected=2), [0, 1, 0])
    check("test_case_failure", outcome("PFNES"), [0, 1, NAN, NAN, NAN])


def test_time_ranked(outcome):
    # ranked P F P F P: |F| = 2; the passed tests have 2, 1 and 0 failures after them
    check("time_ranked", outcome("PFPFP"), [0, 2, 1, 2, 2])
    # the same verdicts, ranked 3, 1, 0, 2, 4: F F P P P
    check("time_ranked", outcome("PFPFP", order=(3, 1, 0, 2, 4)), [2, 2, 2, 2, 2])
    check("time_ranked", outcome("PFPFP", order=(0, 2, 4, 1, 3)), [0, 2, 0, 2, 0])
    check("time_ranked", outcome("PPP"), [0, 0, 0])
    check("time_ranked", outcome("FF"), [2, 2])


def test_time_ranked_counts_the_schedule_alone(outcome):
    # the last two were not scheduled: |F| = 1, and they get 0
    check("time_ranked", outcome("PFPFP", selected=3), [0, 1, 1, 0, 0])
    # nothing is learned about tests without results; an error in the schedule is not a failure
    check("time_ranked", outcome("PFPNN", selected=3), [0, 1, 1, NAN, NAN])
    check("time_ranked", outcome("PEF"), [0, NAN, 1])


def test_infrastructure_aware(outcome):
    check("infrastructure_aware", outcome("PF"), [0, 1])
    # three of four ran properly: a failure counts three quarters
    check("infrastructure_aware", outcome("PFPE"), [0, 0.75, 0, NAN])
    check("infrastructure_aware", outcome("PFSN"), [0, 1, NAN, NAN])
    # also what was not selected teaches, once its verdict is known
    check("infrastructure_aware", outcome("PF", selected=1), [0, 1])
    check("infrastructure_aware", outcome("EE"), [NAN, NAN])
    # flaky: P F P F P changes four times in four pairs, less the first: 3 / 3; PPFPP: (2 - 1) / 3; PPPFF: a fault
    check("infrastructure_aware", outcome("FFF", past=("PFPFP", "PPFPP", "PPPFF")), [0, 2 / 3, 1])


def test_apfdc(outcome):
    # ranked F(1 s) P(2 s) F(3 s): T = 6, D = 2; shares 1 - .5/6 and 1 - (3 + 1.5)/6; cheapness 2/3 and 2/5
    expected = [(1 - 0.5 / 6) * 2 / 3, 0, (1 - 4.5 / 6) * 2 / 5]
    check("apfdc", outcome("FPF", durations=(1, 2, 3)), expected)
    # what was not run takes no time
    check("apfdc", outcome("FNPF", durations=(1, 100, 2, 3)), [expected[0], NAN, 0, expected[2]])
    check("apfdc", outcome("FP", durations=(0, 0)), [1, 0])
    check("apfdc", outcome("NE"), [NAN, NAN])


@given(st.lists(st.tuples(st.booleans(), st.floats(0.01, 100.0)), min_size=1, max_size=20))
def test_apfdc_without_its_price_averages_to_the_metric(pairs):
    failed = np.array([pair[0] for pair in pairs])
    seconds = np.array([pair[1] for pair in pairs])
    if not failed.any():
        return
    shares = 1.0 - (np.cumsum(seconds) - seconds / 2.0) / seconds.sum()
    metrics = cycle_metrics(np.arange(len(pairs)), np.ones(len(pairs), dtype=np.bool_), failed, seconds)
    assert metrics is not None and metrics.apfdc == pytest.approx(shares[failed].mean())


@pytest.mark.parametrize("name", sorted(REWARDS))
@pytest.mark.parametrize("verdicts", ["", "N", "P", "F", "ESN", "PFESN" * 4])
def test_every_reward_has_one_number_or_nothing_per_test(name, verdicts, outcome):
    values = reward(name).rewards(outcome(verdicts))
    assert values.shape == (len(verdicts),) and values.dtype == np.float64
    assert [letter in "PF" for letter in verdicts] == np.isfinite(values).tolist()


@pytest.mark.parametrize("name", sorted(REWARDS))
@given(data=st.data())
def test_a_failed_test_never_gets_less_than_a_passed_one_at_its_place(name, data, outcome):
    verdicts = data.draw(st.text("PF", min_size=1, max_size=12))
    place = data.draw(st.integers(0, len(verdicts) - 1))
    passed, failed = (verdicts[:place] + letter + verdicts[place + 1 :] for letter in "PF")
    assert reward(name).rewards(outcome(failed))[place] >= reward(name).rewards(outcome(passed))[place]


def test_flips():
    past = np.array([[1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0], [1, 0, NAN, NAN], [1, NAN, NAN, NAN], [NAN] * 4])
    np.testing.assert_allclose(flip_rate(past), [1, 1 / 3, 0, 1, 0, 0])
    np.testing.assert_allclose(flakiness(past), [1, 0, 0, 0, 0, 0])
    assert flip_rate(np.ones((3, 1))).tolist() == [0, 0, 0]
