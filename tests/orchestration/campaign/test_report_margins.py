"""What report, tables, summary and tracker show of the margin test: differences, margins, better apart, dead agents."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from mutations.killing.kill_test import Direction, KillVerdict, Outcome, killed_by_crash
from mutations.killing.margin_permutation import MarginPermutation
from mutations.killing.paired_permutation import PairedPermutation
from orchestration.campaign import result_facts as facts
from orchestration.campaign.report.report import write_report
from orchestration.campaign.report.summary import headline, summary_text
from orchestration.campaign.report.tables import TABLES
from orchestration.campaign.result import CampaignResult, MutantVerdict, PopulationResult
from orchestration.campaign.tracking.tracked_run import nested_runs

PERFECT = np.full(20, 500.0)
REWARDS = {
    "NDF": np.where(np.arange(20) < 8, 10.0, 500.0),
    "MTS": np.where(np.arange(20) < 2, 10.0, 500.0),
    "R_1.0": PERFECT,
    "PAC_ReLU": PERFECT + 100.0,
    "NR": np.tile([500.0, 200.0, 800.0, 510.0], 5),
}


def judged(mutant: str) -> KillVerdict:
    healthy = 400.0 + np.arange(20.0) * 10 if mutant == "NR" else PERFECT
    return MarginPermutation().judge(healthy, REWARDS[mutant], np.random.default_rng(0))


@pytest.fixture
def result(campaign_result: CampaignResult) -> CampaignResult:
    """The hand-made campaign, judged by the margin test in two environments; ILF died, two agents of MTS too."""
    points = [environment.point for environment in campaign_result.boundaries[0].environments[:2]]
    verdicts = {name: judged(name) for name in REWARDS} | {"ILF": killed_by_crash("margin_permutation", 20, 8)}
    cells = [MutantVerdict(name, point, verdict) for point in points for name, verdict in verdicts.items()]

    def with_dead(population: PopulationResult) -> PopulationResult:
        if population.mutant == "ILF":
            return dataclasses.replace(population, seeds=(), rewards=(), curve=None, dead=tuple(range(8)))
        return dataclasses.replace(population, dead=(20, 21)) if population.mutant == "MTS" else population

    return dataclasses.replace(
        campaign_result,
        verdicts=tuple(cell for cell in cells if cell.environment == points[0]),
        kill_matrix=tuple(cells),
        boundaries=(),
        higher_order=(),
        scores=(),
        populations=tuple(map(with_dead, campaign_result.populations)),
    )


def rows(result: CampaignResult, table: str) -> dict[str, dict[str, str]]:
    return {row["mutant"]: row for row in csv.DictReader(io.StringIO(TABLES[table](result).csv_text()))}


def printed(result: CampaignResult) -> str:
    text = io.StringIO()
    Console(file=text, width=100).print(summary_text(result))
    return text.getvalue()


def test_the_cases_are_those_that_the_tests_need() -> None:
    directions = {name: (judged(name).outcome, judged(name).direction) for name in REWARDS}
    assert directions == {
        "NDF": (Outcome.KILLED, Direction.WORSE),
        "MTS": (Outcome.INCONCLUSIVE, Direction.WORSE),
        "R_1.0": (Outcome.INCONCLUSIVE, Direction.EQUAL),
        "PAC_ReLU": (Outcome.KILLED, Direction.BETTER),
        "NR": (Outcome.KILLED, Direction.LESS_RELIABLE),
    }


def test_tables_have_every_number_and_say_what_counts(result: CampaignResult) -> None:
    verdicts = rows(result, "verdicts")
    ndf = verdicts["NDF"]
    assert (float(ndf["difference"]), float(ndf["margin"])) == (-196.0, 25.0)
    assert float(ndf["difference_low"]) < -196.0 < float(ndf["difference_high"])
    assert (float(ndf["collapsed_healthy"]), float(ndf["collapsed_mutant"])) == (0.0, 0.4)
    assert verdicts["R_1.0"]["agents_for_equivalence"] == "59"
    assert {name: row["counts_as_kill"] for name, row in verdicts.items() if row["outcome"] == "killed"} == {
        "NDF": "True",
        "PAC_ReLU": "False",
        "NR": "True",
        "ILF": "True",
    }
    kills = rows(result, "kill_matrix")
    assert {name: row["killed"] for name, row in kills.items()} == {
        "NDF": "killed",
        "MTS": "inconclusive",
        "R_1.0": "inconclusive",
        "PAC_ReLU": "survived",
        "NR": "killed",
        "ILF": "killed",
    }
    assert rows(result, "populations")["ILF"]["dead"] == "8"
    assert rows(result, "rewards")["ILF"]["mean_reward"] == "-inf"


def test_better_is_a_kill_only_for_tests_that_count_it() -> None:
    better = PairedPermutation().judge(PERFECT, PERFECT + 100.0, np.random.default_rng(0))
    assert facts.is_kill(better)
    assert not facts.is_kill(judged("PAC_ReLU"))
    assert facts.is_better_apart(judged("PAC_ReLU"))
    unknown = dataclasses.replace(better, test="a.package.of.elsewhere:Test")
    assert facts.is_kill(unknown)


def test_headline(result: CampaignResult) -> None:
    text = headline(result)
    assert "In the initial environment 3 of 6 live mutants are killed by margin_permutation." in text
    assert "Better than the healthy agents, not a kill: PAC_ReLU." in text
    assert "Killed because less reliable: NR." in text
    assert "Inconclusive: MTS, R_1.0 (about 59 to " in text
    assert "agents per population would settle them)." in text
    assert "10 agents died (MTS, ILF)." in text


def test_summary_fits_a_terminal_and_shows_difference_and_margin(result: CampaignResult) -> None:
    text = printed(result)
    assert max(map(len, text.splitlines())) <= 100
    for words in ("difference [95 %]", "margin", "−196 [−", "better ↑"):
        assert words in text


def test_page(result: CampaignResult, tmp_path: Path) -> None:
    page = write_report(result, tmp_path / "report").read_text(encoding="utf-8")
    for words in (
        "difference / healthy mean",
        "of means [95 %]",
        "mutant, healthy [95 %]",
        "kill, survival",
        "40 %, 0 % [",
    ):
        assert words in page
    assert 'class="chip better"' in page
    assert "killed, less reliable" in page
    assert "ILF: dead agents (seed 0–7)." in page
    assert "all agents died" in page


def test_tracked_numbers(result: CampaignResult) -> None:
    runs = {run.name: {m.key: m.value for m in run.measurements} for run in nested_runs(result)}
    assert runs["NDF"]["margin_permutation/difference"] == -196.0
    assert runs["NDF"]["margin_permutation/margin"] == 25.0
    assert runs["PAC_ReLU"]["margin_permutation/killed"] == 0.0
    assert runs["PAC_ReLU"]["margin_permutation/killed_environments"] == 0.0
    assert (runs["evaluate"]["margin_permutation/killed"], runs["evaluate"]["margin_permutation/better"]) == (3.0, 1.0)
    assert (runs["ILF"]["dead_agents"], runs["train"]["dead_agents"]) == (8.0, 10.0)
