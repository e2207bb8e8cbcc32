"""The edge along a segment and its interval, from rewards whose edge is known."""

from __future__ import annotations

import numpy as np
import pytest

from mutations.killing.behaviour_edge import edge_of_behaviour
from mutations.killing.margins import Margins

SHARES = tuple(number / 32 for number in range(1, 33))
MARGINS = Margins()


def collapse(edges: np.ndarray) -> np.ndarray:
    """Rewards at the probes of agents that earn 500 up to their own edge and 50 beyond, shape (probes, agents)."""
    return np.where(np.array(SHARES)[:, None] <= edges[None, :], 500.0, 50.0)


def test_a_steady_loss_of_all_agents_crosses_the_margin_where_it_should() -> None:
    initial = np.full(8, 500.0)
    rewards = 500.0 * (1 - 0.2 * np.array(SHARES))[:, None] * np.ones(8)
    edge = edge_of_behaviour(SHARES, initial, rewards, MARGINS)
    assert edge.estimate == pytest.approx(0.25, abs=1e-6)
    assert edge.low == pytest.approx(0.25, abs=1e-6)
    assert edge.high == pytest.approx(0.25, abs=1e-6)


def test_where_nothing_changes_the_edge_lies_beyond_the_limit() -> None:
    initial = np.linspace(400.0, 500.0, 10)
    edge = edge_of_behaviour(SHARES, initial, np.tile(initial, (32, 1)), MARGINS)
    assert (edge.estimate, edge.low, edge.high) == (None, None, None)


def test_better_agents_have_an_edge_too() -> None:
    initial = np.full(8, 500.0)
    rewards = 500.0 * (1 + 0.1 * np.array(SHARES))[:, None] * np.ones(8)
    assert edge_of_behaviour(SHARES, initial, rewards, MARGINS).estimate == pytest.approx(0.5, abs=1e-6)


def test_the_interval_is_around_the_estimate_and_narrower_with_more_agents() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for agents in (8, 50, 400):
        edges = rng.normal(0.5, 0.1, agents)
        edge = edge_of_behaviour(SHARES, np.full(agents, 500.0), collapse(edges), MARGINS)
        assert edge.estimate is not None
        assert edge.low is not None
        assert edge.high is not None
        assert 0 <= edge.low <= edge.estimate <= edge.high
        widths.append(edge.high - edge.low)
    assert widths[0] > widths[1] > widths[2]


def test_an_edge_that_hangs_on_few_agents_may_lie_further_in_than_any_of_them() -> None:
    edges = np.linspace(0.4, 0.8, 8)
    edge = edge_of_behaviour(SHARES, np.full(8, 500.0), collapse(edges), MARGINS)
    assert edge.low is not None
    assert edge.low < 0.3


def test_the_share_of_collapsed_agents_is_an_edge_where_the_mean_is_not() -> None:
    """Three of twenty collapse, and the others gain what they lose."""
    initial = np.full(20, 500.0)
    edges = np.where(np.arange(20) < 3, 0.5, 2.0)
    rewards = np.where(np.array(SHARES)[:, None] <= edges, 500.0, 200.0)
    rewards[np.array(SHARES) > 0.5, 3:] += 3 * 300.0 / 17
    edge = edge_of_behaviour(SHARES, initial, rewards, MARGINS)
    assert edge.estimate == pytest.approx(0.5, abs=1 / 32)


def test_the_order_of_the_agents_does_not_move_the_estimate() -> None:
    rng = np.random.default_rng(1)
    initial, edges = rng.uniform(450, 500, 20), rng.normal(0.5, 0.1, 20)
    order = rng.permutation(20)
    first = edge_of_behaviour(SHARES, initial, collapse(edges), MARGINS)
    second = edge_of_behaviour(SHARES, initial[order], collapse(edges)[:, order], MARGINS)
    assert first.estimate == pytest.approx(second.estimate)
    assert first == edge_of_behaviour(SHARES, initial, collapse(edges), MARGINS)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="32 probes and 8 agents"):
        edge_of_behaviour(SHARES, np.full(8, 500.0), np.ones((31, 8)), MARGINS)
    with pytest.raises(ValueError, match="0 probes"):
        edge_of_behaviour((), np.full(8, 500.0), np.ones((0, 8)), MARGINS)
