"""Results and identities from before there were margins stay what they were.

``results/before_margins.json`` was written by the code before that: a campaign of the fake world.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mutations.killing.kill_test import Outcome
from orchestration.campaign.report.report import write_report
from orchestration.campaign.report.tables import TABLES
from orchestration.campaign.result_file import encode, read_result
from orchestration.campaign.spec.loading import load_spec, parse_spec
from orchestration.campaign.spec.model import BoundarySection
from orchestration.campaign.spec.resolving import resolve
from tests.fakes.fake_engine import use_fake_engine

FILE = Path(__file__).parent / "results" / "before_margins.json"
SPEC: dict[str, Any] = {
    "environment": "CartPole-v1",
    "algorithm": "ppo",
    "seeds": 10,
    "steps": 20,
    "operators": ["NDF", "NR", "POC_SGD", "MTS"],
    "engine": "fake",
    "kill_tests": ["paired_permutation", "average_ratio"],
    "boundary": {"tests": ["paired_permutation"], "precision": {"cart_mass": 4, "pole_mass": 4}},
    "higher_order": {"maximum": 1},
}


def test_an_old_result_is_read_with_its_verdicts() -> None:
    result = read_result(FILE)
    killed = {
        entry.mutant
        for entry in result.verdicts
        if entry.verdict.test == "paired_permutation" and entry.verdict.outcome is Outcome.KILLED
    }
    assert killed == {"NR"}
    assert {entry.verdict.margin for entry in result.verdicts} == {None}
    assert len(result.kill_matrix) == len(json.loads(FILE.read_text(encoding="utf-8"))["kill_matrix"])


def test_an_old_result_loses_nothing() -> None:
    """What is written again holds everything that was there."""

    def kept(old: Any, new: Any) -> bool:
        if isinstance(old, dict):
            return all(key in new and kept(value, new[key]) for key, value in old.items())
        if isinstance(old, list):
            return len(old) == len(new) and all(map(kept, old, new))
        return bool(old == new)

    assert kept(json.loads(FILE.read_text(encoding="utf-8")), encode(read_result(FILE)))


def test_an_old_result_becomes_a_report_and_tables(tmp_path: Path) -> None:
    result = read_result(FILE)
    for table in TABLES.values():
        assert table(result).csv_text()
    page = write_report(result, tmp_path / "report").read_text(encoding="utf-8")
    assert "paired permutation" in page


def test_an_old_campaign_keeps_its_run_id(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_engine(monkeypatch)
    assert resolve(parse_spec(SPEC, name="before")).run_id == read_result(FILE).run_id == "4b6dbee2f092"


def test_a_published_campaign_keeps_its_run_id() -> None:
    """The spec of the first tables, whose boundaries were searched by kill tests, by the published rule."""
    spec = load_spec("paper/cartpole_ppo")
    before = {
        "kill_tests": ["paired_permutation", "reward_distribution", "average_ratio", "distance_distribution"],
        "boundary": BoundarySection(tests=["paired_permutation", "reward_distribution"]),
    }
    assert resolve(spec.model_copy(update=before)).run_id == "4867f311902a"
