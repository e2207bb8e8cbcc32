"""The bootstrap of a mutation score: what it resamples, what it says, and how near it is to judging again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mutations.killing.kill_test import Direction, Outcome
from mutations.killing.margin_permutation import MarginPermutation
from mutations.killing.margins import Margins
from mutations.killing.paired_permutation import PairedPermutation
from mutations.killing.registry import KILL_TESTS
from mutations.killing.resampled_kills import is_resampled
from mutations.killing.resampled_law import Draws
from mutations.killing.splits import drawn_splits
from mutations.score_bootstrap import Resampling, ScoredCell, resampled_matrices, score_uncertainty

MARGIN = MarginPermutation()
RNG = np.random.default_rng(0)
HEALTHY = RNG.normal(450, 20, 20)
DEAD, EQUAL = RNG.normal(50, 20, 20), RNG.normal(450, 20, 20)
MIDDLE = RNG.normal(425, 20, 20)


def resampling(shape, others=(), replicates=100, control="false_discovery"):
    return Resampling(shape, np.array(others, dtype=float), control, 1, replicates)


def cell(row, column, mutant, healthy=HEALTHY):
    return ScoredCell(row, column, (healthy, mutant))


def test_sure_kills_are_certain_and_equal_mutants_are_rare():
    cells = [cell(row, column, mutant) for row, mutant in enumerate((DEAD, EQUAL)) for column in range(3)]
    kills = resampled_matrices(MARGIN, cells, resampling((2, 3)))
    assert kills.shape == (100, 2, 3)
    assert kills[:, 0].all()
    assert kills[:, 1].mean() < 0.2
    assert not resampled_matrices(MARGIN, [cell(0, 0, HEALTHY)], resampling((1, 1))).all()


def test_an_agent_keeps_its_rewards_in_all_environments():
    """Equal environments have equal kills in every replicate, and so do equal mutants only by chance."""
    cells = [cell(row, column, MIDDLE) for row in range(2) for column in range(2)]
    kills = resampled_matrices(MARGIN, cells, resampling((2, 2)))
    assert np.array_equal(kills[:, :, 0], kills[:, :, 1])
    assert not np.array_equal(kills[:, 0], kills[:, 1])


def test_other_comparisons_of_the_report_take_part():
    """They make the family larger, and more kills among them make a kill easier."""
    alone, beside_none, beside_many = (
        resampled_matrices(MARGIN, [cell(0, 0, MIDDLE)], resampling((1, 1), others)).mean()
        for others in ([], [1.0] * 200, [1e-4] * 200)
    )
    assert beside_none < beside_many <= alone


def test_outcomes_that_no_draw_changes():
    cells = [ScoredCell(0, 0, None, killed=True), ScoredCell(1, 0, None)]
    kills = resampled_matrices(MARGIN, cells, resampling((2, 1)))
    assert kills[:, 0].all()
    assert not kills[:, 1].any()


def test_a_better_mutant_is_no_kill_of_the_margin_test():
    better = [cell(0, 0, DEAD + 800)]
    assert not resampled_matrices(MARGIN, better, resampling((1, 1))).any()
    assert resampled_matrices(PairedPermutation(), better, resampling((1, 1))).all()


def test_a_doubtful_difference_is_shrunk():
    """A mutant whose observed difference is not believed at all is killed like a healthy one."""
    far = [ScoredCell(0, 0, (HEALTHY, DEAD), weight=weight) for weight in (1.0, 0.5, 0.0)]
    kills = [resampled_matrices(MARGIN, [doubtful], resampling((1, 1), replicates=400)).mean() for doubtful in far]
    assert kills[0] == 1.0
    assert 0.9 < kills[1] < 1.0
    assert kills[2] < 0.08
    paired = ScoredCell(0, 0, (HEALTHY, DEAD), weight=0.0)
    assert resampled_matrices(PairedPermutation(), [paired], resampling((1, 1), replicates=400)).mean() < 0.08


def test_same_generator_same_bits():
    cells = [cell(0, 0, MIDDLE)]
    first, second = (resampled_matrices(MARGIN, cells, resampling((1, 1))) for _ in range(2))
    assert np.array_equal(first, second)


def test_which_tests_can_judge_replicates():
    names = {name for name, test in KILL_TESTS.items() if is_resampled(test)}
    assert names == {"margin_permutation", "paired_margin_permutation", "paired_permutation"}


@pytest.mark.parametrize("name", ["margin_permutation", "paired_permutation"])
@pytest.mark.parametrize("law", ["normal", "saturated", "far"])
def test_replicates_are_judged_as_the_test_itself_would(name, law):
    """Kills that count, at the level .02, agree in nearly all of 60 replicates."""
    test: Any = KILL_TESTS[name]
    rng = np.random.default_rng(5)
    populations = {
        "normal": (rng.normal(100, 6, 20), rng.normal(95, 6, 20)),
        "saturated": (np.full(20, 500.0), np.where(np.arange(20) < 7, 30.0, 500.0)),
        "far": (rng.normal(100, 6, 20), rng.normal(60, 12, 20)),
    }[law]
    healthy, mutant, substitutes = rng.integers(0, 20, (3, 60, 20))
    shrunk, exchanged = rng.random((2, 60, 20)) < 0.1
    draws = Draws(healthy, mutant, shrunk, substitutes, exchanged)
    fast = test.resampled_kills(*populations, draws)
    replicates = (draws.populations if name == "margin_permutation" else draws.pairs)(*populations)
    splits = drawn_splits(20, 20, rng)
    agree = 0
    for row in range(60):
        sides = (side[row] for side in replicates)
        verdict = test.judge_with(*sides, rng, splits) if name == "margin_permutation" else test.judge(*sides, rng)
        better = verdict.direction is Direction.BETTER and name == "margin_permutation"
        counted = verdict.outcome is Outcome.KILLED and verdict.p_value <= 0.02 and not better
        agree += counted == (fast.p_values[row] <= 0.02 and fast.counted[row])
    assert agree >= 55


def test_where_the_healthy_mean_is_near_zero_replicates_have_the_margin_in_units_of_reward():
    """2 points less are within 5 % of the scale 100 for this case; of a healthy mean of .1 they would be far more."""
    rng = np.random.default_rng(8)
    populations = rng.normal(0.1, 0.8, 20), rng.normal(-1.9, 0.8, 20)
    test = MarginPermutation(margins=Margins(scale_near_zero=100.0))
    assert test.judge(*populations, rng).outcome is not Outcome.KILLED
    healthy, mutant = rng.integers(0, 20, (2, 60, 20))
    nobody = np.zeros((60, 20), dtype=np.bool_)
    kills = test.resampled_kills(*populations, Draws(healthy, mutant, nobody, healthy, nobody))
    assert np.mean(kills.p_values < 1.0) < 0.1


def kills_of(*rows):
    return np.array([[[mark == "x" for mark in row] for row in replicate] for replicate in rows])


def test_the_smallest_set_over_the_replicates():
    kills = kills_of(("x..", ".x."), ("xx.", ".x."), ("..x", "..x"), ("...", "..."))
    uncertainty = score_uncertainty(kills, 1.0, [0, 1], 0.05)
    assert uncertainty.environment_shares == (0.25, 0.5, 0.25)
    assert uncertainty.same_kills == 0.75  # the third replicate needs the third environment
    assert uncertainty.replicates == 4


def test_the_interval_holds_the_score_and_most_replicates():
    rows = [("x",) if number < 10 else (".",) for number in range(100)]
    kills = np.concatenate([kills_of(*rows)] * 1)
    uncertainty = score_uncertainty(kills, 0.0, [], 0.05)
    assert (uncertainty.low, uncertainty.high) == (0.0, 1.0)
    rare = kills_of(*[("x",) if number < 1 else (".",) for number in range(100)])
    assert score_uncertainty(rare, 0.0, [], 0.05).high == 0.0
    assert score_uncertainty(rare, 1.0, [0], 0.05).high == 1.0


def test_the_null_band_is_that_of_the_error_control():
    kills = kills_of(("x",), ("x",))
    assert score_uncertainty(kills, 1.0, [0], 0.05).null_high == 0.0
    assert score_uncertainty(kills, 1.0, [0], 0.2).null_high is None


def test_a_mutant_that_stopped_at_a_look_is_judged_at_the_level_that_the_look_may_spend():
    whole, spent = (
        resampled_matrices(MARGIN, [ScoredCell(0, 0, (HEALTHY, MIDDLE), level_share=share)], resampling((1, 1))).mean()
        for share in (1.0, 0.09)
    )
    assert spent < whole
    stopped = [ScoredCell(0, 0, (HEALTHY, DEAD[:6]), level_share=0.09)]
    assert resampled_matrices(MARGIN, stopped, resampling((1, 1))).mean() > 0.9
