"""The sweep that comes with the package, on really trained agents, with fewer steps, agents and operators."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.campaign.run import RunSettings, run_campaign
from orchestration.campaign.spec.loading import load_spec
from orchestration.campaign.spec.resolving import resolve


@pytest.mark.slow
def test_the_shipped_sweep_trains_and_reports(tmp_path: Path) -> None:
    spec = load_spec("magnitudes")
    sweep = spec.magnitudes.model_copy(update={"operators": ["ILF", "NDF"], "values": [0.1, 0.5, 1.0]})
    sanity = spec.sanity.model_copy(update={"threshold": "off"})
    small = spec.model_copy(update={"magnitudes": sweep, "sanity": sanity, "seeds": 4, "steps": 2048})
    settings = RunSettings(tmp_path, executor="inline", tracking_uri="none", progress="silent")
    finished = run_campaign(resolve(small), settings)
    first, second = finished.result.magnitude_curves
    assert [point.mutant for point in first.points] == ["ILF_0.1", "ILF_0.5", "ILF"]
    assert [point.mutant for point in second.points] == ["NDF_0.1", "NDF_0.5", "NDF"]
    assert all(point.agents == 4 and len(point.verdicts) == 1 for point in first.points)
    assert "magnitude of ILF" in finished.report.read_text(encoding="utf-8")
    assert [score.killed + score.never_killed for score in finished.result.scores] in ([("NDF",)], [])
