"""The planner's numbers: known powers are met, effects do what they say, more agents never hurt."""

import numpy as np
import pytest

from mutations.killing.collapse import fewest_without_collapse
from mutations.killing.margins import Margins
from mutations.killing.seeds_needed import (
    REFERENCE_LAWS,
    Comparisons,
    Effect,
    agents_for_kill,
    agents_for_survival,
    fewest,
    measured,
    saturated,
    spread,
)
from mutations.killing.sequential_looks import Looks
from mutations.killing.statistics import f_test_power

PERFECT = saturated(1 - 1e-12)


def test_power_is_that_of_the_test():
    comparisons = Comparisons(spread(0.1), 1.0, Effect(loss=0.1), pairs=400)  # d = 1
    assert comparisons.power(10, 0.05) == pytest.approx(f_test_power(5.0, 18, 0.05), abs=0.08)
    assert Comparisons(spread(0.1), 1.0, Effect()).power(10, 0.05) == pytest.approx(0.05, abs=0.04)


def test_the_fewest_agents_for_a_kill():
    collapse = Comparisons(PERFECT, 1.0, Effect(collapsed=1.0), pairs=20)
    assert agents_for_kill(collapse, 0.05, 0.8) == 4  # 2 / 70
    assert agents_for_kill(collapse, 0.05 / 12, 0.8) == 6  # 2 / 924
    assert agents_for_kill(Comparisons(PERFECT, 1.0, Effect(), pairs=20), 0.05, 0.8) is None


def test_the_fewest_agents_for_survival():
    perfect = Comparisons(PERFECT, 1.0, Effect(), pairs=10)
    assert agents_for_survival(perfect, Margins(), 0.8) == 59 == fewest_without_collapse(0.05, 0.05)
    assert agents_for_survival(perfect, Margins(mean=0.2, collapsed=0.2), 0.8) == 14


def test_effects():
    rng, rewards = np.random.default_rng(0), np.full(10_000, 400.0)
    assert np.all(Effect(loss=0.05).applied(rewards, 500.0, rng) == 375.0)
    some = Effect(collapsed=0.2).applied(rewards, 500.0, rng)
    assert set(some) == {-100.0, 400.0}
    assert np.mean(some < 0) == pytest.approx(0.2, abs=0.02)


def test_looks_stop_obvious_mutants_at_the_first_and_never_the_healthy():
    dead, healthy = (Comparisons(spread(0.1), 1.0, effect, pairs=50) for effect in (Effect(loss=0.9), Effect()))
    assert dead.in_looks(Looks(), 0.05 / 12) == (1.0, 6.0)
    power, agents = healthy.in_looks(Looks(), 0.05 / 12)
    assert power <= 0.04
    assert agents >= 19.5


def test_measured_rewards_are_drawn_equally_often():
    drawn = measured([3.0, 1.0])(np.array([0.0, 0.49, 0.51, 1.0]))
    assert drawn.tolist() == [1.0, 1.0, 3.0, 3.0]


def test_the_same_seed_gives_the_same_numbers():
    first, second = (Comparisons(REFERENCE_LAWS[next(iter(REFERENCE_LAWS))], 1.0, Effect(loss=0.1)) for _ in range(2))
    assert np.array_equal(first.p_values(8, 8), second.p_values(8, 8))


def test_fewest_is_the_first_that_holds():
    assert fewest(lambda size: size >= 9, (4, 8, 12)) == 12
    assert fewest(lambda size: True, (4, 8, 12)) == 4
    assert fewest(lambda size: False, (4, 8, 12)) is None
