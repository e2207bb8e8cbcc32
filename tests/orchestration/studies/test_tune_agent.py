"""`proctor tune-agent`: what is drawn, how a choice is judged, and a user's mistakes. Ray Tune itself: integration."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from agents.scheduling.loaders.recorded import write_recorded
from agents.scheduling.synthetic import flaky_history
from envsearch.errors import InputError
from orchestration.cli import main
from orchestration.cli.tune_agent import histories, report
from orchestration.studies.tune_agent import AgentTuneResult
from orchestration.studies.tune_agent_request import AgentTuneRequest, gains

SPACE = {"cost": [0.0, 0.1, 0.2], "precision": [10.0, 30.0]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "histories"
    place.mkdir()
    for number in range(3):
        history = flaky_history(np.random.default_rng(number), tests=10, flaky=3, cycles=8)
        write_recorded(history, place / f"h{number}.parquet")
    return place


def request_for(folder: Path, **changes) -> AgentTuneRequest:
    return AgentTuneRequest(**{"sources": histories(folder, None), "kind": "failure_model", "space": SPACE, **changes})


def test_the_defaults_come_first_and_no_point_twice(folder):
    points = request_for(folder, samples=4).points()
    assert points[0] == {"objective": "failures_first"}
    assert len(points) == 5
    assert len({json.dumps(point, sort_keys=True) for point in points}) == 5
    assert request_for(folder, samples=4).points() == points
    assert len(request_for(folder, samples=99).points()) == 7  # no more than there are


def test_the_choice_for_a_history_does_not_see_it():
    result = AgentTuneResult(("a", "b", "c"), ({}, {"cost": 0.1}), ((0.0, 0.0, 0.0), (0.9, -0.1, -0.1)))
    assert result.best == 1
    assert [result.left_out(history) for history in range(3)] == [0, 1, 1]
    rows = result.validation()
    assert [row["chosen_without_it"] for row in rows] == [0.0, -0.1, -0.1]
    assert [row["best_with_hindsight"] for row in rows] == [0.9, 0.0, 0.0]
    assert [point["point"] for point in report(result)["points"]] == [1, 0]


def test_a_baseline_gains_nothing_over_itself(folder, tmp_path):
    request = request_for(folder, kind="failure_rate", space={}, feedbacks=("full",))
    assert gains(request, {}, str(tmp_path / "store")) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"kind": "oracle"}, "--agent"), ({"space": {"cost": [-1.0]}}, "cost"), ({"space": {"money": [1.0]}}, "money")],
)
def test_a_wrong_setting_is_told_before_anything_runs(folder, changes, field):
    with pytest.raises(InputError) as caught:
        request_for(folder, **changes)
    assert field in str(caught.value)


def test_one_history_is_not_enough(folder):
    with pytest.raises(InputError, match="at least two"):
        request_for(folder, sources=histories(folder, None)[:1])


def test_a_folder_that_is_none(tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        main(["tune-agent", str(tmp_path / "nowhere")])
    assert left.value.code == 2
    assert "is not a folder" in capsys.readouterr().err
