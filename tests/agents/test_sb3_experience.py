"""The experience site on a scripted environment: observation t and reward 10 t at step t of each episode."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from agents.deeprl.engines.sb3.experience import FaultyExperience
from agents.deeprl.recipe import ExperienceSite


class Scripted(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1e9, 1e9, (1,))
    action_space = gymnasium.spaces.Discrete(2)
    episode = 0

    def reset(self, *, seed=None, options=None):
        self.episode += 1
        self.t = 0
        return np.array([100.0 * self.episode]), {}

    def step(self, action):
        self.t += 1
        return np.array([100.0 * self.episode + self.t]), 10.0 * self.t, self.t == 4, False, {"true": self.t}


def shown(site, episodes=1, seed=0):
    env = FaultyExperience(Scripted(), site, np.random.default_rng(seed))
    steps = []
    for _ in range(episodes):
        env.reset()
        done = False
        while not done:
            observation, reward, done, _, info = env.step(0)
            steps.append((float(observation[0]), reward))
            assert info["true"]
    return steps


TRUE = [(101.0, 10.0), (102.0, 20.0), (103.0, 30.0), (104.0, 40.0)]


def test_healthy_shows_what_happened():
    assert shown(ExperienceSite()) == TRUE


@pytest.mark.parametrize("replacement", ["repeat", "random", "mangled"])
def test_probability_zero_shows_what_happened(replacement):
    assert shown(ExperienceSite(replacement, 0.0)) == TRUE


def test_repeat_is_a_delay_of_one_step_within_the_episode():
    episode = [(101.0, 10.0), (101.0, 10.0), (102.0, 20.0), (103.0, 30.0)]
    second = [(201.0, 10.0), (201.0, 10.0), (202.0, 20.0), (203.0, 30.0)]
    assert shown(ExperienceSite("repeat", 1.0), episodes=2) == episode + second


def test_published_repeat_leaks_across_episodes():
    steps = shown(ExperienceSite("repeat", 1.0, across_episodes=True), episodes=2)
    assert steps[4] == (104.0, 40.0)


def test_frozen_repeat_is_a_stuck_sensor():
    assert shown(ExperienceSite("repeat", 1.0, frozen=True)) == [(101.0, 10.0)] * 4


def test_random_shows_some_earlier_or_the_current_transition():
    seen = set()
    for seed in range(50):
        steps = shown(ExperienceSite("random", 1.0), episodes=2, seed=seed)
        assert steps[0] == (101.0, 10.0) and steps[4] == (201.0, 10.0)
        for index, step in enumerate(steps[:4]):
            assert step in TRUE[: index + 1]
        assert all(observation > 200 for observation, _ in steps[4:])
        seen.add(steps[3])
    assert seen == set(TRUE)


@pytest.mark.parametrize("replacement", ["random", "mangled"])
def test_a_kept_memory_shows_steps_of_the_episode_before(replacement):
    site = ExperienceSite(replacement, 1.0, across_episodes=True)
    first = [shown(site, episodes=2, seed=seed)[4] for seed in range(200)]
    assert {observation for observation, _ in first} == {101.0, 102.0, 103.0, 104.0, 201.0}
    assert {reward for _, reward in first} == {10.0, 20.0, 30.0, 40.0}
    # the new step is one of five remembered ones
    assert 20 < sum(observation == 201.0 for observation, _ in first) < 60


def test_mangled_draws_observation_and_reward_independently():
    pairs = {shown(ExperienceSite("mangled", 1.0), seed=seed)[3] for seed in range(200)}
    assert len(pairs) == 16
    assert {observation for observation, _ in pairs} == {101.0, 102.0, 103.0, 104.0}


def test_memory_bounds_what_can_be_shown():
    for seed in range(20):
        steps = shown(ExperienceSite("random", 1.0, memory=2), seed=seed)
        assert steps[3] in TRUE[2:]


def test_noise_is_a_tenth_of_the_reward_and_leaves_observations_alone():
    site = ExperienceSite(noise_probability=1.0)
    ratios = [
        reward / true - 1.0
        for seed in range(300)
        for (observation, reward), (true_observation, true) in zip(shown(site, seed=seed), TRUE, strict=True)
        if observation == true_observation
    ]
    assert len(ratios) == 1200
    assert abs(np.mean(ratios)) < 0.015
    assert 0.09 < np.std(ratios) < 0.11


def test_same_seed_same_faults():
    site = ExperienceSite("random", 0.5)
    assert shown(site, 5, seed=3) == shown(site, 5, seed=3)
    assert shown(site, 5, seed=3) != shown(site, 5, seed=4)
