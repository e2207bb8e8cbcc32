"""TestScheduling-v0 follows gymnasium's rules and rewards what it says."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from agents.scheduling.environment import ENVIRONMENT_ID, TestScheduling, cycle_of, cycles_of, register
from agents.scheduling.kinds.inputs import input_width
from agents.scheduling.loaders.ci_history import CiHistory, Cycle
from agents.scheduling.testcase import TestCase, Verdict
from envsearch.errors import InputError


def cycle(number=6, width=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((number, width), dtype=np.float32), np.where(rng.random(number) < 0.5, 1.0, -1.0)


def make(cycles, **settings):
    register()
    return gymnasium.make(ENVIRONMENT_ID, cycles=cycles, **settings)


@pytest.mark.parametrize("levels", [0, 5])
def test_gymnasium_s_checker_passes(levels):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*Box observation space (minimum|maximum) value is.*")
        warnings.filterwarnings("ignore", message=".*not having a render|.*render_modes.*|.*No render.*")
        check_env(make([cycle(), cycle(4, seed=1)], levels=levels).unwrapped)


def test_an_episode_shows_every_test_once_and_rewards_the_distance():
    shown, worth = cycle()
    environment = TestScheduling([(shown, worth)])
    observation, _ = environment.reset(seed=3)
    seen, total = [], 0.0
    for step in range(6):
        row = int(np.flatnonzero((shown == observation).all(axis=1))[0])
        seen.append(row)
        observation, reward, terminated, truncated, _ = environment.step(np.array([0.5], dtype=np.float32))
        assert reward == pytest.approx(-((0.5 - worth[row]) ** 2))
        assert terminated == (step == 5) and not truncated
        total += reward
    assert sorted(seen) == list(range(6))


def test_levels_are_even_priorities():
    environment = TestScheduling([(np.zeros((1, 2), np.float32), np.array([1.0]))], levels=5)
    rewards = []
    for action in range(5):
        environment.reset(seed=0)
        rewards.append(environment.step(action)[1])
    assert rewards == pytest.approx([-4.0, -2.25, -1.0, -0.25, 0.0])


def test_cycles_come_in_turn_and_a_seed_begins_again():
    cycles = [(np.full((1, 1), number, np.float32), np.zeros(1)) for number in range(3)]
    environment = TestScheduling(cycles)
    first = [float(environment.reset(seed=0)[0][0]), *(float(environment.reset()[0][0]) for _ in range(3))]
    assert first == [0, 1, 2, 0]
    assert float(environment.reset(seed=0)[0][0]) == 0


def test_balanced_shows_rare_failures_as_often_as_the_rest():
    worth = np.full(200, -1.0)
    worth[7] = 1.0
    environment = TestScheduling([(np.arange(200, dtype=np.float32)[:, None], worth)], steps=100, balanced=True)
    observation, _ = environment.reset(seed=0)
    failures, terminated = 0, False
    while not terminated:
        failures += observation[0] == 7.0
        observation, _, terminated, _, _ = environment.step(np.zeros(1, dtype=np.float32))
    assert failures == 50


def test_cycle_of_leaves_out_what_nothing_is_known_of(observed):
    shown, worth = cycle_of(observed(["P", "F", ""]), np.array([np.nan, 4.0, -2.0]), 4)
    assert shown.shape == (2, input_width(4)) and worth.tolist() == [1.0, -0.5]


def test_cycles_of_a_history_know_only_earlier_ones():
    tests = (TestCase("a"), TestCase("b"))
    verdicts = ((Verdict.FAILED, Verdict.PASSED), (Verdict.ERROR, Verdict.FAILED))
    history = CiHistory("h", tuple(Cycle(tests, outcome, np.array([1.0, np.nan])) for outcome in verdicts))
    (first, worth), (second, later) = cycles_of(history, 2)
    assert worth.tolist() == [1.0, -1.0] and later.tolist() == [1.0]
    assert first[:, -2:].tolist() == [[0, 0], [0, 0]] and second[:, -2:].tolist() == [[-1, 0]]
    assert TestScheduling([(first, worth), (second, later)]).reset(seed=0)[0].shape == (input_width(2),)


@pytest.mark.parametrize(
    ("cycles", "settings", "field"),
    [
        ([], {}, "cycles"),
        ([(np.zeros((0, 2)), np.zeros(0))], {}, "cycles"),
        ([(np.zeros((2, 2)), np.zeros(3))], {}, "cycles"),
        ([cycle(width=2), cycle(width=3)], {}, "cycles"),
        ([cycle()], {"levels": 1}, "levels"),
        ([cycle()], {"steps": 0}, "steps"),
    ],
)
def test_what_makes_no_environment_is_refused(cycles, settings, field):
    with pytest.raises(InputError) as caught:
        TestScheduling(cycles, **settings)
    assert caught.value.field == field
