"""Verdicts of the margin test: outcomes, directions, correction, dead agents, sizes, symmetries."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envsearch.canonical import canonical_json
from envsearch.errors import InputError
from mutations.killing.family import correct_family
from mutations.killing.kill_test import Direction, Outcome, better_is_killed, takes_independent
from mutations.killing.margin_permutation import MarginPermutation
from mutations.killing.margin_power import agents_for_kill, collapse_power, corrected_power, margin_power
from mutations.killing.margins import Margins
from mutations.killing.paired_margin_permutation import PairedMarginPermutation
from mutations.killing.paired_permutation import PairedPermutation
from mutations.killing.statistics import f_test_power

TEST = MarginPermutation()
PAIRED = PairedMarginPermutation()
PERFECT = np.full(20, 500.0)


def judge(healthy, mutant, seed=0, test=TEST):
    return test.judge(np.asarray(healthy, dtype=float), np.asarray(mutant, dtype=float), np.random.default_rng(seed))


def with_low(size, low, reward):
    return np.where(np.arange(size) < low, reward, 500.0)


# --- outcomes --------------------------------------------------------------------------------------------------------


def test_a_difference_within_the_margin_is_never_killed():
    verdict = judge(PERFECT, with_low(20, 6, 499.9))
    assert verdict.p_value == pytest.approx(0.0202, abs=1e-4)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "at a margin of 5 %" in verdict.reason


def test_collapsed_agents_never_survive():
    assert judge(np.full(50, 500.0), with_low(50, 9, 10.0)).outcome is Outcome.KILLED
    assert judge(np.full(30, 500.0), with_low(30, 5, 10.0)).outcome is Outcome.INCONCLUSIVE
    five = judge(PERFECT, with_low(20, 5, 10.0))
    assert (five.outcome, five.direction) == (Outcome.KILLED, Direction.WORSE)
    assert "collapsed 5 of 20 against 0 of 20" in five.reason


@pytest.mark.parametrize("n", [2, 3])
def test_tiny_populations_never_survive(n):
    for margins in (Margins(), Margins(mean=0.9, collapsed=0.9)):
        assert judge([500.0] * n, [500.0] * n, test=MarginPermutation(margins=margins)).outcome is Outcome.INCONCLUSIVE


def test_perfect_agents_survive_where_there_are_enough():
    for n, outcome in ((20, Outcome.INCONCLUSIVE), (58, Outcome.INCONCLUSIVE), (59, Outcome.SURVIVED)):
        verdict = judge([500.0] * n, [500.0] * n)
        assert (verdict.outcome, verdict.direction) == (outcome, Direction.EQUAL)
    assert "survival needs about 59 agents per population" in judge(PERFECT, PERFECT).reason


def test_wider_margins_need_fewer_agents():
    test = MarginPermutation(margins=Margins(mean=0.15, collapsed=0.15))
    assert judge(PERFECT, PERFECT, test=test).outcome is Outcome.SURVIVED
    assert judge(PERFECT, with_low(20, 2, 10.0), test=test).outcome is Outcome.INCONCLUSIVE


def test_a_shown_difference_within_the_margin_survives_in_large_populations():
    rng = np.random.default_rng(0)
    verdict = judge(rng.normal(500, 5, 100), rng.normal(495, 5, 100))
    assert verdict.p_value <= 0.001
    assert (verdict.outcome, verdict.direction) == (Outcome.SURVIVED, Direction.WORSE)


def test_without_a_scale_no_mutant_survives():
    rng = np.random.default_rng(1)
    healthy, mutant = rng.normal(0, 5, 80), rng.normal(0, 5, 80)
    verdict = judge(healthy, mutant)
    assert (verdict.outcome, verdict.effect_size) == (Outcome.INCONCLUSIVE, None)
    assert "set a scale" in verdict.reason
    scaled = judge(healthy, mutant, test=MarginPermutation(margins=Margins(scale=200.0)))
    assert scaled.outcome is Outcome.SURVIVED
    assert scaled.effect_size == pytest.approx(scaled.statistic / 200.0)


def test_a_scale_for_healthy_means_near_zero():
    rng = np.random.default_rng(1)
    healthy, mutant = rng.normal(0, 5, 80), rng.normal(0, 5, 80)
    near_zero = MarginPermutation(margins=Margins(scale_near_zero=200.0))
    scaled = judge(healthy, mutant, test=near_zero)
    assert (scaled.outcome, scaled.margin) == (Outcome.SURVIVED, 10.0)
    away = judge(healthy + 100.0, mutant + 100.0, test=near_zero)
    assert away.margin == pytest.approx(0.05 * np.mean(healthy + 100.0))
    assert away == judge(healthy + 100.0, mutant + 100.0)


def test_a_verdict_has_its_numbers_in_units_of_reward():
    verdict = judge(PERFECT, with_low(20, 5, 10.0))
    assert (verdict.difference, verdict.margin) == (-122.5, 25.0)
    assert verdict.difference_low < -122.5 < verdict.difference_high < 0
    assert (verdict.collapsed_healthy, verdict.collapsed_mutant) == (0.0, 0.25)
    assert verdict.collapsed_low < 0.25 < verdict.collapsed_high
    assert verdict.effect_low == pytest.approx(verdict.difference_low / 500.0)
    equal = judge(PERFECT, PERFECT)
    assert (equal.agents_for_kill, equal.agents_for_equivalence) == (None, 59)
    without = judge(np.tile([-1.0, 1.0], 10), np.tile([-1.0, 1.0], 10))
    assert (without.margin, without.collapsed_mutant, without.power) == (None, None, None)
    assert (without.difference, without.agents_for_equivalence) == (0.0, None)


@pytest.mark.parametrize(("collapsed", "margin"), [(1, 0.15), (1, 0.2), (2, 0.2), (3, 0.3)])
def test_the_agents_for_equivalence_are_more_than_there_are_and_about_right(collapsed, margin):
    """With two fifths more agents and the same shares the mutant survives, with a third fewer it does not."""
    test = MarginPermutation(margins=Margins(mean=margin, collapsed=margin))
    verdict = judge(PERFECT, with_low(20, collapsed, 240.0), test=test)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    needed = verdict.agents_for_equivalence
    assert needed > 20
    outcomes = []
    for size in (round(needed / 1.5), round(1.4 * needed)):
        mutant = with_low(size, round(collapsed / 20 * size), 240.0)
        outcomes.append(judge(np.full(size, 500.0), mutant, test=test).outcome)
    assert outcomes[0] is not Outcome.SURVIVED
    assert outcomes[1] is Outcome.SURVIVED


def test_agents_for_a_kill_follow_the_level_in_force():
    verdict = judge(PERFECT, with_low(20, 5, 10.0))
    family = correct_family([verdict] * 3, [TEST] * 3, "familywise").verdicts
    assert family[0].agents_for_kill > verdict.agents_for_kill


def test_directions_of_a_kill():
    rng = np.random.default_rng(2)
    healthy = rng.normal(400, 20, 20)
    worse, better = judge(healthy, rng.normal(300, 20, 20)), judge(healthy, rng.normal(500, 20, 20))
    assert (worse.outcome, worse.direction) == (Outcome.KILLED, Direction.WORSE)
    assert (better.outcome, better.direction) == (Outcome.KILLED, Direction.BETTER)
    spread = judge(healthy, np.tile([250.0, 550.0, 390.0, 410.0], 5))
    assert (spread.outcome, spread.direction) == (Outcome.KILLED, Direction.LESS_RELIABLE)
    steadier = judge(np.tile([250.0, 550.0, 390.0, 410.0], 5), np.tile([400.0, 400.1], 10))
    assert (steadier.outcome, steadier.direction) == (Outcome.KILLED, Direction.BETTER)


def test_better_is_no_kill_in_a_score():
    assert not better_is_killed(TEST)
    assert better_is_killed(PairedPermutation())


# --- sizes, pairs and dead agents ------------------------------------------------------------------------------------


def test_unequal_populations():
    rng = np.random.default_rng(3)
    verdict = judge(rng.normal(450, 20, 30), rng.normal(380, 20, 12))
    assert (verdict.outcome, verdict.n_healthy, verdict.n_mutant) == (Outcome.KILLED, 30, 12)
    assert takes_independent(TEST)


def test_pairs_on_request():
    rng = np.random.default_rng(4)
    shared = rng.normal(450, 60, 20)
    mutant = shared - 30 + rng.normal(0, 5, 20)
    assert judge(shared, mutant).outcome is Outcome.INCONCLUSIVE
    assert judge(shared, mutant, test=PAIRED).outcome is Outcome.KILLED
    assert not takes_independent(PAIRED)
    with pytest.raises(InputError, match="20 healthy agents but 19 mutant agents"):
        judge(shared, mutant[:-1], test=PAIRED)


def test_a_mutant_whose_agents_all_died_is_killed_by_crash():
    verdict = judge(PERFECT, [-np.inf] * 3)
    assert (verdict.outcome, verdict.direction, verdict.p_value) == (Outcome.KILLED, Direction.WORSE, None)
    assert verdict.reason.startswith("killed by crash: all 3 agents died")
    assert correct_family([verdict], [TEST], "familywise").verdicts == (verdict,)


def test_dead_agents_are_collapsed_agents_with_the_lowest_reward():
    mutant = PERFECT.copy()
    mutant[:5] = -np.inf
    verdict = judge(PERFECT, mutant)
    assert verdict.p_value == pytest.approx(0.0471, abs=1e-4)
    assert verdict.reason.startswith("5 of 20 agents died; ")
    assert "collapsed 5 of 20" in verdict.reason
    assert verdict.statistic == pytest.approx(-125.0)  # at no reward each
    below = mutant.copy()
    below[5] = -300.0
    assert judge(PERFECT, below).statistic == pytest.approx((5 * -300.0 + -300.0 + 14 * 500.0) / 20 - 500.0)


@pytest.mark.parametrize(
    ("healthy", "mutant", "words"),
    [
        ([1.0], [1.0, 2.0], "healthy: population has 1 agents"),
        ([1.0, np.inf], [1.0, 2.0], "reward inf at position 1"),
        ([1.0, 2.0], [np.nan, 2.0], "reward nan at position 0"),
        ([-np.inf, -np.inf], [1.0, 2.0], "all healthy agents died"),
        ([1.0, 2.0], [1e200, -np.inf], "too large"),
    ],
)
def test_bad_populations_are_refused(healthy, mutant, words):
    with pytest.raises(InputError, match=words):
        judge(healthy, mutant)


def test_a_level_outside_the_unit_interval_is_refused():
    with pytest.raises(InputError):
        MarginPermutation(level=0.0)


# --- power ----------------------------------------------------------------------------------------------------------


def test_power_of_a_shift_by_the_margin():
    """Normal rewards with a standard deviation of 6.25 and a margin of 5: d = .8, a t test's power of .69."""
    rng = np.random.default_rng(5)
    powers = []
    for _ in range(200):
        healthy, mutant = rng.normal(100, 6.25, (2, 20))
        powers.append(margin_power(healthy, mutant, 5.0, Margins(), 0.05, paired=False))
    assert np.mean(powers) == pytest.approx(f_test_power(0.8**2 * 10, 38, 0.05), abs=0.04)


