"""Every kill test of the table keeps the contract; the contract notices tests that do not."""

import dataclasses

import numpy as np
import pytest

from envsearch.errors import InputError
from mutations.killing.error_control import DEFAULT_ERROR_CONTROL
from mutations.killing.family import correct_family
from mutations.killing.kill_test import Direction, KillVerdict, Outcome, power_label
from mutations.killing.kill_test_checks import check_kill_test
from mutations.killing.paired_permutation import PairedPermutation
from mutations.killing.registry import DEFAULT_KILL_TEST, KILL_TESTS, as_kill_test, kill_test, power_labels
from mutations.killing.reward_distribution import RewardDistribution


@pytest.mark.parametrize("name", KILL_TESTS)
def test_built_in_kill_tests_keep_the_contract(name):
    assert [check for check in check_kill_test(KILL_TESTS[name]) if not check.passed] == []


def test_the_table_is_keyed_by_name():
    assert {name: test.name for name, test in KILL_TESTS.items()} == {name: name for name in KILL_TESTS}
    assert DEFAULT_KILL_TEST in KILL_TESTS


@pytest.mark.parametrize("name", KILL_TESTS)
def test_power_is_corrected_where_its_label_says_so(name):
    test, rng = KILL_TESTS[name], np.random.default_rng(0)
    healthy = rng.normal(100.0, 6.0, 20)
    before = [test.judge(healthy, rng.normal(98.0, 6.0, 20), rng) for _ in range(12)]
    after = correct_family(before, [test] * 12, DEFAULT_ERROR_CONTROL).verdicts
    for alone, corrected in zip(before, after, strict=True):
        label = power_label(corrected, test)
        if label is None:
            assert alone.power is corrected.power is None
        elif label.startswith("uncorrected"):
            assert corrected.power == alone.power
        else:
            assert label == power_label(alone, test).removeprefix("un")
            assert corrected.power < alone.power
        assert power_labels([corrected]) == (label or "")


def test_power_of_a_test_outside_the_table_has_a_label():
    verdict = KILL_TESTS["paired_permutation"].judge(np.arange(9.0), np.arange(9.0) - 1, np.random.default_rng(0))
    other = dataclasses.replace(verdict, test="mine")
    assert power_labels([other]) == "uncorrected, at the test's own alternative"
    assert power_labels([verdict, verdict]) == "uncorrected, at a shift of 0.8 sd"


class Broken(RewardDistribution):
    """A base for tests with one fault each."""

    name = "broken"


class WithoutSummary(Broken):
    summary = ""


class KillsEverything(Broken):
    def judge(self, healthy, mutant, rng):
        return dataclasses.replace(super().judge(healthy, mutant, rng), outcome=Outcome.KILLED)


class KillsNothing(Broken):
    def judge(self, healthy, mutant, rng):
        return dataclasses.replace(super().judge(healthy, mutant, rng), outcome=Outcome.SURVIVED)


class Backwards(Broken):
    def judge(self, healthy, mutant, rng):
        swapped = {Direction.WORSE: Direction.BETTER, Direction.BETTER: Direction.WORSE}
        verdict = super().judge(healthy, mutant, rng)
        return dataclasses.replace(verdict, direction=swapped.get(verdict.direction, verdict.direction))


class Secretive(Broken):
    """Draws from a generator of its own."""

    own = np.random.default_rng(0)

    def judge(self, healthy, mutant, rng):
        return dataclasses.replace(super().judge(healthy, mutant, rng), statistic=float(self.own.random()))


class HiddenResampling(Broken):
    def judge(self, healthy, mutant, rng):
        return dataclasses.replace(super().judge(healthy, mutant, rng), statistic=float(rng.random()))


class Lenient(Broken):
    def judge(self, healthy, mutant, rng):
        try:
            return super().judge(healthy, mutant, rng)
        except InputError:
            sizes = len(healthy), len(mutant)
            return KillVerdict("broken", None, Direction.EQUAL, None, None, None, None, None, None, *sizes)


class ClaimsIndependence(Broken):
    independent = True


