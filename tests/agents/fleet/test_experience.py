"""The compiled experience site: the same scripted episode as the sb3 engine's wrapper, observation t, reward 10 t."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from agents.deeprl.engines.fleet.experience import draws, empty_memory, end_episode, show
from agents.deeprl.engines.fleet.sites import sites_of
from agents.deeprl.presets.preset import preset
from agents.deeprl.recipe import ExperienceSite
from envsearch.spec import EnvironmentSpec

HEALTHY = preset("CartPole-v1", "ppo").recipe(EnvironmentSpec("CartPole-v1"))
compiled_show = jax.jit(show)


def shown(site, episodes=1, length=4, seed=0):
    """(observation, reward) of each step; observations of episode e are 100 e + t."""
    sites = sites_of(HEALTHY.replace(experience=site), 0.99)
    memory = empty_memory(site.memory if site.replacement != "none" else 0, 1)
    rows = draws(jax.random.key(seed), 0, episodes * length)
    seen = []
    for step in range(episodes * length):
        episode, t = divmod(step, length)
        observation = jnp.array([100.0 * (episode + 1) + t + 1], jnp.float32)
        draw = jax.tree.map(lambda column: column[step], rows)  # noqa: B023
        memory, after, reward = compiled_show(memory, observation, jnp.float32(10 * (t + 1)), draw, sites)
        memory = end_episode(memory, jnp.bool_(t == length - 1), sites)
        seen.append((float(after[0]), float(reward)))
    return seen


TRUE = [(101.0, 10.0), (102.0, 20.0), (103.0, 30.0), (104.0, 40.0)]


def test_healthy_shows_what_happened():
    assert shown(ExperienceSite()) == TRUE
    assert shown(ExperienceSite(replacement="random", probability=0.0)) == TRUE


def test_repeat_is_a_delay_by_one_step():
    assert shown(ExperienceSite(replacement="repeat", probability=1.0)) == [TRUE[0], *TRUE[:3]]


def test_a_frozen_repeat_is_stuck_at_the_first_step():
    assert shown(ExperienceSite(replacement="repeat", probability=1.0, frozen=True)) == [TRUE[0]] * 4


def test_memory_ends_with_the_episode_unless_it_is_kept():
    second = shown(ExperienceSite(replacement="repeat", probability=1.0), episodes=2)[4:]
    assert second[0] == (201.0, 10.0)
    kept = shown(ExperienceSite(replacement="repeat", probability=1.0, across_episodes=True), episodes=2)[4:]
    assert kept[0] == TRUE[3]


@pytest.mark.parametrize("replacement", ["random", "mangled"])
def test_a_kept_memory_shows_steps_of_the_episode_before(replacement):
    site = ExperienceSite(replacement=replacement, probability=1.0, across_episodes=True)
    first = [shown(site, episodes=2, seed=seed)[4] for seed in range(200)]
    assert {observation for observation, _ in first} == {101.0, 102.0, 103.0, 104.0, 201.0}
    assert {reward for _, reward in first} == {10.0, 20.0, 30.0, 40.0}
    # the new step is one of five remembered ones
    assert 20 < sum(observation == 201.0 for observation, _ in first) < 60


def test_random_is_uniform_over_the_memory_and_keeps_pairs_together():
    last = [shown(ExperienceSite(replacement="random", probability=1.0), seed=seed)[3] for seed in range(200)]
    assert set(last) == set(TRUE)
    assert min(last.count(each) for each in TRUE) > 25


def test_a_short_memory_forgets():
    site = ExperienceSite(replacement="random", probability=1.0, memory=2)
    assert {shown(site, seed=seed)[3] for seed in range(40)} == set(TRUE[2:])


def test_mangled_mixes_observations_and_rewards():
    site = ExperienceSite(replacement="mangled", probability=1.0)
    last = [shown(site, seed=seed)[3] for seed in range(300)]
    assert {each[0] for each in last} == {row[0] for row in TRUE}
    assert {each[1] for each in last} == {row[1] for row in TRUE}
    # two draws from a pool of all four hit the same transition once in four times
    assert 0.17 < np.mean([each in TRUE for each in last]) < 0.33
    assert shown(site)[0] == TRUE[0]


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_a_fault_strikes_as_often_as_its_probability_says(probability):
    site = ExperienceSite(replacement="repeat", probability=probability)
    seen = shown(site, episodes=100, length=4)
    struck = [row != (100.0 * (i // 4 + 1) + i % 4 + 1, 10.0 * (i % 4 + 1)) for i, row in enumerate(seen) if i % 4]
    assert np.mean(struck) == pytest.approx(probability, abs=0.09)


def test_noise_has_a_tenth_of_the_reward_as_deviation():
    rewards = np.array([row[1] for row in shown(ExperienceSite(noise_probability=1.0), episodes=300, length=1)])
    assert rewards.std() == pytest.approx(1.0, rel=0.15)
    assert rewards.mean() == pytest.approx(10.0, abs=0.2)
