"""Mutants whose agents are bit for bit those of another mutant: named, and counted once."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from mutations.killing.kill_test import Outcome
from orchestration.campaign import result_facts as facts
from orchestration.campaign.calibration import Costs
from orchestration.campaign.context import RunContext
from orchestration.campaign.pipeline import run_steps
from orchestration.campaign.plan import plan_campaign
from orchestration.campaign.population import Populations
from orchestration.campaign.report.report import page_html
from orchestration.campaign.report.summary import headline
from orchestration.campaign.report.tables import TABLES
from orchestration.campaign.result import CampaignResult
from orchestration.campaign.spec.campaign import ResolvedCampaign
from orchestration.campaign.spec.loading import parse_spec
from orchestration.campaign.spec.resolving import resolve
from orchestration.campaign.steps.comparison import compare_with_published
from orchestration.campaign.steps.sanity import distinct_mutants
from orchestration.campaign.tracking.tracked_run import nested_runs
from orchestration.execution.executors.inline import InlineExecutor
from orchestration.execution.results import ResultStore
from orchestration.execution.tasks import TaskFunctions
from orchestration.runtime.progress import Progress
from tests.fakes.fake_engine import use_fake_engine

FUNCTIONS = TaskFunctions(evaluate="fake_campaign:evaluate")
NOTE = "M_1.0 and Ra_1.0 are the same agents bit for bit; counted once as M_1.0."


def population(name: str, digests: dict[int, str], dead: tuple[int, ...] = ()) -> Any:
    records = {seed: SimpleNamespace(weights_digest=text, dead=seed in dead) for seed, text in digests.items()}
    return SimpleNamespace(id=name, records=lambda: records)


def test_equal_weights_of_all_seeds_are_one_mutant() -> None:
    first, second = population("M", {0: "a", 1: "b"}), population("Ra", {1: "b", 0: "a"})
    other, third = population("R", {0: "a", 1: "c"}), population("X", {0: "a", 1: "b"})
    counted, merged, notes = distinct_mutants([first, other, second, third])
    assert counted == [first, other]
    assert merged == {"Ra": "M", "X": "M"}
    assert notes == ["M, Ra and X are the same agents bit for bit; counted once as M."]


@pytest.mark.parametrize("digests", [{0: "a", 1: "x"}, {0: "b", 1: "a"}, {0: "a"}, {0: "a", 1: "b", 2: "c"}], ids=str)
def test_one_other_weight_or_seed_is_another_mutant(digests: dict[int, str]) -> None:
    first, second = population("M", {0: "a", 1: "b"}), population("Ra", digests)
    assert distinct_mutants([first, second]) == ([first, second], {}, [])


def test_dead_agents_are_no_evidence() -> None:
    everybody = [population(name, {0: "nan", 1: "nan"}, (0, 1)) for name in ("ILF", "MSU")]
    assert distinct_mutants(everybody) == (everybody, {}, [])
    some = [population(name, {0: "a", 1: "nan"}, (1,)) for name in ("ILF", "MSU")]
    assert distinct_mutants(some)[1] == {"MSU": "ILF"}
    nobody = [population(name, {}) for name in ("ILF", "MSU")]
    assert distinct_mutants(nobody) == (nobody, {}, [])


def test_a_mutant_that_is_known_counts_first() -> None:
    known, new = population("MSU", {0: "a"}), population("MSU-R", {0: "a"})
    assert distinct_mutants([new], [known])[:2] == ([], {"MSU-R": "MSU"})


# -- in a campaign --


def fakes(patch: pytest.MonkeyPatch) -> None:
    use_fake_engine(patch)
    patch.setattr(os, "fsync", lambda descriptor: None)


def campaign(*operators: str, **changes: Any) -> ResolvedCampaign:
    fields: dict[str, Any] = {
        "environment": "CartPole-v1",
        "algorithm": "ppo",
        "seeds": 10,
        "steps": 20,
        "operators": list(operators),
        "engine": "fake",
        "kill_tests": ["paired_permutation", "average_ratio"],
        "boundary": {"precision": {"cart_mass": 4, "pole_mass": 4}},
        "higher_order": {"mutants": [f"{name}-NDF" for name in ("M_1.0", "Ra_1.0") if name in operators]},
    }
    return resolve(parse_spec(fields | changes))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ResultStore]:
    with pytest.MonkeyPatch.context() as patch:
        fakes(patch)
        yield ResultStore(str(tmp_path_factory.mktemp("store")))


def run(store: ResultStore, *operators: str, **changes: Any) -> CampaignResult:
    context = RunContext(InlineExecutor(FUNCTIONS), store, Progress("silent"))
    return run_steps(context, Populations(campaign(*operators, **changes), store))


@pytest.fixture(scope="module")
def merged(store: ResultStore) -> CampaignResult:
    return run(store, "NDF", "NR", "M_1.0", "Ra_1.0")


def test_it_is_noted_and_has_no_verdicts_of_its_own(merged: CampaignResult) -> None:
    assert NOTE in merged.notes
    assert {row.mutant: row.same_agents_as for row in merged.populations if row.same_agents_as}["Ra_1.0"] == "M_1.0"
    judged = {entry.mutant for entry in (*merged.verdicts, *merged.kill_matrix)}
    assert "M_1.0" in judged and "Ra_1.0" not in judged


def test_everything_is_as_without_it(store: ResultStore, merged: CampaignResult) -> None:
    """Score, kill matrix and the family of corrections are those of the campaign that never had it."""
    alone = run(store, "NDF", "NR", "M_1.0")
    assert alone.scores == merged.scores and alone.kill_matrix == merged.kill_matrix
    assert alone.error_control == merged.error_control
    score = next(score for score in merged.scores if score.test == "paired_permutation")
    assert score.killed == ("NDF", "NR") and score.mutation_score == pytest.approx(2 / 3)


def test_higher_order_mutants_with_it_have_their_properties(merged: CampaignResult) -> None:
    names = {row.mutant for row in merged.populations if row.order == 2}
    first, second = sorted(names & {"M_1.0-NDF", "Ra_1.0-NDF", "NDF-M_1.0", "NDF-Ra_1.0"})
    assert facts.merged_mutants(merged)[second] == first
    rows = {row.mutant: row for row in merged.higher_order if row.test == "paired_permutation"}
    assert (rows[first].property_published, rows[first].property_strict) == (
        rows[second].property_published,
        rows[second].property_strict,
    )
    assert facts.killing_labels(merged, rows[first]) == facts.killing_labels(merged, rows[second])


def test_the_report_shows_what_was_merged(merged: CampaignResult) -> None:
    page = page_html(merged)
    assert NOTE in page and "(the agents of M_1.0, counted once)" in page
    assert "Ra_1.0 (as M_1.0)" in headline(merged)
    rows = {row["mutant"]: row["same_agents_as"] for row in TABLES["populations"](merged).rows}
    assert rows["Ra_1.0"] == "M_1.0" and rows["M_1.0"] is None
    tracked = next(run for run in nested_runs(merged) if run.name == "Ra_1.0")
    assert ("same_agents_as", "M_1.0") in tracked.tags
    assert facts.initial_outcomes(merged)["Ra_1.0"] is facts.initial_outcomes(merged)["M_1.0"]


def test_the_published_figure_is_compared_with_the_verdict_of_both(merged: CampaignResult) -> None:
    entry = next(row for row in merged.verdicts if row.mutant == "M_1.0")
    verdict = dataclasses.replace(entry.verdict, test="reward_distribution", outcome=Outcome.KILLED)
    compared = compare_with_published(
        "CartPole-v1", "ppo", [dataclasses.replace(entry, verdict=verdict)], merged.populations
    )
    ours = {(row["mutant"], row["test"]): row["ours"] for row in compared}
    assert ours["Ra_1.0", "reward_distribution"] == ours["M_1.0", "reward_distribution"] == "killed"


def test_the_plan_of_a_finished_campaign_has_nothing_left(store: ResultStore, merged: CampaignResult) -> None:
    planned = plan_campaign(campaign("NDF", "NR", "M_1.0", "Ra_1.0"), store, Costs(1.0, 1.0, "measured"), cores=1)
    assert planned.cpu_hours == 0.0


ALONE: dict[str, Any] = {"boundary": {"enabled": False}, "higher_order": {"enabled": False}}


def test_with_looks_it_gets_as_many_agents_as_the_counted_one(store: ResultStore) -> None:
    looks = {"seeds": {"looks": [6, 8, 12]}, "kill_tests": ["margin_permutation"], **ALONE}
    both, without = run(store, "NR", "M_1.0", "Ra_1.0", **looks), run(store, "NR", "M_1.0", **looks)
    agents = {row.mutant: len(row.seeds) for row in both.populations}
    assert agents["Ra_1.0"] == agents["M_1.0"]
    assert agents == {**{row.mutant: len(row.seeds) for row in without.populations}, "Ra_1.0": agents["M_1.0"]}
    assert NOTE in both.notes and both.verdicts == without.verdicts


def test_a_swept_magnitude_has_the_verdict_of_both(store: ResultStore) -> None:
    sweep = {"magnitudes": {"operators": ["M", "Ra"], "values": [0.5, 0.75, 1.0]}, **ALONE}
    result = run(store, "NR", "M_1.0", **sweep)
    assert facts.merged_mutants(result) == {f"Ra_{value}": f"M_{value}" for value in (0.5, 0.75, 1.0)}
    first, second = result.magnitude_curves
    assert [point.verdicts for point in first.points] == [point.verdicts for point in second.points]
    assert all(point.verdicts for point in first.points)
