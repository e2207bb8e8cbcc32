"""The margin test at a look: spent p-values, spent equivalence, finer draws, and correction afterwards."""

import numpy as np
import pytest

from envsearch.errors import InputError
from mutations.killing.family import correct_family
from mutations.killing.kill_test import Outcome
from mutations.killing.margin_permutation import MarginPermutation
from mutations.killing.margin_permutation_at_look import REFINED_DRAWS, at_look, takes_looks
from mutations.killing.margins import Margins
from mutations.killing.paired_permutation import PairedPermutation
from mutations.killing.registry import KILL_TESTS
from mutations.killing.sequential_looks import Looks

TEST, LOOKS = MarginPermutation(), Looks()


def judge(test, healthy, mutant, seed=0):
    return test.judge(np.asarray(healthy, float), np.asarray(mutant, float), np.random.default_rng(seed))


def test_the_p_value_is_divided_by_the_share_of_the_look():
    rng = np.random.default_rng(1)
    healthy, mutant = rng.normal(500, 50, 20), rng.normal(460, 50, 15)
    alone, spent = judge(TEST, healthy, mutant), judge(at_look(TEST, LOOKS, 15), healthy, mutant)
    assert 0.001 < alone.p_value < 0.05
    assert spent.p_value == pytest.approx(alone.p_value / LOOKS.share(15))
    assert (spent.level_share, alone.level_share) == (LOOKS.share(15), None)
    assert spent.power < alone.power
    assert spent.difference_low == alone.difference_low


def test_a_kill_at_a_look_needs_the_level_that_the_look_may_spend():
    rng = np.random.default_rng(1)
    healthy, mutant = rng.normal(500, 50, 20), rng.normal(460, 50, 15)
    assert judge(TEST, healthy, mutant).outcome is Outcome.KILLED
    spent = judge(at_look(TEST, LOOKS, 6), healthy, mutant)
    assert spent.p_value > 0.05
    assert spent.outcome is Outcome.INCONCLUSIVE


def test_a_dead_mutant_is_killed_at_the_first_look_however_many_comparisons_there_are():
    rng = np.random.default_rng(2)
    verdict = judge(at_look(TEST, LOOKS, 6), rng.normal(500, 10, 20), rng.normal(20, 5, 6))
    assert verdict.outcome is Outcome.KILLED
    assert verdict.p_value == pytest.approx(1 / (REFINED_DRAWS + 1) / LOOKS.share(6), rel=8)
    others = [judge(TEST, [1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0])] * 107
    family = correct_family([verdict, *others], [TEST] * 108, "familywise")
    assert family.verdicts[0].outcome is Outcome.KILLED


def test_a_difference_within_the_margin_is_never_killed():
    mutant = np.where(np.arange(15) < 8, 499.9, 500.0)
    verdict = judge(at_look(TEST, LOOKS, 15), np.full(20, 500.0), mutant)
    assert verdict.p_value <= 0.05
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_equivalence_is_tested_only_at_looks_that_can_show_it_and_at_their_level():
    wide = MarginPermutation(margins=Margins(mean=0.2, collapsed=0.2))
    looks = Looks((6, 14, 20))
    perfect = np.full(20, 500.0)
    outcomes = {n: judge(at_look(wide, looks, n), perfect, perfect[:n]).outcome for n in looks.agents}
    assert judge(wide, perfect, perfect[:14]).outcome is Outcome.SURVIVED  # without looks
    assert [outcomes[n] is Outcome.SURVIVED for n in looks.agents] == [False, False, True]


def test_correction_uses_the_spent_level():
    rng = np.random.default_rng(3)
    healthy, mutant = rng.normal(500, 50, 20), rng.normal(440, 50, 20)
    spent = judge(at_look(TEST, LOOKS, 20), healthy, mutant)
    corrected = correct_family([spent] * 1, [TEST], "familywise").verdicts[0]
    assert corrected.p_adjusted == spent.p_value
    assert corrected.power == pytest.approx(spent.power)
    strict = correct_family([spent, *[judge(TEST, healthy, healthy)] * 11], [TEST] * 12, "familywise").verdicts[0]
    assert strict.p_adjusted == pytest.approx(12 * spent.p_value)
    assert strict.power < spent.power
    assert "after correction for 12 comparisons" in strict.reason or strict.outcome is Outcome.KILLED


def test_dead_agents_are_judged_at_a_look():
    verdict = judge(at_look(TEST, LOOKS, 6), np.full(20, 500.0), np.full(6, -np.inf))
    assert (verdict.outcome, verdict.p_value) == (Outcome.KILLED, None)


def test_only_the_margin_test_takes_looks():
    assert [name for name, test in KILL_TESTS.items() if takes_looks(test)] == ["margin_permutation"]
    with pytest.raises(InputError, match="cannot be judged at looks"):
        at_look(PairedPermutation(), LOOKS, 6)
