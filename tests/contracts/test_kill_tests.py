"""Every kill test of the table keeps the contract; the contract notices tests that do not."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from envsearch.errors import InputError
from mutations.killing.kill_test import Direction, KillVerdict, Outcome, power_label
from mutations.killing.kill_test_checks import check_kill_test
from mutations.killing.paired_permutation import PairedPermutation
from mutations.killing.registry import DEFAULT_KILL_TEST, KILL_TESTS, kill_test, power_label_of
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
    verdicts = [test.judge(healthy, rng.normal(98.0, 6.0, 20), rng) for _ in range(12)]
    before, after = ([verdict.power for verdict in each] for each in (verdicts, test.correct(verdicts)))
    label = power_label(test)
    assert label.startswith(("corrected", "uncorrected", "none"))
    assert power_label_of(name) == label
    if label == "none":
        assert set(before) == {None}
    elif label.startswith("uncorrected"):
        assert before == after
    else:
        assert all(low < high for low, high in zip(after, before, strict=True))


def test_power_of_a_custom_test_has_a_label():
    assert power_label(SimpleNamespace(name="mine")) == "as mine defines it"
    assert power_label_of("mine") == "as the test defines it"


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


class Reorders(Broken):
    def correct(self, verdicts):
        return verdicts[::-1]


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
        (Reorders, "corrects a family in order"),
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
