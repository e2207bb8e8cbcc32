"""Intervals and equivalence tests of the margin test: hand-computed cases, references and properties."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep

from envsearch.errors import InputError
from mutations.killing.collapse import fewest_without_collapse, not_inferior_p, share_interval
from mutations.killing.margins import Margins, agents_for_equivalence, examine, scale_of
from mutations.killing.mean_interval import independent_replicates, paired_replicates

rewards = st.lists(st.integers(0, 500), min_size=2, max_size=20).map(lambda values: np.array(values, dtype=float))
counts = st.integers(2, 40).flatmap(lambda size: st.tuples(st.integers(0, size), st.just(size)))


# --- shares of collapsed agents --------------------------------------------------------------------------------------


@settings(deadline=None)
@given(counts, counts)
def test_share_interval_agrees_with_statsmodels(healthy, mutant):
    low, high = share_interval(healthy[0], healthy[1], mutant[0], mutant[1], 0.95)
    expected = confint_proportions_2indep(*mutant, *healthy, method="newcomb", compare="diff")
    assert (low, high) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("n", [5, 20, 28, 29, 59])
@pytest.mark.parametrize("margin", [0.05, 0.1, 0.3])
def test_no_collapse_seen_by_hand(n, margin):
    """Where healthy agents never collapse, all n mutants are spared with (1 - margin)^n; other shares add little."""
    assert not_inferior_p(0, n, 0, n, margin) >= (1 - margin) ** n - 1e-12
    assert not_inferior_p(0, n, 0, n, margin) == pytest.approx((1 - margin) ** n, abs=6e-3)


def test_fewest_agents_without_collapse():
    assert 0.9**29 < 0.05 < 0.9**28
    assert fewest_without_collapse(0.1, 0.05) == 29
    assert fewest_without_collapse(0.05, 0.05) == 59
    assert Margins().fewest_agents == 59
    assert Margins(mean=0.5, collapsed=0.9).fewest_agents == 5


@pytest.mark.parametrize(("n", "m", "margin"), [(20, 20, 0.2), (40, 25, 0.1), (15, 30, 0.25)])
def test_exclusion_of_collapse_is_wrong_in_at_most_five_per_cent(n, m, margin):
    """Exactly, for mutants at the margin, over healthy shares that are not on the grid."""
    excluded = np.array(
        [[not_inferior_p(a, n, b, m, margin) <= 0.05 for b in range(m + 1)] for a in range(n + 1)], dtype=float
    )
    for share in np.linspace(0.0007, 1 - margin - 0.0007, 37):
        healthy = stats.binom.pmf(np.arange(n + 1), n, share)
        mutant = stats.binom.pmf(np.arange(m + 1), m, share + margin)
        assert healthy @ excluded @ mutant <= 0.0505


# --- difference of the means -----------------------------------------------------------------------------------------


def test_two_constants_differ_by_exactly_their_difference():
    for replicates in (independent_replicates, paired_replicates):
        assert replicates(np.full(9, 0.1), np.full(9, 0.3)).interval(0.95) == pytest.approx((0.2, 0.2), abs=1e-15)
        assert replicates(np.full(9, 500.0), np.full(9, 500.0)).interval(0.95) == (0.0, 0.0)


def test_interval_of_normal_rewards_is_close_to_welch():
    rng = np.random.default_rng(0)
    healthy, mutant = rng.normal(450, 30, 40), rng.normal(430, 60, 60)
    low, high = independent_replicates(healthy, mutant).interval(0.95)
    welch = stats.ttest_ind(mutant, healthy, equal_var=False).confidence_interval()
    assert high - low == pytest.approx(welch.high - welch.low, rel=0.15)
    assert low == pytest.approx(welch.low, abs=0.15 * (high - low))


def test_interval_of_shares_is_that_of_jeffreys():
    """Three of 20 mutants and none of 20 healthy agents lose everything: laws Beta(k + .5, n - k + .5)."""
    low, high = independent_replicates(np.ones(20), np.where(np.arange(20) < 3, 0.0, 1.0)).interval(0.95)
    rng = np.random.default_rng(0)
    shares = rng.beta(3.5, 17.5, 200_000) - rng.beta(0.5, 20.5, 200_000)
    widened = 0.15 + stats.t.isf(0.025, 38) / stats.norm.isf(0.025) * (np.quantile(shares, [0.025, 0.975]) - 0.15)
    assert (-high, -low) == pytest.approx(tuple(widened), abs=0.01)


@given(rewards, rewards)
def test_exchanging_the_populations_mirrors_the_interval(healthy, mutant):
    low, high = independent_replicates(healthy, mutant).interval(0.95)
    mirrored_low, mirrored_high = independent_replicates(mutant, healthy).interval(0.95)
    assert (mirrored_low, mirrored_high) == pytest.approx((-high, -low), abs=1e-9)
    assert low <= np.mean(mutant) - np.mean(healthy) <= high


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=20))
def test_exchanging_pairs_mirrors_the_paired_interval(pairs):
    healthy, mutant = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    low, high = paired_replicates(healthy, mutant).interval(0.9)
    assert paired_replicates(mutant, healthy).interval(0.9) == pytest.approx((-high, -low), abs=1e-9)
    shuffled = np.random.default_rng(0).permutation(healthy.size)
    assert paired_replicates(healthy[shuffled], mutant[shuffled]).interval(0.9) == pytest.approx((low, high))


@pytest.mark.parametrize(("n", "m"), [(10, 10), (20, 20), (30, 10)])
def test_interval_covers_about_as_often_as_it_says(n, m):
    """Saturated populations, 500 pairs; Welch's interval covers 90 % at 30 against 10."""
    rng = np.random.default_rng(3)

    def draw(size):
        return np.where(rng.random(size) < 0.75, 500.0, rng.uniform(0, 500, size))

    ends = [independent_replicates(draw(n), draw(m)).interval(0.95) for _ in range(500)]
    assert 0.93 <= np.mean([low <= 0 <= high for low, high in ends]) <= 0.985


