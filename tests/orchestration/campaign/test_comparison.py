"""The side-by-side with the published figures."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

from mutations.killing.kill_test import Outcome
from mutations.published import published_boundaries, published_verdicts
from orchestration.campaign.report.tables import published_comparison
from orchestration.campaign.result import BoundaryEnvironment, CampaignResult
from orchestration.campaign.steps.comparison import (
    agreement,
    agrees,
    compare_boundaries,
    compare_with_published,
)


def _rows(result: CampaignResult) -> dict[tuple[str, str], dict[str, object]]:
    rows = compare_with_published(result.environment, result.algorithm, result.verdicts, result.populations)
    return {(row["mutant"], row["test"]): row for row in rows}


def test_rows_are_those_of_mutants_that_both_have(campaign_result: CampaignResult) -> None:
    rows = _rows(campaign_result)
    published = published_verdicts("CartPole-v1", "ppo")
    shared = [population.mutant for population in campaign_result.populations if population.mutant in published]
    assert [mutant for mutant, test in rows if test == "average_ratio"] == shared
    assert len(rows) == 3 * len(shared)


def test_outcomes_agree_only_when_equal(campaign_result: CampaignResult) -> None:
    rows = _rows(campaign_result)
    assert rows["NDF", "reward_distribution"] == {
        "mutant": "NDF", "test": "reward_distribution", "published": "killed", "ours": "killed", "agree": True,
    }  # fmt: skip
    assert rows["RN_1.0", "reward_distribution"]["agree"] is True
    assert rows["RN_1.0", "distance_distribution"]["published"] == "killed"
    assert rows["RN_1.0", "distance_distribution"]["agree"] is False


@pytest.mark.parametrize(
    ("published", "ours", "expected"),
    [
        (0.65, 0.6, True),
        (0.6, 0.65, True),
        (0.95, 1.0, True),
        (0.65, 0.5999, False),
        (0.2, 0.4, False),
        (0.9, 0.75, False),
        (0.05, None, None),
        ("killed", "killed", True),
        ("killed", "inconclusive", False),
        ("killed", None, None),
    ],
)
def test_figures_agree_within_the_tolerance_or_when_equal(
    published: float | str, ours: float | str | None, expected: bool | None
) -> None:
    assert agrees(published, ours) is expected


def test_shares_that_fishers_test_cannot_distinguish_do_not_agree(campaign_result: CampaignResult) -> None:
    """.65 of 20 published agents and .375 of 8 have p = .23; they are .275 apart."""
    healthy, mutant = campaign_result.populations[:2]
    pair = (
        dataclasses.replace(healthy, rewards=(100.0,) * 8),
        dataclasses.replace(mutant, rewards=(100.0,) * 5 + (10.0,) * 3),
    )
    row = compare_with_published("CartPole-v1", "ppo", (), pair)[0]
    assert (row["published"], row["ours"], row["agree"]) == (0.65, 0.375, False)
    assert row["fisher_p"] == pytest.approx(stats.fisher_exact(np.array([[13, 7], [3, 5]])).pvalue)
    assert row["fisher_p"] > 0.05


def test_average_ratios_of_a_campaign(campaign_result: CampaignResult) -> None:
    rows = _rows(campaign_result)
    near, far = rows["NDF", "average_ratio"], rows["R_1.0", "average_ratio"]
    assert (near["published"], near["ours"], near["agree"]) == (0.65, 0.625, True)
    assert (far["published"], far["ours"], far["agree"]) == (0.0, 0.625, False)
    assert far["fisher_p"] < 0.05


def test_average_ratio_is_computed_from_same_seed_pairs_when_the_test_was_not_run(
    campaign_result: CampaignResult,
) -> None:
    healthy, mutant = campaign_result.populations[:2]
    pair = (
        dataclasses.replace(healthy, seeds=(0, 1, 2, 3), rewards=(100.0, 100.0, 100.0, 100.0)),
        dataclasses.replace(mutant, seeds=(1, 2, 3, 9), rewards=(50.0, 90.0, 89.0, 1.0)),
    )
    row = compare_with_published("CartPole-v1", "ppo", (), pair)[0]
    assert row["ours"] == 2 / 3
    assert compare_with_published("CartPole-v1", "ppo", (), pair)[1]["ours"] is None


def test_a_published_variant_is_compared_with_the_published_figure(campaign_result: CampaignResult) -> None:
    mutant = dataclasses.replace(campaign_result.populations[1], mutant="NDF[published]")
    rows = compare_with_published("CartPole-v1", "ppo", (), (campaign_result.populations[0], mutant))
    assert {row["mutant"] for row in rows} == {"NDF[published]"}


def test_pairs_that_were_not_published_give_nothing(campaign_result: CampaignResult) -> None:
    assert compare_with_published("Acrobot-v1", "ppo", campaign_result.verdicts, campaign_result.populations) == ()
    assert compare_boundaries(dataclasses.replace(campaign_result, algorithm="sac")) == ()


def test_boundaries_stand_side_by_side_by_what_was_moved(campaign_result: CampaignResult) -> None:
    rows = compare_boundaries(campaign_result)
    by_move = {(row["moved"], row["parameter"]): (row["published"], row["ours"]) for row in rows}
    points = published_boundaries("CartPole-v1", "ppo")["reward_distribution"].points
    assert {row["kill_test"] for row in rows} == {"reward_distribution"}
    assert by_move["cart_mass", "cart_mass"] == (points[1][0], 6.64)
    assert by_move["pole_mass", "pole_mass"] == (points[2][1], 10.36)
    assert by_move["cart_mass and pole_mass", "pole_mass"] == (points[3][1], 5.4)


def test_boundaries_from_another_start_are_not_compared(campaign_result: CampaignResult) -> None:
    mine = campaign_result.boundaries[1]
    start = BoundaryEnvironment("initial", (("cart_mass", 2.0), ("pole_mass", 0.1)))
    moved = dataclasses.replace(mine, environments=(start, *mine.environments[1:]))
    assert compare_boundaries(dataclasses.replace(campaign_result, boundaries=(moved,))) == ()


def test_outcomes_are_plain_text_for_files(campaign_result: CampaignResult) -> None:
    assert all(type(row["published"]) in (str, float) for row in _rows(campaign_result).values())
    assert {row["ours"] for row in _rows(campaign_result).values() if isinstance(row["ours"], str)} <= set(
        map(str, Outcome)
    )


def test_agreement_counts_only_what_could_be_compared(campaign_result: CampaignResult) -> None:
    assert agreement(campaign_result.published) == {"average_ratio": (1, 2), "reward_distribution": (1, 1)}
    assert agreement(()) == {}


def test_agreement_follows_the_rule_in_results_that_were_stored_under_another(campaign_result: CampaignResult) -> None:
    rows = [{**row, "agree": True} for row in campaign_result.published]
    assert agreement(rows) == agreement(campaign_result.published)
    stored = dataclasses.replace(campaign_result, published=tuple(rows))
    assert [row["agree"] for row in published_comparison(stored).rows] == [True, True, False, None]
