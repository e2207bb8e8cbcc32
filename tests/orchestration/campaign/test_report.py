"""The report: every number is in the files, the page is complete, escaped, self-contained and reproducible."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from pathlib import Path
from typing import Any

import matplotlib
import pytest

from mutations.kill_table import read_kill_table
from mutations.killing.kill_test import KillVerdict, Outcome
from mutations.killing.registry import power_labels
from orchestration.campaign.report import report, tables
from orchestration.campaign.report.report import page_html, write_report
from orchestration.campaign.result import (
    CampaignResult,
    ErrorControlResult,
    LearningCurve,
)
from tests.orchestration.campaign.report_page import parsed


def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def objects_of(folder: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return rows


def test_writes_the_page_and_every_table_and_leaves_no_other_file(
    campaign_result: CampaignResult, tmp_path: Path
) -> None:
    page = write_report(campaign_result, tmp_path / "new" / "folder")
    expected = {"report.html", *(f"{name}.{ending}" for name in tables.TABLES for ending in ("csv", "json"))}
    assert page == tmp_path / "new" / "folder" / "report.html"
    assert {path.name for path in page.parent.iterdir()} == expected


@pytest.mark.parametrize("name", list(tables.TABLES))
def test_csv_and_json_hold_the_same_rows(name: str, campaign_result: CampaignResult) -> None:
    table = tables.TABLES[name](campaign_result)
    objects = json.loads(table.json_text())
    rows = list(csv.DictReader(io.StringIO(table.csv_text(), newline="")))
    assert len(objects) == len(rows) > 0 or name in ("best_checkpoints", "boundary_edges")  # own tests
    assert objects == [dict(row) for row in table.rows]
    for row, values in zip(rows, objects, strict=True):
        assert list(row) == list(table.columns)
        assert all(row[column] == ("" if value is None else str(value)) for column, value in values.items())


def test_every_verdict_number_is_in_the_files(campaign_result: CampaignResult, tmp_path: Path) -> None:
    write_report(campaign_result, tmp_path)
    for name, entries in (
        ("verdicts", campaign_result.verdicts),
        ("kill_matrix_verdicts", campaign_result.kill_matrix),
    ):
        for row, entry in zip(objects_of(tmp_path, name), entries, strict=True):
            assert row["mutant"] == entry.mutant
            assert (row["power_label"] is None) == (row["power"] is None)
            for field in dataclasses.fields(KillVerdict):
                assert row[field.name] == getattr(entry.verdict, field.name)
            if name == "kill_matrix_verdicts":
                assert {parameter: row[parameter] for parameter, _ in entry.environment} == dict(entry.environment)


def test_kill_tables_are_those_that_classify_reads(campaign_result: CampaignResult, tmp_path: Path) -> None:
    write_report(campaign_result, tmp_path)
    read = {
        (test, mutant, point): outcome
        for name in ("kill_matrix", "higher_order_kills")
        for (_, _, test), matrix in read_kill_table(tmp_path / f"{name}.csv").matrices.items()
        for mutant, killed, unsure in zip(matrix.mutants, matrix.killed, matrix.inconclusive, strict=True)
        for point, outcome in zip(matrix.environments, zip(killed, unsure, strict=True), strict=True)
    }
    expected = {
        (entry.verdict.test, entry.mutant, entry.environment): (
            entry.verdict.outcome is Outcome.KILLED,
            entry.verdict.outcome is Outcome.INCONCLUSIVE,
        )
        for entry in campaign_result.kill_matrix
    }
    assert read == expected


def test_steps_of_the_best_checkpoints_are_shown(campaign_result: CampaignResult, tmp_path: Path) -> None:
    first, *others = campaign_result.populations
    steps = (200, 200, 50, 200, 100, 200, 200, 200)
    chosen = dataclasses.replace(first, selected_steps=steps)
    write_report(dataclasses.replace(campaign_result, populations=(chosen, *others)), tmp_path)
    rows = [
        (row["mutant"], int(row["seed"]), int(row["selected_step"])) for row in rows_of(tmp_path, "best_checkpoints")
    ]
    assert rows == [("Healthy", seed, step) for seed, step in enumerate(steps)]
    page = (tmp_path / "report.html").read_text()
    assert "best checkpoint at step" in page and "50 to 200 (median 200)" in page


def test_without_selection_there_are_no_steps(campaign_result: CampaignResult, tmp_path: Path) -> None:
    write_report(campaign_result, tmp_path)
    assert rows_of(tmp_path, "best_checkpoints") == []
    assert "best checkpoint at step" not in (tmp_path / "report.html").read_text()


def test_every_reward_and_curve_point_is_in_the_files(campaign_result: CampaignResult, tmp_path: Path) -> None:
    write_report(campaign_result, tmp_path)
    rewards = {(row["mutant"], int(row["seed"])): float(row["mean_reward"]) for row in rows_of(tmp_path, "rewards")}
    expected = {
        (population.mutant, seed): reward
        for population in campaign_result.populations
        for seed, reward in zip(population.seeds, population.rewards, strict=True)
    }
    assert rewards == expected
    curves = [(row["mutant"], float(row["step"]), float(row["mean"])) for row in rows_of(tmp_path, "learning_curves")]
    assert curves == [
        (population.mutant, step, mean)
        for population in campaign_result.populations
        if population.curve is not None
        for step, mean in zip(population.curve.steps, population.curve.mean, strict=True)
    ]


def test_probes_environments_scores_and_properties_are_in_the_files(
    campaign_result: CampaignResult, tmp_path: Path
) -> None:
    write_report(campaign_result, tmp_path)
    probes = [probe for report in campaign_result.boundaries for probe in report.probes]
    for row, probe in zip(objects_of(tmp_path, "boundary_probes"), probes, strict=True):
        assert {name: row[name] for name in campaign_result.parameters} == dict(probe.point)
        assert (row["outcome"], row["healthy_mean"]) == (probe.outcome, probe.healthy_mean)
        assert row["accepted"] is (probe.outcome is not Outcome.KILLED)
        assert row["answer"] == ("rejected" if probe.outcome is Outcome.KILLED else "accepted")
    labels = {row["label"]: row for row in objects_of(tmp_path, "boundary_environments")}
    assert labels["E0"]["kind"] == "initial"
    for row, score in zip(objects_of(tmp_path, "score"), campaign_result.scores, strict=True):
        assert row["mutation_score"] == score.mutation_score
        assert row["never_killed"].split() == list(score.never_killed)
        minimal = [labels[label] for label in row["minimal_environments"].split()]
        points = [tuple((name, report[name]) for name in campaign_result.parameters) for report in minimal]
        assert points == list(score.minimal_environments)
    for row, entry in zip(objects_of(tmp_path, "higher_order"), campaign_result.higher_order, strict=True):
        assert (row["property_published"], row["property_strict"]) == (entry.property_published, entry.property_strict)
        assert (row["kills"], row["environments"], row["killing_environments"].split()[0]) == (2, 4, "E0")


def test_a_score_shows_how_sure_it_is(campaign_result: CampaignResult, tmp_path: Path) -> None:
    write_report(campaign_result, tmp_path)
    row = objects_of(tmp_path, "score")[0]
    assert (row["possible_score"], row["score_low"], row["score_high"]) == (6 / 7, 4 / 7, 6 / 7)
    assert (row["null_high"], row["same_kills"]) == (0.0, 0.86)
    assert row["environment_shares"] == "E0:0.9 E1:0.8 E2:0 E3:0.3"
    page = (tmp_path / "report.html").read_text()
    for text in (
        "0.71 <small>[0.57, 0.86]</small>",
        "0.86 if the inconclusive mutants were killed",
        "a set of healthy agents scores more than 0 in at most 5 % of all campaigns",
        "with other agents the fewest environments hold E0 90%, E1 80%, E3 30%",
        "those named give the same kills in 86% of 400 replicates",
    ):
        assert text in page


def test_a_score_without_a_bootstrap_shows_none(campaign_result: CampaignResult, tmp_path: Path) -> None:
    write_report(campaign_result, tmp_path)
    row = objects_of(tmp_path, "score")[1]
    assert (row["possible_score"], row["score_low"], row["environment_shares"]) == (None, None, None)


def test_the_correction_is_on_the_page(campaign_result: CampaignResult, tmp_path: Path) -> None:
    control = ErrorControlResult("false_discovery", "Benjamini-Hochberg", 108, 41)
    verdicts = tuple(
        dataclasses.replace(entry, verdict=dataclasses.replace(entry.verdict, p_adjusted=0.0421))
        for entry in campaign_result.verdicts
    )
    write_report(dataclasses.replace(campaign_result, error_control=control, verdicts=verdicts), tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "All 108 comparisons by corrected tests are one family, adjusted together by Benjamini-Hochberg" in page
    assert '<th scope="col" class="num">adjusted p</th>' in page
    assert '<td class="num">0.042</td>' in page


def test_provenance_is_flat_and_whole(campaign_result: CampaignResult, tmp_path: Path) -> None:
    write_report(campaign_result, tmp_path)
    values = {row["key"]: row["value"] for row in objects_of(tmp_path, "provenance")}
    assert values["run_id"] == campaign_result.run_id
    assert values["versions.torch"] == "2.13.0"
    assert values["seeds"] == "0 1 2 3 4 5 6 7"
    assert values["cost.wall_seconds"] == 540.5


def test_the_page_is_well_formed_and_loads_nothing(campaign_result: CampaignResult) -> None:
    page = parsed(campaign_result)
    targets = [value or "" for _, name, value in page.attributes if name in ("src", "href", "xlink:href", "data")]
    assert targets and all(value.startswith("#") for value in targets)
    assert not re.search(r"url\((?!#)|@import", page_html(campaign_result))
    identities = [value for _, name, value in page.attributes if name == "id"]
    assert len(identities) == len(set(identities))
    assert {value.removeprefix("#") for value in targets} <= set(identities)


def test_columns_of_power_have_a_label(campaign_result: CampaignResult) -> None:
    heads = re.findall(r'<th[^>]*>power<span class="param">([^<]+)</span></th>', page_html(campaign_result))
    by_test: dict[str, list[KillVerdict]] = {}
    for entry in campaign_result.verdicts:
        by_test.setdefault(entry.verdict.test, []).append(entry.verdict)
    expected = [power_labels(verdicts) for verdicts in by_test.values()]
    assert len(heads) >= 3
    assert sorted(heads) == sorted(label for label in expected if label)
    assert page_html(campaign_result).count(">power") == len(heads)


def test_every_population_failure_and_warning_is_on_the_page(campaign_result: CampaignResult) -> None:
    text = " ".join(parsed(campaign_result).text)
    for population in campaign_result.populations:
        assert population.mutant in text
        assert all(line in text for _, line in population.failed)
    for search in campaign_result.boundaries:
        assert all(warning in text for warning in search.warnings)
    assert "not live" in text
    assert "killed, better" in text


def _renamed(result: CampaignResult, old: str, new: str) -> CampaignResult:
    def renamed(entry: Any) -> Any:
        return dataclasses.replace(entry, mutant=new) if entry.mutant == old else entry

    return dataclasses.replace(
        result,
        name=new,
        notes=(new,),
        populations=tuple(renamed(entry) for entry in result.populations),
        verdicts=tuple(renamed(entry) for entry in result.verdicts),
        kill_matrix=tuple(renamed(entry) for entry in result.kill_matrix),
    )


@pytest.mark.parametrize("name", ["<b>", '"><script>alert(1)</script>', "R & $x_1$", "{{ 7 * 7 }}"])
def test_names_are_escaped_everywhere(name: str, campaign_result: CampaignResult, tmp_path: Path) -> None:
    result = _renamed(campaign_result, "NDF", name)
    page = parsed(result)
    tags = {tag for tag, _, _ in page.attributes}
    assert "script" not in tags
    assert "<b>" not in page_html(result)
    assert any(name in text for text in page.text)
    write_report(result, tmp_path)
    assert name in {row["mutant"] for row in rows_of(tmp_path, "verdicts")}


def test_equal_results_give_equal_bytes(
    campaign_result: CampaignResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(campaign_result, tmp_path / "a")
    with matplotlib.rc_context({"font.size": 31, "lines.linewidth": 9, "svg.fonttype": "path"}):
        before = dict(matplotlib.rcParams)
        write_report(dataclasses.replace(campaign_result), tmp_path / "b")
        assert dict(matplotlib.rcParams) == before
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_report_that_cannot_be_written_leaves_the_old_one_whole(
    campaign_result: CampaignResult, stopped_result: CampaignResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(stopped_result, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(self: Path, target: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(campaign_result, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_nothing_is_written_when_the_page_cannot_be_made(
    campaign_result: CampaignResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(result: CampaignResult) -> str:
        raise RuntimeError("no page")

    monkeypatch.setattr(report, "page_html", fail)
    with pytest.raises(RuntimeError, match="no page"):
        write_report(campaign_result, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_stopped_campaign_has_a_page_that_says_why(stopped_result: CampaignResult, tmp_path: Path) -> None:
    write_report(stopped_result, tmp_path)
    page = parsed(stopped_result)
    text = " ".join(page.text)
    assert stopped_result.stop_reason.rstrip(".") in text
    assert "Kill matrix" not in text
    assert "Rewards of the agents" in text
    assert objects_of(tmp_path, "verdicts") == []


def test_an_empty_campaign_has_a_page(stopped_result: CampaignResult) -> None:
    empty = dataclasses.replace(stopped_result, populations=(), provenance={}, spec={}, notes=(), threshold=None)
    assert stopped_result.stop_reason in " ".join(parsed(empty).text)


def test_numbers_that_are_not_finite_are_empty_not_wrong(campaign_result: CampaignResult, tmp_path: Path) -> None:
    nan = float("nan")
    curve = LearningCurve((0.0, 1.0, 2.0), (nan, 5.0, 9.0), (nan, 4.0, 8.0), (nan, 6.0, 10.0))
    first, *others = campaign_result.populations
    changed = dataclasses.replace(
        campaign_result, populations=(dataclasses.replace(first, curve=curve), *others), provenance={"x": float("inf")}
    )
    write_report(changed, tmp_path)
    assert objects_of(tmp_path, "learning_curves")[0]["mean"] is None
    assert rows_of(tmp_path, "learning_curves")[0]["mean"] == ""
    assert "NaN" not in (tmp_path / "provenance.json").read_text()
