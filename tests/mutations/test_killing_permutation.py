"""The calibrated default test: exact p-values, outcomes, correction, symmetries, and its false-kill rate."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from envsearch.canonical import canonical_json
from envsearch.errors import InputError
from mutations.killing.decision import Evidence, decide, smallest_useful
from mutations.killing.kill_test import Direction, Outcome
from mutations.killing.paired_permutation import LEVEL, PairedPermutation
from mutations.killing.sign_flip import paired_differences, sign_flip_p_value, smallest_p_value

TEST = PairedPermutation()
PERFECT = np.full(20, 500.0)


def judge(healthy, mutant, seed=0):
    return TEST.judge(np.asarray(healthy, dtype=float), np.asarray(mutant, dtype=float), np.random.default_rng(seed))


def p_of(differences, seed=0):
    return sign_flip_p_value(np.asarray(differences, dtype=float), np.random.default_rng(seed))


# --- p-values --------------------------------------------------------------------------------------------------------


def test_p_value_by_hand():
    # |sums| of ±1 ±2 ±3: 6 twice, 4 twice, 2 twice, 0 twice; observed 1 + 3 - 2 = 2: six of eight reach it
    assert p_of([1, -2, 3]) == 6 / 8
    assert p_of([1, 2, 3]) == 2 / 8
    assert p_of([1, 2, -3]) == 1.0
    assert p_of([0, 0, 1, 0, 2, 3]) == 2 / 8
    assert p_of([0, 0]) == 1.0


def test_p_value_counts_ties_that_floats_hide():
    # .1 + .2 - .3 is 5.6e-17 in floats; |sums| are .6, .4, .2, 0 twice each
    assert p_of([0.1, 0.2, -0.3]) == 1.0
    assert p_of([0.1, -0.2, 0.3]) == 6 / 8


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=10))
def test_exact_p_value_is_the_plain_enumeration(differences):
    sums = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(differences))
    ]
    expected = sum(value >= abs(sum(differences)) for value in sums) / len(sums)
    assert p_of(differences) == pytest.approx(expected, abs=1e-12)


def test_exact_p_value_agrees_with_scipy():
    differences = np.random.default_rng(1).normal(0.4, 1, size=12)
    oracle = stats.permutation_test(
        (differences, np.zeros(12)),
        lambda first, second, axis: np.mean(first - second, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=5000,
    )
    assert p_of(differences) == pytest.approx(oracle.pvalue, rel=1e-9)


def test_sampled_p_value_is_near_the_exact_one_and_never_zero():
    differences = np.random.default_rng(2).normal(0.3, 1, size=31)
    normal = 2 * stats.norm.sf(abs(differences.sum()) / np.sqrt(np.sum(differences**2)))
    assert p_of(differences) == pytest.approx(normal, abs=0.02)
    assert p_of(differences, seed=5) == p_of(differences, seed=5)
    assert p_of(np.ones(40)) == 1 / 10_000


def test_the_generator_is_not_touched_up_to_thirty_differences():
    rng = np.random.default_rng(0)
    sign_flip_p_value(np.arange(1.0, 31.0), rng)
    assert rng.random() == np.random.default_rng(0).random()


def test_rounding_is_no_difference():
    assert paired_differences(np.array([0.3]), np.array([0.1 + 0.2])).tolist() == [0.0]
    assert paired_differences(np.array([500.0]), np.array([499.9])) == pytest.approx([-0.1])


def test_smallest_p_value():
    assert [smallest_p_value(n) for n in (0, 1, 5, 6)] == [1.0, 1.0, 0.0625, 0.03125]
    assert [smallest_useful(level) for level in (0.05, LEVEL, 0.03125, 0.01)] == [6, 6, 7, 8]


# --- outcomes --------------------------------------------------------------------------------------------------------


def test_identical_populations_survive():
    for population in (PERFECT, np.arange(20), np.array([1.0, 2.0])):
        verdict = judge(population, population)
        assert (verdict.outcome, verdict.direction, verdict.p_value) == (Outcome.SURVIVED, Direction.EQUAL, 1.0)
        assert verdict.reason == "the populations are identical"


def test_a_worse_mutant_is_killed():
    verdict = judge(PERFECT, PERFECT - np.arange(1, 21))
    assert (verdict.outcome, verdict.direction) == (Outcome.KILLED, Direction.WORSE)
    assert verdict.p_value == 2 / 2**20
    assert verdict.statistic == -10.5
    assert (verdict.effect_size, verdict.effect_low) == (0.0, 0.0)
    assert verdict.effect_high > 0.05
    assert verdict.reason == "the mutant is worse than healthy, with a large effect"


def test_a_better_mutant_is_killed_and_the_reason_says_so():
    verdict = judge(np.arange(20), np.arange(20) + 15)
    assert (verdict.outcome, verdict.direction) == (Outcome.KILLED, Direction.BETTER)
    assert verdict.reason.startswith("the mutant is better than healthy")


@pytest.mark.parametrize("value", [497.0, 48.0, 501.0])
def test_one_deviating_agent_does_not_kill(value):
    mutant = PERFECT.copy()
    mutant[7] = value
    verdict = judge(PERFECT, mutant)
    assert verdict.outcome is Outcome.SURVIVED
    assert verdict.p_value == 1.0


def test_a_third_of_collapsed_agents_kills():
    mutant = PERFECT.copy()
    mutant[:7] = 9.5
    assert judge(PERFECT, mutant).outcome is Outcome.KILLED


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_too_few_seeds_are_inconclusive_however_large_the_effect(n):
    verdict = judge(np.arange(n), np.arange(n) - 1000.0)
    assert (verdict.outcome, verdict.power) == (Outcome.INCONCLUSIVE, 0.0)
    assert f"with {n} seeds" in verdict.reason
    assert "at least 6" in verdict.reason


def test_six_seeds_can_kill():
    assert judge(np.arange(6), np.arange(6) - 1000.0).outcome is Outcome.KILLED


def test_inconclusive_says_why_and_how_many_more_seeds():
    healthy = np.arange(12.0)
    verdict = judge(healthy, healthy + np.tile([3.0, -4.0, -2.0], 4))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "allows a large effect" in verdict.reason
    assert "more seeds would settle it" in verdict.reason


def test_the_advice_on_seeds_holds():
    """With the advised number of seeds and the same A the interval fits; with one fewer it does not."""
    outcome, reason = decide(Evidence(12, 12, Direction.WORSE, 0.45, 0.9, 0.9, LEVEL), LEVEL)
    assert outcome is Outcome.INCONCLUSIVE
    more = int(reason.split("about ")[1].split()[0])
    assert decide(Evidence(12 + more, 12, Direction.WORSE, 0.45, 0.9, 0.9, LEVEL), LEVEL)[0] is Outcome.SURVIVED
    assert decide(Evidence(11 + more, 12, Direction.WORSE, 0.45, 0.9, 0.9, LEVEL), LEVEL)[0] is Outcome.INCONCLUSIVE


def test_where_seeds_do_not_help_the_reason_says_so():
    assert "unlikely to settle" in decide(Evidence(20, 20, Direction.WORSE, 0.2, 1.0, 1.0, LEVEL), LEVEL)[1]


def test_power_by_hand():
    """Two constants count as independent pairs: ratio .8 / sqrt 2 at n = 20, that is a noncentrality of 2.53."""
    critical = stats.t.isf(LEVEL / 2, 19)
    shift = 0.8 * math.sqrt(20 / 2)
    expected = stats.nct.sf(critical, 19, shift) + stats.nct.cdf(-critical, 19, shift)
    assert judge(PERFECT, PERFECT - 3).power == pytest.approx(expected)
    # the mutant is the healthy twin plus a constant: any shift shows
    assert judge(np.arange(20), np.arange(20) + 0.5).power == 1.0


def test_a_level_outside_the_unit_interval_is_refused():
    with pytest.raises(InputError):
        PairedPermutation(level=1.5)


# --- symmetries ------------------------------------------------------------------------------------------------------

rewards = st.lists(st.tuples(st.integers(-500, 500), st.integers(-500, 500)), min_size=2, max_size=20).map(
    lambda pairs: tuple(np.array(column, dtype=float) for column in zip(*pairs, strict=True))
)
MIRROR = {Direction.WORSE: Direction.BETTER, Direction.BETTER: Direction.WORSE, Direction.EQUAL: Direction.EQUAL}


def close(first, second):
    return first == pytest.approx(second, rel=1e-9, abs=1e-9)


@settings(deadline=None)
@given(rewards)
def test_swapping_the_populations_mirrors_the_verdict(pair):
    healthy, mutant = pair
    there, back = judge(healthy, mutant), judge(mutant, healthy)
    assert back.direction is MIRROR[there.direction]
    assert close(back.p_value, there.p_value)
    assert close(back.power, there.power)
    assert close(back.statistic, -there.statistic)
    assert close(
        (back.effect_size, back.effect_low, back.effect_high),
        (1 - there.effect_size, 1 - there.effect_high, 1 - there.effect_low),
    )
    assert back.outcome is there.outcome


@settings(deadline=None)
@given(rewards, st.floats(-1e4, 1e4), st.floats(0.01, 100))
def test_shift_and_scale_change_only_the_units(pair, shift, scale):
    healthy, mutant = pair
    before, after = judge(healthy, mutant), judge(healthy * scale + shift, mutant * scale + shift)
    assert close(after.p_value, before.p_value)
    assert after.outcome is before.outcome
    assert after.statistic == pytest.approx(before.statistic * scale, rel=1e-6, abs=1e-6)
    assert close(after.effect_size, before.effect_size)


@settings(deadline=None)
@given(rewards, st.randoms(use_true_random=False))
def test_the_order_of_the_pairs_does_not_matter(pair, random):
    healthy, mutant = pair
    order = list(range(healthy.size))
    random.shuffle(order)
    before, after = judge(healthy, mutant), judge(healthy[order], mutant[order])
    assert close(after.p_value, before.p_value)
    assert close(after.power, before.power)
    assert (after.outcome, after.direction, after.effect_size) == (before.outcome, before.direction, before.effect_size)


@settings(deadline=None)
@given(rewards)
def test_every_number_is_finite_and_has_a_canonical_form(pair):
    verdict = judge(*pair)
    assert json.loads(canonical_json(verdict))["test"] == "paired_permutation"
    assert verdict.effect_low <= verdict.effect_size <= verdict.effect_high
    assert verdict.reason


# --- calibration -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", ["normal", "exponential", "t3"])
def test_false_kills_stay_below_five_per_cent(law):
    """The p-value alone, on 2,000 pairs of 20 agents; the whole test is measured in `benchmarks.kill_tests`."""
    rng = np.random.default_rng(11)
    draw = {
        "normal": rng.standard_normal,
        "exponential": rng.standard_exponential,
        "t3": lambda size: rng.standard_t(3, size),
    }[law]
    differences = draw((2000, 20)) - draw((2000, 20))
    killed = sum(sign_flip_p_value(row, rng) < TEST.level for row in differences)
    assert 0.015 < killed / 2000 <= 0.05


def test_a_relevant_effect_rarely_survives():
    """Lower by 0.8 standard deviations: killed more often than not, and survived in about one of twenty."""
    rng = np.random.default_rng(12)
    outcomes = [judge(rng.normal(size=20), rng.normal(size=20) - 0.8).outcome for _ in range(300)]
    assert outcomes.count(Outcome.KILLED) > 150
    assert outcomes.count(Outcome.SURVIVED) < 30
