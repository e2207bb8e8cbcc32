"""A whole campaign (on the fake world) with results on S3: the same tables, nothing computed twice, no disk used."""

from __future__ import annotations

from pathlib import Path

import pytest

from envsearch.errors import StoreUnavailableError
from orchestration.campaign.result_file import result_tables
from orchestration.campaign.run import CampaignRun, RunSettings, run_campaign
from orchestration.campaign.spec.loading import parse_spec
from orchestration.campaign.spec.resolving import resolve
from orchestration.execution.executors.inline import InlineExecutor
from orchestration.execution.tasks import TaskFunctions
from tests.fakes.fake_engine import use_fake_engine

SPEC = {
    "environment": "CartPole-v1",
    "algorithm": "ppo",
    "seeds": 6,
    "steps": 200,
    "operators": ["NDF", "NR"],
    "engine": "fake",
    "boundary": {"precision": {"cart_mass": 2, "pole_mass": 2}},
}


@pytest.fixture(autouse=True)
def _fake_world(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_engine(monkeypatch)


def _run(home: Path, store: str | None) -> CampaignRun:
    settings = RunSettings(home=home, store=store, tracking_uri="none", progress="silent")
    make = InlineExecutor(TaskFunctions(evaluate="fake_campaign:evaluate"))
    return run_campaign(resolve(parse_spec(SPEC, name="fake")), settings, lambda: make)


def test_a_campaign_on_s3_finds_the_same_and_is_told_again_by_another_home(s3_url: str, tmp_path: Path) -> None:
    there, here = _run(tmp_path / "there", f"{s3_url}/store"), _run(tmp_path / "here", None)
    assert result_tables(there.result) == result_tables(here.result)
    assert not (tmp_path / "there" / "store").exists()
    again = _run(tmp_path / "elsewhere", f"{s3_url}/store")
    assert result_tables(again.result) == result_tables(here.result)
    assert again.result.provenance["cost"]["items_computed_this_run"] == 0


def test_a_bucket_that_is_not_there_is_told_in_one_line(s3_url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError) as caught:
        _run(tmp_path, f"{s3_url}-not/store")
    assert "\n" not in str(caught.value)
    assert f"{s3_url}-not" in str(caught.value)
