"""Verdicts corrected as one family: what counts, what stays, what is said of it."""

from dataclasses import replace

import numpy as np
import pytest

from mutations.killing.error_control import ERROR_CONTROLS
from mutations.killing.family import correct_family
from mutations.killing.kill_test import KillTest, Outcome
from mutations.killing.margin_permutation import MarginPermutation
from mutations.killing.margin_power import corrected_power
from mutations.killing.paired_margin_permutation import PairedMarginPermutation
from mutations.killing.paired_permutation import PairedPermutation
from mutations.killing.reward_distribution import RewardDistribution

MARGIN, PAIRS = MarginPermutation(), PairedPermutation()
PERFECT = np.full(20, 500.0)


def judge(test, healthy, mutant):
    sides = (np.asarray(side, dtype=float) for side in (healthy, mutant))
    return test.judge(*sides, np.random.default_rng(0))


def collapsed(low):
    return np.where(np.arange(20) < low, 10.0, 500.0)


def correct(test, *verdicts, control="familywise"):
    return correct_family(verdicts, [test] * len(verdicts), control).verdicts


def test_margin_permutation_by_holm():
    strong, weak = judge(MARGIN, PERFECT, PERFECT - np.arange(10, 30) * 10), judge(MARGIN, PERFECT, collapsed(5))
    corrected = correct(MARGIN, weak, strong, judge(MARGIN, PERFECT, PERFECT))
    assert [verdict.p_value for verdict in corrected[:2]] == [weak.p_value, strong.p_value]
    assert corrected[0].p_adjusted == pytest.approx(2 * weak.p_value)
    assert corrected[1].p_adjusted == pytest.approx(3 * strong.p_value)
    assert [verdict.outcome for verdict in corrected] == [Outcome.INCONCLUSIVE, Outcome.KILLED, Outcome.INCONCLUSIVE]
    assert corrected[0].reason.startswith(
        "p = 0.0471 alone, 0.0942 after correction for 3 comparisons (Holm); mean -24.5 %"
    )
    assert "a kill needs about" in corrected[0].reason
    assert corrected[0].level == pytest.approx(0.05 / 2)
    assert corrected[0].power <= weak.power


def test_false_discovery_lets_a_weaker_kill_stand_beside_strong_ones():
    strong, weak = judge(MARGIN, PERFECT, PERFECT - np.arange(10, 30) * 10), judge(MARGIN, PERFECT, collapsed(6))
    assert 0.01 < weak.p_value < 0.03
    family = [weak, *[strong] * 5]
    assert correct(MARGIN, *family, control="false_discovery")[0].outcome is Outcome.KILLED
    assert correct(MARGIN, weak, *[judge(MARGIN, PERFECT, PERFECT)] * 5, control="false_discovery")[0].outcome is (
        Outcome.INCONCLUSIVE
    )


def test_paired_permutation_by_holm():
    numbers = np.arange(6)
    weak, strong = judge(PAIRS, numbers, numbers - 9.0), judge(PAIRS, PERFECT, PERFECT - np.arange(20))
    corrected = correct(PAIRS, weak, strong, judge(PAIRS, PERFECT, PERFECT))
    assert [verdict.p_adjusted for verdict in corrected] == pytest.approx([2 * 2 / 2**6, 3 * 2 / 2**19, 1.0])
    assert [verdict.outcome for verdict in corrected] == [Outcome.INCONCLUSIVE, Outcome.KILLED, Outcome.SURVIVED]
    assert corrected[0].reason.startswith("p = 0.0312 alone, 0.0625 after correction for 3 comparisons (Holm); ")
    assert corrected[0].power == 0.0  # six pairs cannot fall below .032 / 2
    assert corrected[1].reason == strong.reason


def test_a_kill_with_a_small_effect_survives_when_correction_takes_it_away():
    healthy = np.random.default_rng(0).normal(0, 1, 60)
    verdict = judge(PAIRS, healthy, healthy - 0.03 + 0.08 * np.cos(np.arange(60)))
    assert verdict.outcome is Outcome.KILLED
    assert "negligible" in verdict.reason
    family = [replace(verdict, p_value=0.02), *[judge(PAIRS, healthy, healthy)] * 30]
    assert correct(PAIRS, *family)[0].outcome is Outcome.SURVIVED


@pytest.mark.parametrize("control", ERROR_CONTROLS)
@pytest.mark.parametrize("test", [MARGIN, PairedMarginPermutation(), PAIRS])
def test_a_family_of_one_is_unchanged_but_for_the_numbers_of_its_correction(test, control):
    for mutant in (PERFECT - np.arange(20) * 9, collapsed(4), PERFECT):
        verdict = judge(test, PERFECT, mutant)
        (corrected,) = correct(test, verdict, control=control)
        assert (corrected.p_adjusted, corrected.level) == (pytest.approx(verdict.p_value), pytest.approx(test.level))
        assert corrected.power == pytest.approx(verdict.power, abs=1e-6)
        assert replace(corrected, power=verdict.power, p_adjusted=None, level=None) == verdict


def test_a_survivor_survives_correction():
    verdict = judge(MARGIN, [500.0] * 60, [500.0] * 60)
    assert [corrected.outcome for corrected in correct(MARGIN, verdict, verdict)] == [Outcome.SURVIVED] * 2


def test_a_difference_within_the_margin_takes_no_place_among_the_kills():
    """It would help others to be discoveries, and is none itself."""
    rng = np.random.default_rng(3)
    healthy = rng.normal(500, 5, 70)
    within = judge(MARGIN, healthy, healthy - 6 + rng.normal(0, 0.1, 70))
    assert within.outcome is Outcome.SURVIVED
    assert within.p_value < 0.001
    weak = replace(judge(MARGIN, PERFECT, collapsed(6)), p_value=0.03)
    none = judge(MARGIN, PERFECT, PERFECT)
    corrected = correct(MARGIN, weak, within, none, none, control="false_discovery")
    assert corrected[0].outcome is Outcome.INCONCLUSIVE
    assert corrected[0].p_adjusted == pytest.approx(4 * 0.03)
    assert (corrected[1].outcome, corrected[1].p_adjusted, corrected[1].p_value) == (
        Outcome.SURVIVED,
        1.0,
        within.p_value,
    )


def test_one_family_of_several_tests():
    kinds: list[KillTest] = [MARGIN, RewardDistribution(), PAIRS]
    verdicts = [judge(test, PERFECT, PERFECT - np.arange(20) * 9.0) for test in kinds]
    family = correct_family(verdicts, kinds, "familywise")
    assert (family.comparisons, family.kills) == (2, 2)
    assert family.verdicts[1] == verdicts[1]
    smaller, larger = sorted(verdict.p_value for verdict in (verdicts[0], verdicts[2]))
    assert sorted(v.p_adjusted for v in family.verdicts if v.p_adjusted) == pytest.approx(
        sorted([2 * smaller, max(2 * smaller, larger)])
    )


def test_power_of_pairs_is_corrected_by_their_own_law():
    assert corrected_power(0.5, 6, 6, 0.05, 0.02, paired=True) == 0.0  # 2 / 2^6 is the smallest p of six pairs
    assert corrected_power(0.5, 20, 20, 0.05, 0.01, paired=True) < corrected_power(0.5, 20, 20, 0.05, 0.01)
