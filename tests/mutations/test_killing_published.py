"""The compatibility tests: hand-computed cases, outside oracles, edge cases, and the published verdicts."""

import warnings
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.power import FTestAnovaPower

from benchmarks.published_verdicts import differing, published_mutants, reproduced
from envsearch.errors import InputError
from mutations.killing.distance_distribution import half_distances
from mutations.killing.family import correct_family
from mutations.killing.histogram import bin_count, occupied_bins
from mutations.killing.kill_test import Direction, Outcome
from mutations.killing.published_ladder import climb, published_power
from mutations.killing.registry import KILL_TESTS
from mutations.killing.repeats import judge_repeated
from mutations.published import published_boundaries, published_verdicts

AVERAGE = KILL_TESTS["average_ratio"]
REWARD = KILL_TESTS["reward_distribution"]
DISTANCE = KILL_TESTS["distance_distribution"]
PERFECT = np.full(20, 500.0)


def judge(test, healthy, mutant, seed=0):
    return test.judge(np.asarray(healthy, dtype=float), np.asarray(mutant, dtype=float), np.random.default_rng(seed))


def apart_by(cohens_d, n):
    """Two populations of n whose Cohen's d is exactly this."""
    base = np.arange(n, dtype=float)
    return base, base - cohens_d * base.std(ddof=1)


# --- average ratio ---------------------------------------------------------------------------------------------------


def test_average_ratio_by_hand():
    verdict = judge(AVERAGE, [100, 100, 100, 100], [89.9, 90, 200, 0])
    assert verdict.statistic == 0.5
    assert verdict.outcome is None
    assert verdict.reason == ""
    assert verdict.direction is Direction.WORSE


def test_average_ratio_where_healthy_is_not_positive():
    """-200/-100 = 2 is not counted though worse, 50/-100 is counted though better, as published; 0 follows IEEE."""
    verdict = judge(AVERAGE, [-100, -100, 0, 0, 0, 10], [-200, 50, -1, 1, 0, 10])
    assert verdict.statistic == pytest.approx(2 / 6)
    assert "5 of 6 healthy rewards <= 0" in verdict.reason


# --- reward distribution ---------------------------------------------------------------------------------------------


def test_reward_distribution_by_hand():
    # means 2 and 6, pooled variance (2 + 8) / 4, z = 4 / sqrt(2.5 * 2/3)
    result = climb(np.array([1.0, 2, 3]), np.array([4.0, 6, 8]))
    assert result.cohens_d == pytest.approx(4 / np.sqrt(2.5))
    assert result.z == pytest.approx(4 / np.sqrt(2.5 * 2 / 3))
    assert result.p_value == 0.002


@pytest.mark.parametrize(
    ("n", "inconclusive_below", "killed_from"),
    [(10, 0.663, 0.878), (20, 0.4546, 0.6212), (30, 0.368, 0.507), (50, 0.283, 0.5), (100, 0.199, 0.5)],
)
def test_reward_distribution_is_the_published_ladder_in_d(n, inconclusive_below, killed_from):
    slack = 0.001
    expected = [
        (inconclusive_below - slack, Outcome.INCONCLUSIVE),
        (inconclusive_below + slack, Outcome.SURVIVED),
        (killed_from - slack, Outcome.SURVIVED),
        (killed_from + slack, Outcome.KILLED),
    ]
    assert [judge(REWARD, *apart_by(d, n)).outcome for d, _ in expected] == [outcome for _, outcome in expected]


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 25), st.floats(0, 3), st.integers(0, 2**32 - 1))
def test_reward_distribution_agrees_with_statsmodels(n, shift, seed):
    rng = np.random.default_rng(seed)
    healthy, mutant = rng.normal(size=n), rng.normal(size=n) - shift
    result = climb(healthy, mutant)
    design = sm.add_constant(np.repeat([0.0, 1.0], n))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        summary = sm.GLM(np.concatenate((healthy, mutant)), design).fit().summary()
    assert result.p_value == float(str(summary.tables[1][2][4]))
    assert result.power == pytest.approx(FTestAnovaPower().power(result.cohens_d, 2 * n, 0.05), abs=1e-9)


