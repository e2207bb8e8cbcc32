"""The learning kinds: what they learn, and the algebra they promise."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.scheduling.kinds.inputs import input_width, inputs
from agents.scheduling.kinds.replay_memory import ReplayMemory
from agents.scheduling.kinds.targets import learnable
from agents.scheduling.registry import agent_kind, make_agent
from agents.scheduling.state import from_bytes, to_bytes
from envsearch.errors import CorruptArtifactError, InputError

LEARNING = ("network", "tableau", "bandit", "ppo", "a2c", "dqn")
SLOW = ("ppo", "a2c", "dqn")
EPISODES = {"network": 15, "tableau": 15, "bandit": 15, "ppo": 40, "a2c": 40, "dqn": 40}


def separation(agent, observation, failed):
    """Probability that a failed test ranks before a passed one; ties count half."""
    priority = agent.score(observation, np.random.default_rng(0)).priority
    difference = priority[failed > 0][:, None] - priority[failed == 0][None, :]
    return np.mean((difference > 0) + 0.5 * (difference == 0))


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind in SLOW)) for kind in LEARNING])
def test_it_learns_which_tests_fail(kind, unreliable):
    agent, rng = make_agent(kind, {}, 0), np.random.default_rng(1)
    for _ in range(EPISODES[kind]):
        observation, failed = unreliable(rng)
        scores = agent.score(observation, rng)
        agent.learn(observation, scores, (), failed, rng)
    assert np.mean([separation(agent, *unreliable(rng)) for _ in range(5)]) > 0.85


@pytest.mark.parametrize("kind", LEARNING)
def test_scores_grow_with_nothing_but_what_was_rewarded(kind, observed):
    """Before any reward, equal tests have equal priorities."""
    agent: Any = make_agent(kind, {}, 0)
    observation = observed(["PF", "PF"], durations=(1.0, 1.0))
    twins = inputs(observation, 4)
    place = observation.feature_names.index("place")
    assert np.array_equal(np.delete(twins[0], place), np.delete(twins[1], place))
    if kind in ("network", "tableau"):
        assert len(set(agent.score(observation, np.random.default_rng(0)).priority)) == 1


@pytest.mark.parametrize("kind", SLOW)
def test_learning_leaves_no_folder_behind(kind, unreliable, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    agent, rng = make_agent(kind, {}, 0), np.random.default_rng(1)
    observation, failed = unreliable(rng)
    agent.learn(observation, agent.score(observation, rng), (), failed, rng)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", LEARNING)
def test_state_of_another_shape_is_refused(kind):
    other = {"tableau": {"verdicts": 3}}.get(kind, {"history_length": 3})
    state = from_bytes(to_bytes(make_agent(kind, other, 0).state()))
    with pytest.raises(CorruptArtifactError):
        make_agent(kind, {}, 0).restore(state)


@pytest.mark.parametrize(
    ("kind", "hyperparameters", "field"),
    [
        ("network", {"width": 0}, "hyperparameters.width"),
        ("network", {"activation": "rleu"}, "hyperparameters.activation"),
        ("network", {"learning_rate": float("nan")}, "hyperparameters.learning_rate"),
        ("bandit", {"forgetting": 0.0}, "hyperparameters.forgetting"),
        ("bandit", {"ridge": 0.0}, "hyperparameters.ridge"),
        ("tableau", {"verdicts": 20}, "hyperparameters.verdicts"),
        ("dqn", {"memory": 0}, "hyperparameters.memory"),
        ("ppo", {"steps": 1}, "hyperparameters.steps"),
        ("a2c", {"momentum": 0.9}, "hyperparameters.momentum"),
    ],
)
def test_wrong_hyperparameters_are_refused(kind, hyperparameters, field):
    with pytest.raises(InputError) as caught:
        make_agent(kind, hyperparameters, 0)
    assert caught.value.field == field


@pytest.mark.parametrize("activation", ["relu", "tanh", "elu"])
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_network_of_other_shapes(activation, depth, unreliable):
    agent: Any = make_agent("network", {"activation": activation, "depth": depth, "width": 5, "memory": 50}, 0)
    observation, failed = unreliable(np.random.default_rng(0))
    for _ in range(3):
        agent.learn(observation, agent.score(observation, None), (), failed, np.random.default_rng(1))
    assert np.isfinite(agent.score(observation, None).priority).all()
    assert agent.state()["memory.inputs"].shape == (50, input_width(8))


def test_network_weights_come_from_the_seed(unreliable):
    drawn, drawn_again, other = (make_agent("network", {}, seed).state()["network.weights.0"] for seed in (1, 1, 2))
    assert np.array_equal(drawn, drawn_again) and not np.array_equal(drawn, other)


def test_bandit_is_ridge_regression(observed):
    observation = observed(["PF", "FP", "PPP", ""], durations=(1, 2, 3, 4))
    rewards = np.array([1.0, 0.0, 0.5, np.nan])
    agent: Any = make_agent("bandit", {"confidence": 0.0, "ridge": 2.0, "forgetting": 1.0}, 0)
    agent.learn(observation, None, (), rewards, None)
    rows = np.column_stack([inputs(observation, 8).astype(np.float64), np.ones(4)])
    known = rows[:3]
    weights = np.linalg.solve(2.0 * np.eye(rows.shape[1]) + known.T @ known, known.T @ rewards[:3])
    np.testing.assert_allclose(agent.score(observation, None).priority, rows @ weights, rtol=1e-9, atol=1e-12)


def test_bandit_tries_what_it_knows_little_of(observed):
    agent: Any = make_agent("bandit", {"confidence": 2.0}, 0)
    observation = observed(["PPPP"] * 20)
    fresh = observed(["PPPP"] * 19 + ["FPFF"])
    for _ in range(20):
        agent.learn(observation, None, (), np.zeros(20), None)
    assert np.argmax(agent.score(fresh, None).priority) == 19
    certain: Any = make_agent("bandit", {"confidence": 0.0}, 0)
    certain.restore(agent.state())
    assert certain.score(fresh, None).exploration == 0.0 < agent.score(fresh, None).exploration


def test_bandit_forgets(observed):
    agent: Any = make_agent("bandit", {"forgetting": 0.5, "confidence": 0.0}, 0)
    observation = observed(["FF", "PP"])
    for rewards in (np.array([1.0, 0.0]), np.array([0.0, 1.0])):
        for _ in range(8):
            agent.learn(observation, None, (), rewards, None)
    first, second = agent.score(observation, None).priority
    assert second > first


def test_tableau_is_a_mean_that_leans_on_coarser_cells(observed):
    agent: Any = make_agent("tableau", {"prior": 1e-9, "forgetting": 1.0}, 0)
    observation = observed(["FF", "FF", "FF", "PP", "PP", "PP"])
    agent.learn(observation, None, (), np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.0]), None)
    agent.learn(observation, None, (), np.array([1.0, 0.0, 0.0, 0.0, 0.0, 1.0]), None)
    # thirds by duration, ties in the job's order: tests 0-1, 2-3 and 4-5 share one
    expected = [3 / 4, 3 / 4, 0, 0, 1 / 4, 1 / 4]
    np.testing.assert_allclose(agent.score(observation, None).priority, expected, atol=1e-6)
    # never seen: a longer history that begins alike
    other = agent.score(observed(["PFF", "PPP"]), None).priority
    assert other[0] > other[1]


@given(st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), max_size=20))
def test_targets_keep_the_order_within_an_episode(values):
    rewards = np.array(values, dtype=np.float64)
    known, targets = learnable(rewards)
    assert known.tolist() == [value == value for value in values]
    assert np.abs(targets).max(initial=0.0) <= 1.0
    order = np.argsort(rewards[known], kind="stable")
    assert (np.diff(targets[order]) >= 0.0).all()


@settings(max_examples=50)
@given(st.lists(st.integers(0, 9), max_size=8), st.integers(1, 7))
def test_replay_memory_keeps_the_last_rows(sizes, capacity):
    memory, added = ReplayMemory(capacity, 1), []
    for size in sizes:
        rows = np.arange(len(added), len(added) + size, dtype=np.float32)
        memory.add(rows[:, None], rows)
        added += rows.tolist()
        other = ReplayMemory(capacity, 1)
        other.restore(from_bytes(to_bytes(memory.state())))
        assert sorted(other.targets.tolist()) == sorted(memory.targets.tolist()) == sorted(added[-capacity:])
        assert np.array_equal(memory.inputs[:, 0], memory.targets)


def test_inputs_hold_the_last_verdicts(observed):
    shown = inputs(observed(["PF", "", "FPFPFPFPFPFF"]), 3)
    assert shown.shape == (3, input_width(3)) and shown.dtype == np.float32
    np.testing.assert_array_equal(shown[:, -3:], [[1, -1, 0], [0, 0, 0], [1, 1, -1]])
    assert inputs(observed(["P"]), 30)[0, -30:].tolist() == [-1] + [0] * 29


def test_kinds_that_learn_say_so():
    assert all(agent_kind(kind).learns for kind in LEARNING)