# --- evidence --------------------------------------------------------------------------------------------------------


def test_scale_is_the_healthy_mean_unless_it_is_near_zero_or_set():
    assert scale_of(np.array([90.0, 110.0, 100.0]), Margins()) == pytest.approx(100.0)
    assert scale_of(np.array([-90.0, -110.0, -100.0]), Margins()) == pytest.approx(100.0)
    assert scale_of(np.array([-5.0, 5.0, 1.0]), Margins()) is None
    assert scale_of(np.zeros(5), Margins()) is None
    assert scale_of(np.array([-5.0, 5.0, 1.0]), Margins(scale=200.0)) == 200.0


def test_an_agent_is_collapsed_half_a_scale_below_the_median():
    healthy = np.full(10, 400.0)
    mutant = np.array([400.0, 201.0, 200.0, 199.0, 0.0, 400.0])
    evidence = examine(healthy, mutant, Margins(), paired=False)
    assert (evidence.collapsed_healthy, evidence.collapsed_mutant) == (0, 2)
    # costs (a negative mean): the limit is -100 - 50
    costs = examine(np.full(10, -100.0), np.array([-100.0, -149.0, -151.0]), Margins(), paired=False)
    assert costs.collapsed_mutant == 1


def test_equivalence_needs_both_margins():
    rng = np.random.default_rng(1)
    healthy = rng.normal(500, 10, 100)
    near = examine(healthy, rng.normal(497, 10, 100), Margins(), paired=False)
    assert (near.equivalent, near.may_exceed) == (True, False)
    far = examine(healthy, rng.normal(470, 10, 100), Margins(), paired=False)
    assert (far.mean_within, far.equivalent, far.may_exceed) == (False, False, True)
    assert math.isinf(far.mean_slack)
    wide = examine(healthy, np.where(np.arange(100) < 8, 240.0, 517.0), Margins(), paired=False)
    assert wide.collapsed_mutant == 8
    assert not wide.equivalent


def test_a_set_scale_moves_the_margin():
    rng = np.random.default_rng(1)
    healthy, mutant = rng.normal(0, 5, 80), rng.normal(0, 5, 80)
    assert not examine(healthy, mutant, Margins(), paired=False).equivalent
    scaled = examine(healthy, mutant, Margins(scale=200.0), paired=False)
    assert scaled.margin == pytest.approx(10.0)
    assert scaled.equivalent


def test_agents_for_equivalence_hold_what_they_say():
    """With that many agents of the same rewards equivalence is shown; with a tenth fewer it is not."""
    healthy = np.array([480.0, 500.0, 520.0, 400.0] * 5)
    margins = Margins(mean=0.05, collapsed=0.4)
    evidence = examine(healthy, healthy - 1.0, margins, paired=False)
    needed = agents_for_equivalence(evidence, margins)
    assert needed == 59  # the unseen collapse decides
    repeated = np.tile(healthy, 3)
    assert examine(repeated[:60], repeated[:60] - 1.0, margins, paired=False).equivalent
    assert not examine(repeated[:52], repeated[:52] - 1.0, margins, paired=False).equivalent


@pytest.mark.parametrize("settings_", [{"mean": 0.0}, {"mean": 1.0}, {"collapsed": -0.1}, {"scale": 0.0}])
def test_margins_that_mean_nothing_are_refused(settings_):
    with pytest.raises(InputError):
        Margins(**settings_)