def test_power_of_saturated_populations_is_that_of_a_collapse():
    """Five of 20 are needed; with a share of .1 that many collapse in 4.3 % of the mutants, by the binomial law."""
    assert collapse_power(20, 20, 0.0, 0.1, 0.05) == pytest.approx(0.0432, abs=1e-4)
    assert judge(PERFECT, PERFECT).power == pytest.approx(0.0432, abs=1e-4)
    assert judge([500.0] * 3, [500.0] * 3).power == 0.0


@pytest.mark.parametrize("power", [0.2, 0.67, 0.95])
def test_corrected_power_is_that_of_the_same_shift_at_a_stricter_level(power):
    stricter = corrected_power(power, 20, 20, 0.05, 0.05 / 12)
    assert stricter < power
    assert corrected_power(power, 20, 20, 0.05, 0.05) == pytest.approx(power, abs=1e-6)
    assert corrected_power(f_test_power(6.4, 38, 0.05), 20, 20, 0.05, 0.05 / 12) == pytest.approx(
        f_test_power(6.4, 38, 0.05 / 12), abs=1e-6
    )
    assert corrected_power(power, 4, 4, 0.05, 0.01) == 0.0


def test_agents_for_a_kill():
    assert agents_for_kill(1.0, 20, 20, 0.05) is None
    assert agents_for_kill(1 - 1e-13, 20, 20, 0.05) is None
    # z of .05 is 1.96; (1.96 + .84)^2 / 1.96^2 = 2.04 times as many
    assert agents_for_kill(0.05, 20, 20, 0.05) == 41
    assert agents_for_kill(1e-12, 20, 20, 0.05) == 4  # no p can be below .1 with three