def test_power_without_effect_is_the_level():
    assert published_power(0.0, 40) == pytest.approx(0.05)
    assert published_power(1e4, 40) == 1.0


def test_reward_distribution_edge_cases():
    same = judge(REWARD, [1.0, 2, 3], [1.0, 2, 3])
    assert (same.outcome, same.reason) == (Outcome.SURVIVED, "the populations are identical")
    constants = judge(REWARD, PERFECT, PERFECT - 1)
    assert (constants.outcome, constants.p_value, constants.power) == (Outcome.KILLED, 0.0, 1.0)
    assert constants.effect_size is None
    one_constant = judge(REWARD, PERFECT, np.append(PERFECT[:-1], 48.0))
    assert one_constant.outcome is Outcome.INCONCLUSIVE
    assert one_constant.effect_size == pytest.approx(np.sqrt(2 / 20))


def test_a_better_mutant_is_killed_as_published_but_told_as_better():
    verdict = judge(REWARD, np.arange(20), np.arange(20) + 20)
    assert (verdict.outcome, verdict.direction) == (Outcome.KILLED, Direction.BETTER)


# --- the pinned binning rule -----------------------------------------------------------------------------------------


def test_bin_count_by_hand():
    # 0..7: quartiles 1.75 and 5.25, FD width 2 * 3.5 / 2 = 3.5; Sturges 7 / (3 + 1) = 1.75 is smaller: 4 bins
    assert bin_count(np.arange(8.0)) == 4
    # half of the values equal: FD is 0, Sturges 7 / 4 counts
    assert bin_count(np.array([0.0, 3, 3, 3, 3, 3, 3, 7])) == 4
    # heavy tails: FD 2 * 3.5 / 2 = 3.5 is smaller than 1000 / 4: 286 bins
    assert bin_count(np.array([0.0, 1, 2, 3, 4, 5, 6, 1000])) == 286
    assert bin_count(np.full(8, 3.0)) == 1


@given(st.lists(st.floats(-1e3, 1e3).map(lambda value: round(value, 2)), min_size=4, max_size=50))
def test_occupied_bins_are_those_of_numpy_histogram(values):
    array = np.array(values)
    ranks, bins = occupied_bins(array)
    number = bin_count(array)
    if number > 10_000:
        return
    counts, _ = (
        np.histogram(array, bins=np.linspace(array.min(), array.max(), number + 1))
        if number > 1
        else (
            np.array([array.size]),
            None,
        )
    )
    assert np.bincount(ranks, minlength=bins).tolist() == counts[counts > 0].tolist()


@pytest.mark.parametrize(
    "values", [[0.0, 1e-300, 1e-300, 1e90], [0.0, 0, 5e-324, 5e-324], [1.0, 1 + 1e-15, 1 + 2e-15, 1e15]]
)
def test_extreme_values_cost_no_memory(values):
    ranks, bins = occupied_bins(np.array(values))
    assert ranks.max() == bins - 1 < 4
    assert (np.diff(ranks) >= 0).all()


# --- distance distribution -------------------------------------------------------------------------------------------


def test_distances_by_hand():
    """Halves of one agent: the healthy two lie in different bins (distance 1); the mutants share one of those bins."""
    among, between = half_distances(np.array([0.0, 10.0]), np.array([0.0, 0.0]), np.random.default_rng(0))
    assert (among == 1.0).all()
    assert set(between) == {0.0, 1.0}
    assert np.mean(between) == pytest.approx(0.5, abs=0.06)


