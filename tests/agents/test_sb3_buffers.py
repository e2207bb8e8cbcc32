"""Returns, terminal, state and loss sites against hand-computed arrays, and against Stable-Baselines3's buffers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer, RolloutBuffer

from agents.deeprl.engines.sb3.replay_buffer import FaultyReplayBuffer
from agents.deeprl.engines.sb3.rollout import FaultyRolloutBuffer
from agents.deeprl.recipe import LossSite, ReturnsSite, StateSite, TerminalSite

OBSERVATION, ACTION = spaces.Box(-10, 10, (1,), np.float32), spaces.Discrete(2)
REWARDS = [1.0, 2.0, 3.0]
VALUES = [0.5, 1.0, 1.5]
STARTS = [True, False, True]  # an episode ended after step 1
LAST_VALUE = 2.0
GAMMA, LAMBDA = 0.5, 0.4


def rollout(cls=FaultyRolloutBuffer, dones=False, **site):
    if cls is FaultyRolloutBuffer:
        site = {
            "returns": ReturnsSite(),
            "returns_rng": np.random.default_rng(0),
        } | site
    buffer = cls(3, OBSERVATION, ACTION, "cpu", gamma=GAMMA, gae_lambda=LAMBDA, n_envs=1, **site)
    for reward, value, start in zip(REWARDS, VALUES, STARTS, strict=True):
        action = torch.tensor([value])
        buffer.add(np.zeros((1, 1)), np.zeros((1, 1)), np.array([reward]), np.array([start]), action, torch.zeros(1))
    buffer.compute_returns_and_advantage(torch.tensor([LAST_VALUE]), np.array([dones]))
    return buffer


def advantages(**site):
    return rollout(**site).advantages.flatten().tolist()


# delta = r + g V' nt - V with nt = (1, 0, 1): (1 + .5 - .5, 2 - 1, 3 + 1 - 1.5) = (1, 1, 2.5)
HEALTHY = [1.0 + 0.5 * 0.4 * 1.0, 1.0, 2.5]


def test_healthy_by_hand_and_equal_to_the_library():
    assert advantages() == pytest.approx(HEALTHY)
    ours, library = rollout(), rollout(RolloutBuffer)
    assert np.array_equal(ours.advantages, library.advantages)
    assert np.array_equal(ours.returns, library.returns)


def test_undiscounted_keeps_the_agents_lambda():
    # delta = (1 + 1 - .5, 2 - 1, 3 + 2 - 1.5) = (1.5, 1, 3.5); A_0 = 1.5 + .4 * 1
    assert advantages(returns=ReturnsSite(undiscounted=1.0)) == pytest.approx([1.9, 1.0, 3.5])


def test_published_undiscounted_has_lambda_one():
    assert advantages(returns=ReturnsSite(undiscounted=1.0, gae_lambda=1.0)) == pytest.approx([2.5, 1.0, 3.5])


def test_forward_recursion():
    # A_0 = 1; A_1 = 1 + 0 (nt = 0); A_2 = 2.5 + .5 * .4 * 1 * A_1
    assert advantages(returns=ReturnsSite(forward=1.0)) == pytest.approx([1.0, 1.0, 2.7])


def test_published_forward_has_its_own_gamma_and_lambda():
    # g = .99, lambda = 1: delta = (1.49, 1, 3.48); A_2 = 3.48 + .99 * 1
    site = ReturnsSite(forward=1.0, gamma=0.99, gae_lambda=1.0)
    assert advantages(returns=site) == pytest.approx([1.0 + 0.99 - 0.5, 1.0, 3.48 + 0.99])


def test_both_faults_together():
    site = ReturnsSite(undiscounted=1.0, forward=1.0)
    assert advantages(returns=site) == pytest.approx([1.5, 1.0, 3.5 + 0.4 * 1.0])


def test_returns_are_advantages_plus_values():
    buffer = rollout(returns=ReturnsSite(forward=1.0))
    assert buffer.returns.flatten() == pytest.approx(np.array([1.5, 2.0, 4.2]))


def test_agents_own_gamma_is_left_in_place():
    buffer = rollout(returns=ReturnsSite(undiscounted=1.0, gae_lambda=1.0))
    assert (buffer.gamma, buffer.gae_lambda) == (GAMMA, LAMBDA)


def replay(recipe, cls=FaultyReplayBuffer):
    extra = {}
    if cls is FaultyReplayBuffer:
        names = ("terminal_rng", "state_rng", "returns_rng", "loss_rng")
        extra = {"recipe": recipe, "gamma": 0.9} | {name: np.random.default_rng(0) for name in names}
    buffer = cls(4, OBSERVATION, ACTION, "cpu", n_envs=1, **extra)
    for step in range(4):
        done = np.array([step == 2])
        obs, next_obs = np.array([[float(step)]]), np.array([[step + 1.0]])
        buffer.add(obs, next_obs, np.array([[0]]), np.array([float(step)]), done, [{}])
    return buffer


def test_replay_is_the_librarys_where_nothing_strikes(small_recipe):
    ours, library = replay(small_recipe("dqn")), replay(None, ReplayBuffer)
    assert np.array_equal(ours.dones, library.dones)
    assert np.array_equal(ours.next_observations, library.next_observations)
    assert ours.sample(2).discounts is None


def test_replay_loses_terminal_flags(small_recipe):
    assert replay(small_recipe("dqn")).dones.sum() == 1
    assert replay(small_recipe("dqn").replace(terminal=TerminalSite(1.0))).dones.sum() == 0


def test_replay_loses_next_states(small_recipe):
    buffer = replay(small_recipe("dqn").replace(state=StateSite(1.0)))
    assert np.array_equal(buffer.next_observations, buffer.observations)


@pytest.mark.parametrize(("undiscounted", "inverted", "factor"), [(1.0, 0.0, 1.0), (0.0, 1.0, -0.9), (1.0, 1.0, -1.0)])
def test_target_of_the_sampled_batch(small_recipe, undiscounted, inverted, factor):
    recipe = small_recipe("dqn").replace(returns=ReturnsSite(undiscounted=undiscounted), loss=LossSite(inverted))
    batch = replay(recipe).sample(3)
    assert batch.discounts.flatten().tolist() == pytest.approx([factor] * 3)
    assert batch.discounts.shape == batch.rewards.shape


def test_half_of_the_updates_are_struck(small_recipe):
    buffer = replay(small_recipe("dqn").replace(loss=LossSite(0.5)))
    struck = sum(buffer.sample(1).discounts is not None for _ in range(400))
    assert 150 < struck < 250
