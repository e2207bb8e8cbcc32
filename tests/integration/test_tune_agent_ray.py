"""`proctor tune-agent` on a real Ray Tune; a second run replays nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agents.scheduling.loaders.recorded import write_recorded
from agents.scheduling.synthetic import flaky_history
from orchestration.cli.tune_agent import histories
from orchestration.runtime.progress import Progress
from orchestration.studies.tune_agent import run_agent_tune
from orchestration.studies.tune_agent_request import AgentTuneRequest, gains

pytestmark = pytest.mark.slow


def test_every_point_on_every_history(tmp_path: Path) -> None:
    for number in range(2):
        history = flaky_history(np.random.default_rng(number), tests=8, flaky=3, cycles=6)
        write_recorded(history, tmp_path / f"h{number}.parquet")
    request = AgentTuneRequest(histories(tmp_path, None), "failure_model", {"cost": [0.0, 0.5]}, samples=1)
    store = str(tmp_path / "store")
    result = run_agent_tune(request, store, Progress("silent"), cpus=1)
    assert len(result.points) == 2
    assert [list(row) for row in result.gains] == [gains(request, point, store) for point in result.points]
