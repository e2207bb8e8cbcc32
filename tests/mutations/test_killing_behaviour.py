"""The same agents in two environments: accepted, rejected or unknown, by hand-made rewards."""

from __future__ import annotations

import numpy as np
import pytest

from envsearch.boundary_answer import Behaviour
from envsearch.errors import InputError
from mutations.killing.behaviour import compare_behaviour
from mutations.killing.margins import Margins

HEALTHY = np.full(20, 500.0)


def moved(agents: int = 20, **changes: float) -> np.ndarray:
    """500 for every agent, except `a0=...`."""
    rewards = np.full(agents, 500.0)
    for name, reward in changes.items():
        rewards[int(name[1:])] = reward
    return rewards


@pytest.mark.parametrize("agents", [4, 8, 20])
def test_the_same_rewards_are_the_same_behaviour_whatever_the_number_of_agents(agents: int) -> None:
    same = compare_behaviour(moved(agents), moved(agents), Margins())
    assert (same.behaviour, same.within, same.newly_collapsed) == (Behaviour.ACCEPTED, True, 0.0)


def test_a_loss_of_every_agent_is_shown_on_either_side_of_the_margin() -> None:
    assert compare_behaviour(HEALTHY, HEALTHY * 0.97, Margins()).behaviour is Behaviour.ACCEPTED
    assert compare_behaviour(HEALTHY, HEALTHY * 0.92, Margins()).behaviour is Behaviour.REJECTED
    assert compare_behaviour(HEALTHY, HEALTHY * 1.08, Margins()).behaviour is Behaviour.REJECTED
    assert compare_behaviour(HEALTHY, HEALTHY * 0.92, Margins(mean=0.1)).behaviour is Behaviour.ACCEPTED


def test_negative_rewards_have_margins_too() -> None:
    assert compare_behaviour(-HEALTHY, -HEALTHY * 1.03, Margins()).behaviour is Behaviour.ACCEPTED
    assert compare_behaviour(-HEALTHY, -HEALTHY * 1.08, Margins()).behaviour is Behaviour.REJECTED


def test_a_collapsed_agent_of_eight_exceeds_ten_points_and_of_twenty_does_not() -> None:
    of_eight = compare_behaviour(moved(8), moved(8, a0=240.0), Margins(mean=0.2))
    assert (of_eight.within, of_eight.behaviour) == (False, Behaviour.UNKNOWN)
    of_twenty = compare_behaviour(moved(), moved(a0=240.0), Margins(mean=0.2))
    assert (of_twenty.within, of_twenty.behaviour) == (True, Behaviour.ACCEPTED)
    assert of_twenty.newly_collapsed == pytest.approx(0.05)


def test_the_share_of_collapsed_agents_counts_as_observed_up_to_the_margin_itself() -> None:
    two = compare_behaviour(HEALTHY, moved(a0=240.0, a1=240.0), Margins(mean=0.2))
    assert two.newly_collapsed == pytest.approx(0.1)
    assert two.within
    three = compare_behaviour(HEALTHY, moved(a0=240.0, a1=240.0, a2=240.0), Margins(mean=0.2))
    assert not three.within


def test_many_collapsed_agents_are_a_rejection_even_where_the_margin_of_the_mean_is_wide() -> None:
    half = np.where(np.arange(20) < 10, 240.0, 500.0)
    assert compare_behaviour(HEALTHY, half, Margins(mean=0.9)).behaviour is Behaviour.REJECTED


def test_agents_that_differ_among_themselves_are_compared_with_themselves() -> None:
    spread = np.linspace(100.0, 900.0, 20)
    assert compare_behaviour(spread, spread - 5.0, Margins()).behaviour is Behaviour.ACCEPTED
    shuffled = compare_behaviour(spread, spread[::-1], Margins())
    assert (shuffled.behaviour, shuffled.within) == (Behaviour.UNKNOWN, True)


def test_what_is_unknown_names_the_agents_and_the_margin_that_would_show_it() -> None:
    noisy = HEALTHY[:8] + np.array([60.0, -60.0] * 4)
    unknown = compare_behaviour(HEALTHY[:8], noisy, Margins())
    assert (unknown.behaviour, unknown.within) == (Behaviour.UNKNOWN, True)
    assert unknown.agents_needed is not None
    assert 8 < unknown.agents_needed < 100
    assert unknown.margin_needed is not None
    wider = Margins(mean=unknown.margin_needed * 1.2)
    assert compare_behaviour(HEALTHY[:8], noisy, wider).behaviour is Behaviour.ACCEPTED
    repeats = -(-unknown.agents_needed // 8) + 1
    more = compare_behaviour(np.tile(HEALTHY[:8], repeats), np.tile(noisy, repeats), Margins())
    assert more.behaviour is Behaviour.ACCEPTED


def test_nothing_is_shown_with_three_agents_or_without_a_scale() -> None:
    few = compare_behaviour(moved(3), moved(3), Margins())
    assert (few.behaviour, few.reason) == (Behaviour.UNKNOWN, "3 agents; at least 4 are needed")
    zero = np.array([1.0, -1.0] * 10)
    near_zero = compare_behaviour(zero, zero, Margins())
    assert near_zero.behaviour is Behaviour.UNKNOWN
    assert "set margins.scale" in near_zero.reason
    assert compare_behaviour(zero, zero, Margins(scale=10.0)).behaviour is Behaviour.ACCEPTED


def test_the_margin_in_units_of_reward_follows_a_scale() -> None:
    assert compare_behaviour(HEALTHY, HEALTHY - 15.0, Margins(scale=100.0)).behaviour is Behaviour.REJECTED
    assert compare_behaviour(HEALTHY, HEALTHY - 15.0, Margins(scale=1000.0)).behaviour is Behaviour.ACCEPTED


def test_at_the_margin_at_most_one_in_twenty_is_accepted() -> None:
    rng = np.random.default_rng(3)
    accepted = 0
    for _ in range(300):
        first = 500 + rng.normal(0, 20, 8)
        second = 475 + rng.normal(0, 20, 8)
        accepted += compare_behaviour(first, second, Margins()).behaviour is Behaviour.ACCEPTED
    assert accepted <= 300 * 0.05 + 2 * np.sqrt(300 * 0.05 * 0.95)


def test_populations_that_are_not_pairs_are_refused() -> None:
    with pytest.raises(InputError, match="20 healthy agents but 19"):
        compare_behaviour(HEALTHY, HEALTHY[1:], Margins())
