"""The service's metrics in MLflow: in batches, never in anybody's way."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from envsearch.errors import InputError
from orchestration.service import tracking as service_tracker
from orchestration.service.tracking import EXPERIMENT, ServiceTracker


@pytest.fixture(autouse=True)
def _short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_tracker, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(service_tracker, "CLOSE_SECONDS", 120.0)


@pytest.mark.slow
def test_a_run_per_agent_with_a_step_per_version(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    for first in (1, 3):  # a second process goes on with the same runs
        tracker = ServiceTracker(uri)
        for version in (first, first + 1):
            for agent in ("one", "two"):
                tracker.offer(agent, version, {"reward": float(version), "apfd": 0.5})
        tracker.close()
        assert tracker.dropped == 0
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.data.tags["agent"] for run in runs) == ["one", "two"]
    for run in runs:
        history = client.get_metric_history(run.info.run_id, "reward")
        assert [(point.step, point.value) for point in history] == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]


def test_a_tracker_that_cannot_be_reached_costs_metrics_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: ServiceTracker) -> None:
        raise ConnectionError("no server at postgresql://user:secret@host/db")

    monkeypatch.setattr(ServiceTracker, "_connected", broken)
    tracker = ServiceTracker("postgresql://user:secret@host/db")
    tracker.offer("agent", 1, {"reward": 1.0})
    tracker.close()
    assert tracker.dropped == 1
    assert "not logged" in caplog.text
    assert "secret" not in caplog.text


def test_a_full_queue_makes_nobody_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_tracker, "WAITING", 3)
    monkeypatch.setattr(service_tracker, "CLOSE_SECONDS", 0.1)
    monkeypatch.setattr(ServiceTracker, "_log", lambda *_: time.sleep(3600))
    tracker = ServiceTracker(f"sqlite:///{tmp_path / 'mlflow.db'}")
    for version in range(50):
        tracker.offer("agent", version, {"reward": 1.0})
    assert tracker.dropped >= 40
    tracker.close()


def test_none_logs_nowhere_and_nonsense_is_refused() -> None:
    tracker = ServiceTracker("none")
    tracker.offer("agent", 1, {"reward": 1.0})
    tracker.close()
    with pytest.raises(InputError):
        ServiceTracker("nonsense")