# --- symmetries ------------------------------------------------------------------------------------------------------

populations = st.tuples(
    st.lists(st.integers(0, 500), min_size=2, max_size=7), st.lists(st.integers(0, 500), min_size=2, max_size=7)
).map(lambda sides: tuple(np.array(side, dtype=float) for side in sides))


def close(first, second):
    return first is second is None or first == pytest.approx(second, rel=1e-6, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(populations)
def test_exchanging_the_populations_keeps_p_and_mirrors_the_difference(sides):
    there, back = judge(*sides), judge(*reversed(sides))
    assert back.p_value == pytest.approx(there.p_value)
    assert back.statistic == pytest.approx(-there.statistic)


@settings(deadline=None, max_examples=60)
@given(populations, st.randoms(use_true_random=False))
def test_the_order_of_the_agents_does_not_matter(sides, random):
    shuffled = [np.array(random.sample(list(side), side.size)) for side in sides]
    before, after = judge(*sides), judge(*shuffled)
    assert (after.outcome, after.direction) == (before.outcome, before.direction)
    for name in ("p_value", "statistic", "effect_size", "effect_low", "effect_high", "power"):
        assert close(getattr(after, name), getattr(before, name))


@settings(deadline=None, max_examples=60)
@given(populations, st.sampled_from([0.01, 0.3, 7.0, 1000.0]))
def test_the_unit_of_rewards_does_not_matter(sides, unit):
    before, after = judge(*sides), judge(*(side * unit for side in sides))
    assert after.outcome is before.outcome
    assert after.statistic == pytest.approx(before.statistic * unit, abs=1e-6 * unit)
    for name in ("p_value", "effect_size", "effect_low", "effect_high", "power"):
        assert close(getattr(after, name), getattr(before, name))


@settings(deadline=None, max_examples=60)
@given(populations)
def test_every_number_is_finite_and_has_a_canonical_form(sides):
    verdict = judge(*sides)
    assert json.loads(canonical_json(verdict))["test"] == "margin_permutation"
    assert verdict.reason
    if verdict.effect_size is not None:
        assert verdict.effect_low <= verdict.effect_size <= verdict.effect_high
    assert verdict.outcome is not Outcome.SURVIVED  # far too few agents


def test_mutants_at_the_margin_rarely_survive():
    """200 mutants worse by exactly the margin; 5 % and three standard errors are 19."""
    rng = np.random.default_rng(8)
    outcomes = [judge(rng.normal(500, 25, 60), rng.normal(475, 25, 60)).outcome for _ in range(200)]
    assert outcomes.count(Outcome.SURVIVED) <= 19


def test_mutants_at_the_margin_rarely_survive_where_the_scale_is_a_threshold():
    """As above, with healthy means near zero and a margin of 5 % of 500."""
    rng = np.random.default_rng(9)
    test = MarginPermutation(margins=Margins(scale_near_zero=500.0))
    outcomes = [judge(rng.normal(0, 25, 60), rng.normal(-25, 25, 60), test=test).outcome for _ in range(200)]
    assert outcomes.count(Outcome.SURVIVED) <= 19
