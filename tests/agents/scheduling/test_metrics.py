"""Metrics on hand-computed cases, and their properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.scheduling.metrics import METRIC_NAMES, cycle_metrics


def measure(failed, durations=None, selected=None, order=None, unlimited=None):
    count = len(failed)
    return cycle_metrics(
        np.arange(count) if order is None else np.array(order),
        np.ones(count, np.bool_) if selected is None else np.array(selected, np.bool_),
        np.array(failed, np.bool_),
        np.ones(count) if durations is None else np.array(durations, np.float64),
        None if unlimited is None else np.array(unlimited),
    )


def test_a_cycle_without_failures_has_no_metrics():
    assert measure([0, 0, 0]) is None
    assert measure([]) is None


def test_by_hand_without_a_budget():
    # n = 5, m = 2, ranks 2 and 4, durations 1 2 3 4 5 (15): ends 1 3 6 10 15.
    measured = measure([0, 1, 0, 1, 0], [1, 2, 3, 4, 5])
    assert measured.apfd == measured.napfd == pytest.approx(1 - 6 / 10 + 1 / 10)
    assert measured.apfdc == pytest.approx(((15 - 1 - 1) + (15 - 6 - 2)) / (2 * 15))
    assert measured.ttff == pytest.approx(3 / 15)
    assert measured.recall == 1.0 and not measured.missed


def test_by_hand_with_a_budget():
    # Tests 0 1 2 run; the failure of test 3 is missed: p = 1/2, rank 2.
    measured = measure([0, 1, 0, 1], [1, 1, 2, 4], selected=[1, 1, 1, 0])
    assert measured.napfd == pytest.approx(0.5 - 2 / (2 * 4) + 0.5 / 8)
    assert measured.apfd == pytest.approx(1 - 6 / 8 + 1 / 8)
    assert measured.recall == 0.5 and measured.ttff == pytest.approx(2 / 8)


def test_apfd_is_of_the_order_without_the_budget():
    # Test 0 (fails, long) comes first but does not fit.
    measured = measure([1, 0, 0], [10, 1, 1], selected=[0, 1, 1], order=[1, 2, 0], unlimited=[0, 1, 2])
    assert measured.napfd == 0.0 and measured.missed and measured.ttff == 1.0 and measured.recall == 0.0
    assert measured.apfd == pytest.approx(1 - 1 / 3 + 1 / 6)
    assert measured.apfdc == pytest.approx((12 - 5) / 12)


def test_one_failing_test_alone():
    measured = measure([1], [7])
    assert measured.napfd == measured.apfd == 0.5 and measured.apfdc == 0.5 and measured.ttff == 1.0


def test_without_any_duration_every_test_costs_the_same():
    measured = measure([0, 1], [0, 0])
    assert measured.apfdc == pytest.approx(measured.apfd) and measured.ttff == 1.0


@given(st.lists(st.tuples(st.booleans(), st.floats(0.1, 50.0), st.booleans()), min_size=1, max_size=15))
def test_bounds_and_equal_costs(rows):
    failed, durations, selected = zip(*rows, strict=True)
    order = np.argsort(~np.array(selected), kind="stable")
    measured = measure(failed, durations, selected, order)
    if not any(failed):
        assert measured is None
        return
    for name in METRIC_NAMES:
        assert -1e-12 <= getattr(measured, name) <= 1.0 + 1e-12
    equal = measure(failed, np.ones(len(rows)), selected, order)
    assert equal.apfdc == pytest.approx(equal.apfd)
    assert measured.missed == (measured.recall == 0.0)
    assert measure(failed, durations, None, order).napfd == pytest.approx(measured.apfd)


@given(st.lists(st.booleans(), min_size=2, max_size=15))
def test_failures_first_is_best_and_last_is_worst(failed):
    if not any(failed):
        return
    by_failure = np.argsort(~np.array(failed), kind="stable")
    best, worst = measure(failed, order=by_failure), measure(failed, order=by_failure[::-1])
    assert worst.napfd <= measure(failed).napfd <= best.napfd
