"""The verdict in one paragraph and the terminal summary."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from mutations.killing.kill_test import Outcome
from orchestration.campaign.report.formatting import number, seeds_text
from orchestration.campaign.report.summary import headline, summary_text
from orchestration.campaign.result import CampaignResult


def printed(result: CampaignResult, width: int = 100) -> str:
    buffer = io.StringIO()
    Console(file=buffer, width=width, color_system=None).print(summary_text(result))
    return buffer.getvalue()


def test_headline_counts_live_mutants_and_keeps_outcomes_apart(campaign_result: CampaignResult) -> None:
    text = headline(campaign_result)
    assert "4 of 7 live mutants are killed by paired_permutation" in text
    assert "Inconclusive: MTS, RN_1.0 (not significant" in text
    assert "Survived: R_1.0." in text
    assert "better than the healthy agents: PAC_ReLU" in text
    assert "mutation score of 0.71" in text
    assert "E0, E1 alone give the same kills" in text
    assert "Not live, so not counted: POC_Adam" in text
    assert "2 agents failed" in text


def test_headline_says_why_a_campaign_stopped(stopped_result: CampaignResult) -> None:
    assert headline(stopped_result).endswith(f"{stopped_result.stop_reason}.")
    assert "no reason was recorded" in headline(dataclasses.replace(stopped_result, stop_reason=""))


def test_headline_without_a_test_that_decides(campaign_result: CampaignResult) -> None:
    ratios = tuple(entry for entry in campaign_result.verdicts if entry.verdict.outcome is None)
    text = headline(dataclasses.replace(campaign_result, verdicts=ratios))
    assert text == "This campaign has no verdicts: no kill test with outcomes was run."


def test_a_dead_mutant_counts_in_no_part(campaign_result: CampaignResult) -> None:
    dead = tuple(
        dataclasses.replace(population, identical_seeds=population.seeds)
        if population.mutant == "R_1.0"
        else population
        for population in campaign_result.populations
    )
    text = headline(dataclasses.replace(campaign_result, populations=dead))
    assert "4 of 6 live mutants" in text
    assert "Survived" not in text


def test_summary_fits_a_hundred_columns_and_holds_every_part(campaign_result: CampaignResult) -> None:
    text = printed(campaign_result)
    assert max(len(line) for line in text.splitlines()) <= 100
    for part in ("Verdicts in the initial", "Test environments", "Mutation score", "Higher-order mutants", "PAC_ReLU"):
        assert part in text
    assert "killed ↑" in text
    for line in text.splitlines():
        if line.startswith("E0 initial"):
            assert "4 of 7" in line
            break
    else:
        pytest.fail("no row for E0")


def test_names_are_not_taken_for_markup(campaign_result: CampaignResult) -> None:
    odd = tuple(
        dataclasses.replace(entry, mutant="R[red]x[/red]") if entry.mutant == "R_1.0" else entry
        for entry in campaign_result.verdicts
    )
    populations = tuple(
        dataclasses.replace(entry, mutant="R[red]x[/red]") if entry.mutant == "R_1.0" else entry
        for entry in campaign_result.populations
    )
    text = printed(dataclasses.replace(campaign_result, verdicts=odd, populations=populations, notes=("[bold]n",)))
    assert text.count("R[red]x[/red]") >= 2
    assert "[bold]n" in text


def test_summary_of_a_stopped_campaign_shows_its_populations(stopped_result: CampaignResult) -> None:
    text = printed(stopped_result)
    assert "stopped before its verdicts" in text
    assert "Healthy" in text
    assert "Verdicts in" not in text


def test_inconclusive_is_never_counted_as_survived(campaign_result: CampaignResult) -> None:
    verdicts = tuple(
        dataclasses.replace(entry, verdict=dataclasses.replace(entry.verdict, outcome=Outcome.INCONCLUSIVE))
        for entry in campaign_result.verdicts
    )
    text = headline(dataclasses.replace(campaign_result, verdicts=verdicts))
    assert "0 of 7 live mutants" in text
    assert "Survived" not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (0.0123, "0.0123"),
        (-4.25, "−4.25"),
        (1234.5, "1,234"),
        (100.0, "100"),
        (2e7, "2.00e+07"),
    ],
)
def test_numbers_are_short(value: float | None, text: str) -> None:
    assert number(value) == text


def test_seeds_are_folded() -> None:
    assert seeds_text((0, 1, 2, 5, 7, 8)) == "0–2, 5, 7–8"


def test_the_summary_names_the_steps_of_the_best_checkpoints(campaign_result: CampaignResult) -> None:
    first, second, *others = campaign_result.populations
    chosen = (
        dataclasses.replace(first, selected_steps=(200_000,) * 8),
        dataclasses.replace(second, selected_steps=(10_000, 30_000, 20_000, 40_000)),
    )
    text = printed(dataclasses.replace(campaign_result, populations=(*chosen, *others)))
    expected = "Best checkpoints at training step: Healthy 200,000; NDF 10,000 to 40,000 (median 25,000)."
    assert expected in " ".join(text.split())
    assert "Best checkpoints" not in printed(campaign_result)
