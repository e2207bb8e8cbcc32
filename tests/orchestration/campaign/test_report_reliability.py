"""The report's interquartile means, probabilities of improvement and performance profiles follow from the rewards."""

from __future__ import annotations

import dataclasses

import pytest

from mutations.reliability import interquartile_mean, performance_profile, probability_of_improvement
from orchestration.campaign.report.profile_figure import performance_profiles
from orchestration.campaign.report.reliability import (
    profiles_table,
    reliability_of,
    reliability_table,
    reliability_views,
)
from orchestration.campaign.report.report import page_html
from orchestration.campaign.result import CampaignResult


def _with_rewards(result: CampaignResult, mutant: str, rewards: tuple[float, ...]) -> CampaignResult:
    changed = [
        dataclasses.replace(each, rewards=rewards, seeds=tuple(range(len(rewards)))) if each.mutant == mutant else each
        for each in result.populations
    ]
    return dataclasses.replace(result, populations=tuple(changed))


def test_table_follows_from_the_rewards(campaign_result: CampaignResult) -> None:
    rows = {row["mutant"]: row for row in reliability_table(campaign_result).rows}
    assert list(rows) == [population.mutant for population in campaign_result.populations]
    healthy, mutant = campaign_result.populations[:2]
    mean = interquartile_mean(mutant.rewards)
    improvement = probability_of_improvement(healthy.rewards, mutant.rewards)
    row = rows["NDF"]
    assert (row["iqm"], row["iqm_low"], row["iqm_high"]) == (mean.value, mean.low, mean.high)
    assert (row["improvement"], row["improvement_low"]) == (improvement.value, improvement.low)
    assert rows["Healthy"]["improvement"] is None
    assert rows["NR"]["agents"] == 7


def test_population_without_agents_is_listed_without_numbers(campaign_result: CampaignResult) -> None:
    row = next(row for row in reliability_table(campaign_result).rows if row["mutant"] == "MTS-RN_1.0")
    assert (row["agents"], row["iqm"], row["improvement"]) == (0, None, None)
    view = next(view for view in reliability_views(campaign_result) if view["mutant"] == "MTS-RN_1.0")
    assert (view["iqm"], view["iqm_interval"], view["bar"]) == ("–", "", "")


def test_seed_is_that_of_the_campaigns_statistics(campaign_result: CampaignResult) -> None:
    other = dataclasses.replace(campaign_result, spec={**campaign_result.spec, "seed": 5})
    assert reliability_of(campaign_result) == reliability_of(campaign_result)
    first, second = ([row.interquartile_mean for row in reliability_of(result)] for result in (campaign_result, other))
    assert first != second
    assert second[1] == interquartile_mean(campaign_result.populations[1].rewards, 5)


def test_profiles_step_where_agents_are(campaign_result: CampaignResult) -> None:
    mutant = campaign_result.populations[1]
    rows = [row for row in profiles_table(campaign_result).rows if row["mutant"] == "NDF"]
    thresholds = sorted(set(mutant.rewards))
    assert [row["threshold"] for row in rows] == thresholds
    expected = performance_profile(mutant.rewards, thresholds)
    assert tuple(row["share"] for row in rows) == expected.shares
    assert tuple(row["high"] for row in rows) == expected.high
    assert rows[-1]["share"] == 0.0


def test_page_has_table_and_picture(campaign_result: CampaignResult) -> None:
    html = page_html(campaign_result)
    assert '<h2 id="reliability">' in html
    assert "Performance profiles: share of agents above a reward, 9 mutants against healthy agents." in html
    for view in reliability_views(campaign_result):
        assert f'{view["iqm"]}</td><td class="num">{view["iqm_interval"]}</td>' in html


def test_dead_agents_are_below_all_rewards(campaign_result: CampaignResult) -> None:
    living = _with_rewards(campaign_result, "NDF", (400.0,))
    changed = [
        dataclasses.replace(each, dead=(1, 2, 3)) if each.mutant == "NDF" else each for each in living.populations
    ]
    dead = dataclasses.replace(living, populations=tuple(changed))
    row = next(row for row in reliability_table(dead).rows if row["mutant"] == "NDF")
    assert (row["agents"], row["iqm"]) == (4, "-inf")
    assert next(row for row in profiles_table(dead).rows if row["mutant"] == "NDF")["share"] == 0.0
    assert next(view for view in reliability_views(dead) if view["mutant"] == "NDF")["iqm"] == "−∞"
    assert performance_profiles(dead) is not None


def test_campaign_without_mutants_shows_the_healthy_profile(stopped_result: CampaignResult) -> None:
    assert "0 mutants" in str(performance_profiles(stopped_result))
    assert performance_profiles(dataclasses.replace(stopped_result, populations=())) is None


@pytest.mark.parametrize("rewards", [(500.0,) * 8, (3.0,)])
def test_constant_and_single_populations_are_drawn(campaign_result: CampaignResult, rewards: tuple[float, ...]) -> None:
    alone = _with_rewards(
        dataclasses.replace(campaign_result, populations=campaign_result.populations[:1]), "Healthy", rewards
    )
    assert performance_profiles(alone) is not None
