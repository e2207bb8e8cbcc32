"""The benchmark of the boundary search: few searches, whose answers are known roughly."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.boundaries import LAWS, SPAN, as_table, exact, islands, search
from mutations.killing.margins import Margins


def test_exact_answers_are_missed_by_less_than_the_precision() -> None:
    (row,) = exact(20, 0)
    assert 0 <= row.values["smallest"] <= row.values["largest error"] <= row.values["precision"]


def test_islands_are_named_at_batch_1_and_never_entered() -> None:
    rows = islands(25, 1)
    assert {row.values["named"] >= 0.6 for row in rows} == {True}
    assert as_table(rows).count("\n") == len(rows) + 1


def test_a_search_on_simulated_agents_finds_an_edge_near_the_true_one() -> None:
    law = LAWS["normal edges, reward falls over 5 units"]
    truth = law.true_edge(0.05)
    result = search(law, 50, Margins(), np.random.default_rng(0))
    assert result.started
    assert result.low <= result.edge <= result.high
    assert result.edge == pytest.approx(truth, abs=1.5)
    assert 0 < result.environment < SPAN