class Writes(Broken):
    def judge(self, healthy, mutant, rng):
        verdict = super().judge(healthy, mutant, rng)
        mutant.sort()
        return verdict


class Infinite(Broken):
    def judge(self, healthy, mutant, rng):
        return dataclasses.replace(super().judge(healthy, mutant, rng), effect_size=float("inf"))


class CorrectsItself(Broken):
    """As a test of 0.1.0 did."""

    corrected = True

    def correct(self, verdicts):
        return list(verdicts)


class Relentless(PairedPermutation):
    """Does not give up a kill."""

    def conclude(self, verdict, correction):
        return dataclasses.replace(verdict, p_adjusted=correction.p_adjusted, level=correction.level)


class Silent(PairedPermutation):
    """Corrects and says nothing of it."""

    def conclude(self, verdict, correction):
        corrected = super().conclude(verdict, correction)
        return dataclasses.replace(corrected, p_adjusted=None, level=None)


class Crashes(Broken):
    def judge(self, healthy, mutant, rng):
        raise ZeroDivisionError("float division by zero")


@pytest.mark.parametrize(
    ("broken", "clause"),
    [
        (WithoutSummary, "has name, summary, source, resampling and corrected"),
        (KillsEverything, "never kills identical populations"),
        (KillsNothing, "kills separated populations"),
        (Backwards, "reports the direction"),
        (Secretive, "same generator, same verdict"),
        (HiddenResampling, "does not need the generator unless it resamples"),
        (Lenient, "rejects NaN and infinity"),
        (Lenient, "rejects empty populations"),
        (Lenient, "takes populations of different size, or rejects them, as it declares"),
        (ClaimsIndependence, "takes populations of different size, or rejects them, as it declares"),
        (Writes, "leaves its input unchanged"),
        (Infinite, "fills the verdict"),
        (CorrectsItself, "concludes from an adjusted p-value"),
        (Relentless, "concludes from an adjusted p-value"),
        (Silent, "concludes from an adjusted p-value"),
        (Crashes, "fills the verdict"),
    ],
)
def test_the_contract_notices(broken, clause):
    failed = {check.name: check.detail for check in check_kill_test(broken()) if not check.passed}
    assert failed.get(clause)


def test_a_test_is_found_by_name_or_import_path():
    assert kill_test("paired_permutation") is KILL_TESTS["paired_permutation"]
    by_class = kill_test("mutations.killing.paired_permutation:PairedPermutation")
    assert isinstance(by_class, PairedPermutation)
    table = "mutations.killing.registry"
    assert kill_test(f"{table}:RewardDistribution").name == "reward_distribution"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("paired_permutatoin", "did you mean 'paired_permutation'?"),
        ("no_such_module_here:Test", "cannot import"),
        ("mutations.killing.registry:Missing", "has no 'Missing'"),
        ("mutations.killing.registry:DEFAULT_KILL_TEST", "is not a kill test: it has no name"),
        ("mutations.killing.kill_test:KillVerdict", "cannot be created without arguments"),
    ],
)
def test_unknown_tests_are_refused_in_one_line(name, words):
    with pytest.raises(InputError) as caught:
        kill_test(name, "kill_tests[1]")
    assert str(caught.value).startswith("kill_tests[1]: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_test_that_corrects_its_own_verdicts_is_refused():
    with pytest.raises(InputError) as caught:
        as_kill_test(CorrectsItself(), "mine:Test", "kill_tests[0]")
    line = "'mine:Test' corrects its own verdicts, but correction is over the whole report: it has no level and no"
    assert f"{line} conclude" in str(caught.value)
    assert "mutations.killing.kill_test.CorrectedKillTest, or corrected = False" in str(caught.value)


def test_an_uncorrected_test_may_keep_its_old_method():
    class Old(Broken):
        def correct(self, verdicts):
            raise AssertionError("is not called")

    old = as_kill_test(Old(), "mine:Old")
    verdict = old.judge(np.arange(20.0), np.arange(20.0) + 50, np.random.default_rng(0))
    assert correct_family([verdict], [old], "false_discovery").verdicts == (verdict,)