def test_distances_are_hellinger_distances_of_the_halves():
    """Every distance lies among the values that the possible halves give, computed the plain way."""
    healthy, mutant = np.array([0.0, 0, 8, 9]), np.array([0.0, 9, 9, 9])
    ranks, bins = occupied_bins(np.concatenate((healthy, mutant)))

    def hellinger(first, second):
        p, q = (np.bincount(part, minlength=bins) / len(part) for part in (first, second))
        return np.sqrt(np.sum((np.sqrt(p) - np.sqrt(q)) ** 2) / 2)

    pairs = [(i, j) for i in range(4) for j in range(i)]
    rest = {pair: [k for k in range(4) if k not in pair] for pair in pairs}
    h, m = ranks[:4], ranks[4:]
    expected_among = {round(hellinger(h[list(pair)], h[rest[pair]]), 9) for pair in pairs}
    expected_between = {round(hellinger(h[list(first)], m[list(second)]), 9) for first in pairs for second in pairs}
    among, between = half_distances(healthy, mutant, np.random.default_rng(1))
    assert set(np.round(among, 9)) == expected_among
    assert set(np.round(between, 9)) == expected_between


def test_distance_distribution_edge_cases():
    assert judge(DISTANCE, PERFECT, PERFECT).outcome is Outcome.SURVIVED
    assert judge(DISTANCE, np.arange(20), np.arange(20)).outcome is Outcome.SURVIVED
    separated = judge(DISTANCE, PERFECT, PERFECT - 400)
    assert (separated.outcome, separated.p_value, separated.effect_size) == (Outcome.KILLED, 0.0, None)
    assert separated.statistic == pytest.approx(1.0)
    one_deviant = judge(DISTANCE, PERFECT, np.append(PERFECT[:-1], 497.0))
    assert one_deviant.outcome is Outcome.KILLED  # the published test's weakness, kept
    equal_distances = judge(DISTANCE, [0, 10], [20, 30])
    assert equal_distances.outcome is Outcome.SURVIVED  # every distance is 1, among the healthy as to the mutants


@pytest.mark.parametrize("n", [2, 3, 7, 20, 41])
def test_any_size_is_judged(n):
    rng = np.random.default_rng(n)
    for test in KILL_TESTS.values():
        verdict = judge(test, rng.normal(size=n), rng.normal(size=n))
        assert (verdict.n_healthy, verdict.n_mutant) == (n, n)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.125, 4.0, 1024.0]))
def test_distance_distribution_does_not_see_the_scale(seed, scale):
    rng = np.random.default_rng(seed)
    healthy, mutant = rng.integers(0, 500, 20).astype(float), rng.integers(0, 400, 20).astype(float)
    assert judge(DISTANCE, healthy, mutant) == judge(DISTANCE, healthy * scale, mutant * scale)


# --- repeats ---------------------------------------------------------------------------------------------------------


def test_repeats_tell_majority_and_share():
    rng = np.random.default_rng(3)
    pairs = [(rng.normal(size=20), rng.normal(size=20)) for _ in range(40)]
    verdicts = [judge_repeated(DISTANCE, healthy, mutant, seed=1, repeats=5) for healthy, mutant in pairs]
    assert verdicts == [judge_repeated(DISTANCE, healthy, mutant, seed=1, repeats=5) for healthy, mutant in pairs]
    shares = {verdict.agreement for verdict in verdicts}
    assert shares <= {0.4, 0.6, 0.8, 1.0}
    assert len(shares) > 1


def test_repeats_of_a_test_that_does_not_resample_is_one_run():
    assert judge_repeated(REWARD, PERFECT, PERFECT, seed=0, repeats=20).agreement is None


@pytest.mark.parametrize(("seed", "repeats"), [(-1, 1), (0, 0)])
def test_repeats_refuse_nonsense(seed, repeats):
    with pytest.raises(InputError):
        judge_repeated(REWARD, PERFECT, PERFECT, seed=seed, repeats=repeats)


# --- the published table ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rewards(proctor_data):
    table = pd.read_csv(proctor_data / "published" / "cartpole_rewards.csv").sort_values("seed")
    keys = ["environment", "algorithm", "mutant"]
    return {key: group["mean_reward"].to_numpy() for key, group in table.groupby(keys)}


