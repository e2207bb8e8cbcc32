"""Verdicts on populations by seed, curves, liveness and blocks: the parts of a campaign on their own."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agents.deeprl.engines.base import AgentSelection
from agents.deeprl.recipe import PolicySite, TrainingRecipe
from envsearch.spec import EnvironmentSpec
from mutations.killing.error_control import adjust
from mutations.killing.kill_test import Direction, Outcome
from mutations.killing.margins import Margins
from mutations.killing.registry import kill_test
from orchestration.campaign.context import last_line
from orchestration.campaign.result import ErrorControlResult
from orchestration.campaign.steps.correction import corrected, unreachable
from orchestration.campaign.steps.judging import compare, comparison_seed, judge_mutants
from orchestration.campaign.steps.kill_matrix import matrix_of
from orchestration.campaign.steps.population_summary import learning_curve
from orchestration.campaign.steps.sanity import identical_seeds, is_live
from orchestration.execution.results import AgentRecord

RECIPE = TrainingRecipe(EnvironmentSpec("E"), "ppo", (), 100, PolicySite("Tanh", "Adam"))
POINT = (("p", 1.0),)
SEEDS = tuple(range(12))


def record(seed: int = 0, digest: str = "a", steps: tuple[int, ...] = (10, 50, 90)) -> AgentRecord:
    returns = tuple(float(step) for step in steps)
    return AgentRecord(RECIPE, seed, "sb3", AgentSelection(), "c", 1, digest, steps, returns, 100, 1.0, ())


def test_pairs_by_seed_and_not_by_position() -> None:
    healthy = {seed: float(seed) for seed in SEEDS}
    mutant = {seed: float(seed) for seed in reversed(SEEDS)}
    verdict = compare(kill_test("paired_permutation"), healthy, mutant, SEEDS, 0)
    assert verdict.statistic == 0.0
    assert verdict.direction is Direction.EQUAL


def test_missing_seeds_leave_both_sides() -> None:
    healthy = {seed: 100.0 for seed in SEEDS if seed != 3}
    mutant = {seed: 90.0 for seed in SEEDS if seed != 7}
    verdict = compare(kill_test("paired_permutation"), healthy, mutant, SEEDS, 0)
    assert (verdict.n_healthy, verdict.n_mutant) == (10, 10)
    assert verdict.statistic == -10.0


@pytest.mark.parametrize(("left", "direction"), [(7, Direction.WORSE), (1, Direction.WORSE), (0, Direction.EQUAL)])
def test_fewer_than_two_thirds_are_inconclusive(left: int, direction: Direction) -> None:
    healthy = dict.fromkeys(SEEDS, 100.0)
    mutant = dict.fromkeys(SEEDS[:left], 1.0)
    verdict = compare(kill_test("paired_permutation"), healthy, mutant, SEEDS, 0)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.direction is direction
    assert verdict.reason == f"only {left} of 12 seeds are left on both sides"
    assert (verdict.p_value, verdict.effect_size) == (None, None)


def test_two_thirds_are_enough() -> None:
    mutant = {seed: 1.0 + seed / 100 for seed in SEEDS[:8]}
    verdict = compare(kill_test("paired_permutation"), dict.fromkeys(SEEDS, 100.0), mutant, SEEDS, 0)
    assert verdict.outcome is Outcome.KILLED


def test_independent_populations_keep_all_their_agents() -> None:
    healthy = {seed: 100.0 + seed for seed in SEEDS}
    mutant = {seed: 10.0 + seed for seed in SEEDS if seed != 7}
    verdict = compare(kill_test("margin_permutation"), healthy, mutant, SEEDS, 0)
    assert (verdict.outcome, verdict.n_healthy, verdict.n_mutant) == (Outcome.KILLED, 12, 11)


def test_an_independent_population_needs_two_thirds_of_its_agents() -> None:
    mutant = dict.fromkeys(SEEDS[:7], 1.0)
    verdict = compare(kill_test("margin_permutation"), dict.fromkeys(SEEDS, 100.0), mutant, SEEDS, 0)
    assert (verdict.outcome, verdict.direction) == (Outcome.INCONCLUSIVE, Direction.WORSE)
    assert (verdict.n_healthy, verdict.n_mutant) == (12, 7)
    assert verdict.reason == "only 7 of 12 agents are left on one side"


DEAD = -math.inf


@pytest.mark.parametrize("test", ["margin_permutation", "paired_permutation", "reward_distribution"])
def test_a_population_that_died_of_the_fault_is_killed_by_crash(test: str) -> None:
    """Also where some jobs failed, as long as two thirds of the agents are there."""
    healthy = dict.fromkeys(SEEDS, 100.0)
    for left in (12, 8):
        (entry,) = judge_mutants(test, healthy, {"A": dict.fromkeys(SEEDS[:left], DEAD)}, POINT, SEEDS, 0)
        verdict = entry.verdict
        assert (verdict.outcome, verdict.direction, verdict.n_mutant) == (Outcome.KILLED, Direction.WORSE, left)
        assert verdict.reason == f"killed by crash: all {left} agents died and the healthy ones lived"


def test_failed_jobs_are_missing_data_even_beside_deaths() -> None:
    verdict = compare(
        kill_test("margin_permutation"), dict.fromkeys(SEEDS, 9.0), dict.fromkeys(SEEDS[:7], DEAD), SEEDS, 0
    )
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason == "only 7 of 12 agents are left on one side; 0 healthy and 7 mutant agents died"


def test_dead_agents_count_in_the_margin_test() -> None:
    """Eight of 12 collapse: as extreme as 2 C(16, 12) of C(24, 12) splits, so p is far below .05."""
    mutant = {seed: DEAD if seed < 8 else 100.0 for seed in SEEDS}
    verdict = compare(kill_test("margin_permutation"), dict.fromkeys(SEEDS, 100.0), mutant, SEEDS, 0)
    assert (verdict.outcome, verdict.collapsed_mutant) == (Outcome.KILLED, pytest.approx(8 / 12))
    assert verdict.reason.startswith("8 of 12 agents died; ")


def test_a_test_that_cannot_judge_dead_agents_says_so_where_too_few_live() -> None:
    healthy = dict.fromkeys(SEEDS, 100.0)
    few = compare(kill_test("paired_permutation"), healthy, {**healthy, 0: DEAD}, SEEDS, 0)
    assert (few.outcome, few.n_mutant) == (Outcome.SURVIVED, 11)
    many = {seed: DEAD if seed < 5 else 100.0 for seed in SEEDS}
    verdict = compare(kill_test("paired_permutation"), healthy, many, SEEDS, 0)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason == (
        "only 7 of 12 seeds are left on both sides; 0 healthy and 5 mutant agents died, "
        "which paired_permutation cannot judge"
    )


@pytest.mark.parametrize("mutant", [100.0, DEAD])
def test_dead_healthy_agents_are_no_yardstick(mutant: float) -> None:
    verdict = compare(
        kill_test("margin_permutation"), dict.fromkeys(SEEDS, DEAD), dict.fromkeys(SEEDS, mutant), SEEDS, 0
    )
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, "all healthy agents are dead")


def test_the_margins_of_the_campaign_are_in_force() -> None:
    """All at 100 survive a margin of 25 % with 12 agents: .75^12 = .032. With 5 % they cannot."""
    rewards = dict.fromkeys(SEEDS, 100.0)
    wide = Margins(mean=0.25, collapsed=0.25)
    outcomes = [
        judge_mutants("margin_permutation", rewards, {"A": rewards}, POINT, SEEDS, 0, margins=margins)[
            0
        ].verdict.outcome
        for margins in (None, Margins(), wide)
    ]
    assert outcomes == [Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE, Outcome.SURVIVED]


def test_correction_is_over_those_that_could_be_judged() -> None:
    healthy = {seed: 100.0 + seed for seed in SEEDS}
    worse = {seed: 50.0 + seed for seed in SEEDS}
    alone = judge_mutants("paired_permutation", healthy, {"A": worse}, POINT, SEEDS, 0)[0].verdict
    mutants = {"A": worse, "B": worse, "broken": {0: 1.0}}
    raw = judge_mutants("paired_permutation", healthy, mutants, POINT, SEEDS, 0)
    verdicts = {entry.mutant: entry.verdict for entry in corrected(raw, "familywise")}
    assert list(verdicts) == ["A", "B", "broken"]
    assert alone.p_value is not None
    assert verdicts["A"].p_value == alone.p_value
    assert verdicts["A"].p_adjusted == pytest.approx(2 * alone.p_value)
    assert (verdicts["broken"].outcome, verdicts["broken"].p_adjusted) == (Outcome.INCONCLUSIVE, None)


def test_the_family_is_the_report_and_equal_entries_are_one_comparison() -> None:
    healthy = {seed: 100.0 + seed for seed in SEEDS}
    mutants = {"A": {seed: 50.0 + seed for seed in SEEDS}, "B": {seed: 101.0 + seed * 0.9 for seed in SEEDS}}
    cells = [
        entry
        for test in ("paired_permutation", "margin_permutation", "reward_distribution")
        for point in (POINT, (("p", 2.0),))
        for entry in judge_mutants(test, healthy, mutants, point, SEEDS, 0)
    ]
    initial = [entry for entry in cells if entry.environment == POINT]
    after = corrected([*initial, *cells], "false_discovery")
    assert [(entry.mutant, entry.environment) for entry in after] == [
        (entry.mutant, entry.environment) for entry in [*initial, *cells]
    ]
    assert after[: len(initial)] == [entry for entry in after[len(initial) :] if entry.environment == POINT]
    family = [entry.verdict for entry in cells if entry.verdict.test != "reward_distribution"]
    assert len(family) == 8
    p_values = [verdict.p_value or 0.0 for verdict in family]
    expected = [entry.verdict.p_adjusted for entry in after[len(initial) :] if entry.verdict.p_adjusted is not None]
    assert expected == pytest.approx(adjust(p_values))
    untouched = [entry for entry in after if entry.verdict.test == "reward_distribution"]
    assert untouched == [entry for entry in [*initial, *cells] if entry.verdict.test == "reward_distribution"]


def test_a_family_too_large_for_drawn_splits_is_noted() -> None:
    small, large, killed = (
        ErrorControlResult("familywise", "Holm", size, kills) for size, kills in ((500, 0), (501, 0), (501, 1))
    )
    assert unreachable(small) == unreachable(killed) == []
    assert "Holm over 501 comparisons needs a p-value of at most 0.0001" in unreachable(large)[0]


def test_a_better_mutant_counts_as_its_test_counts_it() -> None:
    healthy = {seed: 100.0 + seed for seed in SEEDS}
    better = {seed: 500.0 + seed for seed in SEEDS}
    verdicts = [
        entry
        for test in ("paired_permutation", "margin_permutation")
        for entry in judge_mutants(test, healthy, {"A": better}, POINT, SEEDS, 0)
    ]
    assert {entry.verdict.outcome for entry in verdicts} == {Outcome.KILLED}
    assert {entry.verdict.direction for entry in verdicts} == {Direction.BETTER}
    assert matrix_of(verdicts, "paired_permutation").outcomes == ((Outcome.KILLED,),)
    assert matrix_of(verdicts, "margin_permutation").outcomes == ((Outcome.SURVIVED,),)


def test_order_of_mutants_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    healthy = {seed: float(value) for seed, value in enumerate(rng.normal(100, 20, 40))}
    mutants = {name: {seed: float(v) for seed, v in enumerate(rng.normal(90, 20, 40))} for name in "ABC"}
    seeds = tuple(range(40))
    for test in ("paired_permutation", "distance_distribution"):
        forwards = {e.mutant: e for e in judge_mutants(test, healthy, mutants, POINT, seeds, 5)}
        backwards = dict(reversed(mutants.items()))
        other = {e.mutant: e for e in judge_mutants(test, healthy, backwards, POINT, seeds, 5)}
        assert forwards == other


def test_every_comparison_has_its_own_seed() -> None:
    places = [
        (1, "A", POINT, "t"),
        (2, "A", POINT, "t"),
        (1, "B", POINT, "t"),
        (1, "A", (("p", 2.0),), "t"),
        (1, "A", POINT, "u"),
    ]
    assert len({comparison_seed(*place) for place in places}) == len(places)
    assert comparison_seed(1, "A", POINT, "t") == comparison_seed(1, "A", POINT, "t")


def test_verdicts_carry_the_name_of_the_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "mutations.killing.reward_distribution:RewardDistribution"
    rewards = {seed: float(seed) for seed in SEEDS}
    (entry,) = judge_mutants(path, rewards, {"A": rewards}, POINT, SEEDS, 0)
    assert entry.verdict.test == path


def test_liveness() -> None:
    healthy = {0: record(0, "a"), 1: record(1, "b")}
    assert not is_live(healthy, {0: record(0, "a"), 1: record(1, "b")})
    assert is_live(healthy, {0: record(0, "a"), 1: record(1, "c")})
    assert identical_seeds(healthy, {0: record(0, "a"), 1: record(1, "c")}) == (0,)
    assert is_live(healthy, {2: record(2, "a")})
    assert is_live(healthy, {})


def test_learning_curve() -> None:
    curve = learning_curve([record(), record(1)], 100)
    assert curve is not None
    assert curve.steps[0] >= 10
    assert curve.steps[-1] == 100.0
    assert curve.mean[-1] == pytest.approx((10 + 50 + 90) / 3)
    assert curve.mean == curve.low == curve.high
    assert learning_curve([], 100) is None
    assert learning_curve([record(), record(1, steps=())], 100) is None
    assert learning_curve([record(steps=(150,))], 100) is None


def test_last_line_of_a_traceback() -> None:
    assert last_line("Traceback:\n  file\nValueError: bad\n\n") == "ValueError: bad"
    assert last_line("") == "failed"
