"""Sweeps in whole campaigns on a fake world: what is trained, what is fitted, and that the score stays."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from envsearch.errors import InputError
from mutations.psychometric import ThresholdFinding
from orchestration.campaign.calibration import Costs
from orchestration.campaign.plan import plan_campaign
from orchestration.campaign.report.magnitude_view import magnitude_lines
from orchestration.campaign.report.report import write_report
from orchestration.campaign.result import CampaignResult
from orchestration.campaign.result_file import read_result, result_json
from orchestration.campaign.run import CampaignRun, RunSettings, run_campaign
from orchestration.campaign.spec.campaign import ResolvedCampaign
from orchestration.campaign.spec.loading import parse_spec
from orchestration.campaign.spec.resolving import resolve
from orchestration.campaign.tracking.tracked_run import campaign_run
from orchestration.execution.executors.inline import InlineExecutor
from orchestration.execution.results import ResultStore
from orchestration.execution.tasks import TaskFunctions
from tests.fakes.fake_engine import use_fake_engine

SPEC: dict[str, Any] = {
    "environment": "CartPole-v1",
    "algorithm": "ppo",
    "seeds": 10,
    "steps": 200,
    "operators": ["NDF", "NR", "RN_0.4"],
    "engine": "fake",
    "boundary": {"enabled": False},
    "higher_order": {"enabled": False},
}
VALUES = [0.05, 0.1, 0.2, 0.4, 0.7]
SWEEP = {"operators": ["RN", "NR"], "values": VALUES}


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_world(monkeypatch)


def fake_world(patch: pytest.MonkeyPatch) -> None:
    use_fake_engine(patch)
    patch.setattr(os, "fsync", lambda descriptor: None)


def campaign(**changes: Any) -> ResolvedCampaign:
    return resolve(parse_spec({**SPEC, **changes}, name="fake"))


def run(resolved: ResolvedCampaign, home: Path) -> CampaignRun:
    settings = RunSettings(home=home, tracking_uri="none", progress="silent")
    return run_campaign(resolved, settings, lambda: InlineExecutor(TaskFunctions(evaluate="fake_campaign:evaluate")))


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> CampaignRun:
    with pytest.MonkeyPatch.context() as patch:
        fake_world(patch)
        return run(campaign(magnitudes=SWEEP), tmp_path_factory.mktemp("swept"))


@pytest.fixture
def result(swept: CampaignRun) -> CampaignResult:
    return swept.result


def test_curve_of_an_operator(result: CampaignResult) -> None:
    curve, _ = result.magnitude_curves
    assert curve.operator == "RN"
    assert [point.magnitude for point in curve.points] == VALUES
    assert [point.noticed for point in curve.points] == [1, 2, 4, 8, 10]
    assert all(point.agents == 10 and point.low <= point.noticed / 10 <= point.high + 1e-9 for point in curve.points)
    assert curve.finding is ThresholdFinding.WITHIN
    assert curve.threshold is not None and curve.low is not None and curve.high is not None
    assert 0.1 < curve.low < 0.17 < curve.threshold < 0.29 < curve.high < 0.5
    assert curve.limit is not None and 470 < curve.limit < 485


def test_an_operator_that_is_always_noticed(result: CampaignResult) -> None:
    _, curve = result.magnitude_curves
    assert curve.finding is ThresholdFinding.BELOW
    assert [verdict.outcome for point in curve.points for verdict in point.verdicts] == ["killed"] * 5


def test_a_listed_mutant_is_trained_once_and_keeps_its_verdict(result: CampaignResult) -> None:
    names = [population.mutant for population in result.populations]
    assert names.count("RN_0.4") == 1
    assert names[:4] == ["Healthy", "NDF", "NR", "RN_0.4"]
    assert set(names[4:]) == {f"RN_{value}" for value in VALUES if value != 0.4} | {f"NR_{value}" for value in VALUES}
    listed = next(entry.verdict for entry in result.verdicts if entry.mutant == "RN_0.4")
    assert result.magnitude_curves[0].points[3].verdicts == (listed,)


def test_a_sweep_changes_neither_score_nor_verdicts(result: CampaignResult, tmp_path: Path) -> None:
    plain = run(campaign(), tmp_path).result
    assert plain.magnitude_curves == ()
    assert result.scores == plain.scores
    assert result.verdicts == plain.verdicts
    assert result.kill_matrix == plain.kill_matrix


def test_without_sweeps_the_run_id_is_as_before() -> None:
    assert "sweeps" not in campaign().canonical()
    assert campaign().run_id != campaign(magnitudes=SWEEP).run_id


def test_same_spec_same_curves(result: CampaignResult, tmp_path: Path) -> None:
    again = run(campaign(magnitudes=SWEEP), tmp_path).result
    assert again.magnitude_curves == result.magnitude_curves


def test_result_file(result: CampaignResult, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(result_json(result), encoding="utf-8")
    assert read_result(path) == result
    old = json.loads(result_json(result))
    del old["magnitude_curves"]
    path.write_text(json.dumps(old), encoding="utf-8")
    assert read_result(path).magnitude_curves == ()


def test_plan_counts_the_sweeps(swept: CampaignRun, tmp_path: Path) -> None:
    resolved = campaign(magnitudes=SWEEP)
    for home, done in ((tmp_path / "store", 0), (swept.folder.parents[1] / "store", 90)):
        plan = plan_campaign(resolved, ResultStore(str(home)), Costs(1.0, 0.1, "measured"), 2)
        phases = {phase.phase: (phase.items, phase.done) for phase in plan.phases}
        assert phases["train magnitudes"] == phases["evaluate magnitudes"] == (90, done)


def test_report_and_terminal(result: CampaignResult, tmp_path: Path) -> None:
    page = write_report(result, tmp_path).read_text(encoding="utf-8")
    assert page.count("Share of noticed agents over the magnitude of") == 2
    first, second = magnitude_lines(result)
    assert first.startswith("RN: noticed from magnitude 0.2")
    assert second.startswith("NR: noticed from a magnitude below 0.05")
    assert first.removeprefix("RN: ").removesuffix(".") in page
    table = (tmp_path / "magnitudes.csv").read_text(encoding="utf-8").splitlines()
    assert len(table) == 11
    assert table[1].startswith("RN,RN_0.05,0.05,1,10,")
    assert len((tmp_path / "magnitude_verdicts.csv").read_text(encoding="utf-8").splitlines()) == 11
    thresholds = (tmp_path / "magnitude_thresholds.csv").read_text(encoding="utf-8").splitlines()
    assert thresholds[2].startswith("NR,below,,,")


def test_tracked_numbers(result: CampaignResult) -> None:
    numbers = {entry.key: entry.value for entry in campaign_run(result).measurements}
    assert numbers["magnitude/RN/threshold"] == result.magnitude_curves[0].threshold
    assert "magnitude/NR/threshold" not in numbers


def test_a_magnitude_with_too_few_agents_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAILS", "0,1,2,3")
    swept = run(campaign(operators=["NDF"], magnitudes={"operators": ["MSU"], "values": VALUES}), tmp_path).result
    assert sum("is not in its magnitude curve: only 6 of 10 agents are left" in note for note in swept.notes) == 5
    (curve,) = swept.magnitude_curves
    assert curve.points == ()
    assert curve.finding is ThresholdFinding.NONE


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, "magnitudes.operators: is missing"),
        (None, "magnitudes: None is not accepted"),
        ({"operators": []}, "magnitudes.operators: [] is not accepted"),
        ({"operators": "RN"}, "magnitudes.operators: 'RN' is not accepted; expected a valid list"),
        ({"operators": ["RN"], "value": [0.1]}, "magnitudes.value: unknown field 'value' (did you mean 'values'?)"),
        ({"operators": ["RN"], "values": [0.1, 0.2, "x"]}, "magnitudes.values[2]: 'x' is not accepted"),
        ({"operators": ["RN"], "values": [0.1, 0.2, 3]}, "magnitudes.values[2]: 3.0 is not a magnitude"),
        ({"operators": ["PAC"]}, "magnitudes.operators[0]: the magnitude of PAC is a name and has no order"),
    ],
)
def test_mistakes_in_the_spec(section: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        campaign(magnitudes=section)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
