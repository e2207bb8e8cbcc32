"""docs/paper.md against the tables in results/paper, and these against the published figures and Proctor's tests."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.paper_tables import PAIRS, boundaries, compared, comparison, edges, judged_as, total
from mutations.killing.registry import kill_test
from mutations.published import published_verdicts
from orchestration.campaign.steps.comparison import PUBLISHED_MARK, agreement, agrees

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results" / "paper"
CAMPAIGNS = (*PAIRS, "cartpole_ppo_published")
PAGE = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")


def rewards_of(campaign: str) -> dict[str, pd.Series]:
    table = pd.read_csv(RESULTS / campaign / "rewards.csv").sort_values("seed")
    return {str(mutant): rows.set_index("seed")["mean_reward"] for mutant, rows in table.groupby("mutant")}


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_page_has_the_tables(campaign: str) -> None:
    assert comparison(RESULTS / campaign) in PAGE
    assert boundaries(RESULTS / campaign) in PAGE
    assert edges(RESULTS / campaign) in PAGE


def test_page_has_the_total() -> None:
    text = total(RESULTS / pair for pair in PAIRS)
    assert text.startswith("71 of 102 cases (`average_ratio` within .05: 16 of 34;")
    assert text.removesuffix(")") in PAGE


def test_page_has_the_ratios_that_agree() -> None:
    counts = {pair: agreement(compared(RESULTS / pair))["average_ratio"] for pair in PAIRS}
    ppo, a2c, dqn = (counts[pair] for pair in PAIRS)
    assert a2c == (0, 12)
    sentence = (
        f"agrees for {ppo[0]} of {ppo[1]} mutants of PPO, {dqn[0]} of {dqn[1]} of DQN and none of {a2c[1]} of A2C"
    )
    differing = [row for pair in PAIRS for row in compared(RESULTS / pair) if row["test"] == "average_ratio"]
    differing = [row for row in differing if not agrees(row["published"], row["ours"])]
    unclear = sum(row["fisher_p"] >= 0.05 for row in differing)
    flat = " ".join(PAGE.split())
    assert sentence in flat
    assert f"Of the {len(differing)} that differ, {unclear} are not distinguishable at n = 20." in flat


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_comparison_follows_from_rewards_and_published_figures(campaign: str) -> None:
    algorithm = campaign.split("_")[1]
    rewards, published = rewards_of(campaign), published_verdicts("CartPole-v1", algorithm)
    stored = pd.read_csv(RESULTS / campaign / "verdicts.csv").set_index(["test", "mutant"])["outcome"]
    table = pd.read_csv(RESULTS / campaign / "published_comparison.csv", dtype=str)
    populations = pd.read_csv(RESULTS / campaign / "populations.csv").set_index("mutant")
    rows = compared(RESULTS / campaign)
    for row, agree in zip(rows, table["agree"], strict=True):
        ratio, reward, distance = published[row["mutant"].removesuffix(PUBLISHED_MARK)]
        mutant, healthy = rewards[row["mutant"]], rewards["Healthy"]
        figures = {
            "average_ratio": (ratio, pytest.approx(float((mutant / healthy < 0.9).mean()))),
            "reward_distribution": (reward, _outcome("reward_distribution", healthy, mutant)),
            "distance_distribution": (distance, stored["distance_distribution", judged_as(row["mutant"], populations)]),
        }
        assert (row["published"], row["ours"]) == figures[row["test"]], row
        assert agree == str(agrees(row["published"], row["ours"])), row
    assert len(rows) == 3 * len(published)


def _outcome(test: str, healthy: pd.Series, mutant: pd.Series) -> str | None:
    verdict = kill_test(test).judge(healthy.to_numpy(), mutant.to_numpy(), np.random.default_rng(0))
    return None if verdict.outcome is None else str(verdict.outcome)


def test_page_has_the_healthy_means() -> None:
    means = [round(rewards_of(pair)["Healthy"].mean()) for pair in PAIRS]
    assert [int(mean) for mean in re.findall(r"Healthy agents: (\d+) here", PAGE)] == means
    assert f"{(rewards_of('cartpole_a2c')['Healthy'] < 10).sum()} of 20 end collapsed" in PAGE


def test_page_has_the_lunarlander_means() -> None:
    table = pd.read_csv(RESULTS / "lunarlander_ppo_reduced" / "populations.csv")
    for mutant, mean in zip(table["mutant"], table["mean_reward"], strict=True):
        assert f"| {mutant.lower() if mutant == 'Healthy' else mutant} | {mean:.0f} |" in PAGE


def test_no_other_page_has_another_total() -> None:
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    totals = {match for page in pages for match in re.findall(r"\b\d+ of 102\b", page.read_text(encoding="utf-8"))}
    assert totals == {"71 of 102"}
