"""What the table of results is made of."""

from __future__ import annotations

import numpy as np
import pytest

from agents.scheduling.kinds.failure_model import FailureModel
from benchmarks.scheduling_results import GROUPS, interval, windows


def test_an_interval_holds_the_mean_and_a_constant_has_none():
    difference = np.random.default_rng(0).normal(0.1, 0.2, 200)
    low, high = interval(difference, np.random.default_rng(1))
    assert low < difference.mean() < high
    assert high - low == pytest.approx(4 * 0.2 / np.sqrt(200), rel=0.2)
    assert interval(np.full(9, 0.5), np.random.default_rng(1)) == (0.5, 0.5)


def test_windows_begin_after_the_first_fifty():
    difference = np.concatenate([np.full(50, -9.0), np.zeros(10), np.ones(50)])
    means = windows(difference)
    assert len(means) == 11
    assert means[0] == pytest.approx(0.8)
    assert means[-1] == pytest.approx(1.0)
    assert windows(difference[:70]).tolist() == [pytest.approx(0.5)]
    assert not len(windows(difference[:40]))


@pytest.mark.parametrize("name", sorted(GROUPS))
def test_every_line_of_the_ablation_is_an_agent(name):
    FailureModel(GROUPS[name], 0)
