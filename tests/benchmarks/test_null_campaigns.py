"""The simulations of whole campaigns: that they run, and that what they simulate is what they say."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import score_intervals
from benchmarks.null_campaigns import SECTIONS, TEST, Simulation, p_values_of, run, shared_splits
from benchmarks.verdict_laws import normal
from mutations.killing.permutation_law import permutation_p_value


def simulation(campaigns: int = 3) -> Simulation:
    return Simulation(campaigns, np.random.default_rng(0))


def test_agents_are_the_same_in_all_environments() -> None:
    rewards = simulation().rewards(normal(0.0, 1.0), 400)
    assert rewards.shape == (400, 9, 20)
    first, second = rewards[:, 0].ravel(), rewards[:, 1].ravel()
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0.6, abs=0.03)
    assert np.corrcoef(rewards[:200, 0].ravel(), rewards[200:, 0].ravel())[0, 1] == pytest.approx(0.0, abs=0.05)


def test_p_values_are_those_of_the_test_where_they_matter() -> None:
    rng = np.random.default_rng(1)
    healthy, mutants = rng.normal(size=(2, 20)), rng.normal(size=(3, 2, 20)) - np.array([[[0.0]], [[0.9]], [[9.0]]])
    p_values = p_values_of(healthy, mutants, rng)
    for row in range(3):
        for column in range(2):
            own = permutation_p_value(healthy[column], mutants[row, column], rng, shared_splits()).p_value
            if own <= 0.02:
                assert p_values[row, column] == pytest.approx(own)
            assert p_values[row, column] <= own


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_runs(section: str) -> None:
    rows = run([section], 1, 0, lambda line: None)
    assert rows
    assert all(0 <= value <= 9 for row in rows for value in row.values.values())


def test_scores_of_campaigns_with_dead_mutants() -> None:
    case = "normal: 4 at d = 2, 4 at d = 0.8, 4 healthy"
    row = score_intervals.measure(case, (1, 3, 20), np.random.default_rng(0))
    assert 4 / 12 <= row.values["expected score"] <= 9 / 12
    assert row.values["mean low end"] <= row.values["mean high end"]
    assert TEST.level == 0.05