@pytest.fixture(scope="module")
def verdicts(proctor_data):
    table = pd.read_csv(proctor_data / "published" / "cartpole_verdicts.csv")
    return {(row.environment, row.algorithm, row.mutant): row for row in table.itertuples()}


def outcome_of(published):
    return Outcome.SURVIVED if published == "not killed" else Outcome(published)


def test_average_ratio_and_reward_distribution_reproduce_the_published_table(rewards, verdicts):
    assert len(verdicts) == 34
    for (environment, algorithm, mutant), row in verdicts.items():
        pair = rewards[environment, algorithm, "Healthy"], rewards[environment, algorithm, mutant]
        assert judge(AVERAGE, *pair).statistic == pytest.approx(row.average_ratio), (algorithm, mutant)
        assert judge(REWARD, *pair).outcome is outcome_of(row.reward_distribution), (algorithm, mutant)


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 20231116])
def test_distance_distribution_reproduces_the_published_cartpole_table_in_a_single_run(proctor_data, seed):
    mutants = published_mutants(proctor_data / "published")
    assert len(mutants) == 34
    assert differing(mutants, "distance_distribution", seed) == []


def test_counts_of_reproduced_verdicts(proctor_data):
    mutants = published_mutants(proctor_data / "published")
    counts = reproduced(mutants, seeds=2, repeats=1)
    assert (counts["average_ratio"], counts["reward_distribution"]) == (34, 34)
    assert (counts["distance_distribution"], counts["differing"]) == ({"34": 2}, {})
    other = replace(mutants[0], average_ratio=0.123, outcomes=dict.fromkeys(mutants[0].outcomes, "inconclusive"))
    counts = reproduced([other, *mutants[1:]], seeds=2, repeats=1)
    assert (counts["average_ratio"], counts["reward_distribution"]) == (33, 33)
    assert (counts["distance_distribution"], counts["differing"]) == ({"33": 2}, {other.name: 2})


def test_paired_permutation_on_the_published_rewards(proctor_data):
    mutants = published_mutants(proctor_data / "published")
    test, outcomes = KILL_TESTS["paired_permutation"], Counter()
    for algorithm in ("ppo", "a2c", "dqn"):
        family = [mutant for mutant in mutants if mutant.name.startswith(algorithm)]
        verdicts = [judge(test, m.healthy, m.rewards) for m in family]
        outcomes.update(v.outcome for v in correct_family(verdicts, [test] * len(family), "familywise").verdicts)
    assert outcomes == {Outcome.KILLED: 25, Outcome.SURVIVED: 6, Outcome.INCONCLUSIVE: 3}


def test_held_verdicts_are_those_of_the_published_file(verdicts):
    held = {
        ("CartPole-v1", algorithm, mutant): figures
        for algorithm in ("ppo", "a2c", "dqn")
        for mutant, figures in published_verdicts("cartpole", algorithm).items()
    }
    assert held == {
        key: (row.average_ratio, outcome_of(row.reward_distribution), outcome_of(row.distance_distribution))
        for key, row in verdicts.items()
    }


def test_held_boundaries_are_those_of_the_published_file(proctor_data):
    table = pd.read_csv(proctor_data / "published" / "cartpole_kill_matrices.csv")
    for (algorithm, test), group in table.groupby(["algorithm", "kill_test"]):
        held = published_boundaries("CartPole-v1", str(algorithm))[str(test)]
        points = set(zip(group["parameter_1"], group["parameter_2"], strict=True))
        assert np.array(sorted(held.points)) == pytest.approx(np.array(sorted(points)), rel=1e-12)


def test_nothing_is_held_for_other_pairs():
    assert dict(published_verdicts("LunarLander-v3", "ppo")) == {}
    assert dict(published_boundaries("CartPole-v1", "sac")) == {}
    assert published_verdicts("CARTPOLE", "PPO")["NDF"] == (0.65, Outcome.KILLED, Outcome.KILLED)
