"""Exploration: how much, of what, and how it falls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.scheduling.observation import Scores
from agents.scheduling.registry import EXPLORATIONS, exploration
from envsearch.errors import InputError


def scores(number, exploration=0.0):
    return Scores(np.arange(number, dtype=np.float64), np.zeros(number, dtype=np.bool_), exploration)


UNSEEN: Any = None
"""An exploration does not look at the observation."""


def explored(name, settings, number, version, seed=0, own=0.0):
    return exploration(name, settings).apply(scores(number, own), UNSEEN, version, np.random.default_rng(seed))


def test_none_changes_nothing():
    agent_scores = scores(5)
    assert exploration("none", {}).apply(agent_scores, UNSEEN, 3, np.random.default_rng(0)) is agent_scores


def test_epsilon_falls_in_a_straight_line():
    settings = {"initial": 0.8, "final": 0.2, "episodes": 10}
    levels = [explored("epsilon_greedy", settings, 5, version).exploration for version in (0, 5, 10, 1000)]
    assert levels == pytest.approx([0.8, 0.5, 0.2, 0.2])
    at_once = explored("epsilon_greedy", {"initial": 0.8, "final": 0.2, "episodes": 0}, 5, 0)
    assert at_once.exploration == pytest.approx(0.2)


def test_gaussian_records_the_noise_s_share_of_the_variance():
    settings = {"initial": 2.0, "final": 0.5, "episodes": 4}
    levels = [explored("gaussian", settings, 5, version).exploration for version in (0, 4)]
    assert levels == pytest.approx([4 / 5, 1 / 5])


def test_exploration_of_the_agent_itself_is_counted_in():
    noisy_scores = explored("epsilon_greedy", {"initial": 0.5}, 5, 0, own=0.5)
    assert noisy_scores.exploration == pytest.approx(0.75)


def test_epsilon_moves_the_drawn_tests_and_leaves_the_others():
    noisy_scores = explored("epsilon_greedy", {"initial": 0.3}, 2000, 0)
    assert 0.25 < noisy_scores.explored.mean() < 0.35
    np.testing.assert_array_equal(
        noisy_scores.priority[~noisy_scores.explored], np.arange(2000)[~noisy_scores.explored]
    )
    # the drawn tests move to uniform places, wherever they were before
    moved = noisy_scores.priority[noisy_scores.explored]
    assert np.mean(moved) == pytest.approx(1000, abs=100)
    assert abs(np.corrcoef(np.flatnonzero(noisy_scores.explored), moved)[0, 1]) < 0.15


def test_epsilon_of_one_is_an_order_by_chance():
    noisy_scores = explored("epsilon_greedy", {"initial": 1.0}, 500, 0)
    assert noisy_scores.explored.all()
    assert abs(np.corrcoef(np.arange(500), noisy_scores.priority)[0, 1]) < 0.15


def test_gaussian_noise_follows_the_spread_of_the_priorities():
    noisy_scores = explored("gaussian", {"initial": 0.5}, 2000, 0)
    noise = noisy_scores.priority - np.arange(2000)
    assert np.std(noise) == pytest.approx(0.5 * np.std(np.arange(2000)), rel=0.1)
    assert 0 < noisy_scores.explored.sum() < 1000
    equal = Scores(np.zeros(50), np.zeros(50, dtype=np.bool_), 0.0)
    noisy = exploration("gaussian", {}).apply(equal, UNSEEN, 0, np.random.default_rng(0))
    assert len(set(noisy.priority.tolist())) == 50


@pytest.mark.parametrize("name", sorted(EXPLORATIONS))
@given(number=st.integers(0, 30), version=st.integers(0, 200), seed=st.integers(0, 5))
def test_every_exploration_answers_with_scores(name, number, version, seed):
    noisy_scores = explored(name, {}, number, version, seed)
    assert noisy_scores.priority.shape == noisy_scores.explored.shape == (number,)
    assert (
        np.isfinite(noisy_scores.priority).all()
        and noisy_scores.explored.dtype == np.bool_
        and 0.0 <= noisy_scores.exploration <= 1.0
    )
    assert explored(name, {}, number, version, seed).priority.tobytes() == noisy_scores.priority.tobytes()


@pytest.mark.parametrize(
    ("name", "settings", "text"),
    [
        ("epsilon_greedy", {"initial": 1.5}, "exploration_settings.initial: 1.5 is out of range"),
        ("epsilon_greedy", {"final": float("nan")}, "exploration_settings.final"),
        ("epsilon_greedy", {"episodes": -1}, "exploration_settings.episodes"),
        ("epsilon_greedy", {"epsilon": 0.1}, "unknown exploration setting 'epsilon'"),
        ("gaussian", {"initial": -0.1}, "exploration_settings.initial"),
        ("gaussian", {"episodes": 1.5}, "exploration_settings.episodes"),
        ("none", {"initial": 0.1}, "unknown exploration setting"),
    ],
)
def test_wrong_settings_are_refused(name, settings, text):
    with pytest.raises(InputError, match=text):
        exploration(name, settings)
