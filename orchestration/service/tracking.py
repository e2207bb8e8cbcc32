"""Metrics of the scheduling service in MLflow: a run per agent, a step per version. Never on the path of a request.

A thread writes what a bounded queue brings it. If MLflow is slow or down, metrics are dropped and counted; the store
has all of them (`GET /agents/{agent}/metrics`).
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.runtime.mlflow import METRICS_PER_CALL, prepare_sqlite, quiet_mlflow, shown_uri, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "proctor-scheduling"
WAITING = 10_000
"""Longest queue, in episodes."""

PAUSE_SECONDS = 2.0
"""What arrives within this time goes in one call per agent."""

CLOSE_SECONDS = 10.0
LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Episode:
    agent: str
    version: int
    metrics: Mapping[str, float]
    at_milliseconds: int


class ServiceTracker:
    """Logs rewarded episodes.

    Args:
        uri: MLflow tracking URI; a relative SQLite path is made absolute.

    Raises:
        InputError: the URI is of no known kind.
    """

    def __init__(self, uri: str) -> None:
        self.uri = tracking_uri(uri, Path())
        self.dropped = 0
        self._queue: queue.Queue[_Episode | None] = queue.Queue(WAITING)
        self._runs: dict[str, str] = {}
        self._client: MlflowClient | None = None
        self._experiment = ""
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def offer(self, agent: str, version: int, metrics: Mapping[str, float]) -> None:
        """Log these numbers sometime soon; returns at once, whatever MLflow does."""
        if self.uri == "none":
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
                self._thread.start()
        try:
            self._queue.put_nowait(_Episode(agent, version, dict(metrics), int(time.time() * 1000)))
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Log what waits, for at most 20 s."""
        if self._thread is not None:
            with contextlib.suppress(queue.Full):  # MLflow hangs; nobody waits for it
                self._queue.put(None, timeout=CLOSE_SECONDS)
            self._thread.join(CLOSE_SECONDS)
        if self.dropped:
            LOG.warning("Metrics of %d episodes were not logged to MLflow; the store has them.", self.dropped)

    def _work(self) -> None:
        closing = False
        while not closing:
            batch, closing = self._batch()
            if batch:
                try:
                    with quiet_mlflow():
                        self._log(batch)
                except Exception as error:  # noqa: BLE001 - whatever MLflow does, the service goes on
                    self.dropped += len(batch)
                    self._client = None
                    reason = str(error).replace(self.uri, shown_uri(self.uri)).partition("\n")[0]
                    LOG.warning("Metrics of %d episodes were not logged to MLflow (%s).", len(batch), reason[:200])

    def _batch(self) -> tuple[list[_Episode], bool]:
        """What arrives until the pause is over, and whether the tracker is being closed."""
        batch: list[_Episode] = []
        first = self._queue.get()
        if first is None:
            return batch, True
        batch.append(first)
        deadline = time.monotonic() + PAUSE_SECONDS
        while len(batch) < WAITING:
            try:
                episode = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if episode is None:
                return batch, True
            batch.append(episode)
        return batch, False

    def _log(self, batch: list[_Episode]) -> None:
        from mlflow.entities import Metric

        client = self._connected()
        by_agent: dict[str, list[Metric]] = defaultdict(list)
        for episode in batch:
            at, version = episode.at_milliseconds, episode.version
            by_agent[episode.agent].extend(Metric(name, value, at, version) for name, value in episode.metrics.items())
        for agent, metrics in by_agent.items():
            run = self._run(client, agent)
            for start in range(0, len(metrics), METRICS_PER_CALL):
                client.log_batch(run, metrics=metrics[start : start + METRICS_PER_CALL])

    def _connected(self) -> MlflowClient:
        if self._client is None:
            from mlflow import MlflowClient

            if self.uri.startswith("sqlite:///"):
                prepare_sqlite(Path(self.uri.removeprefix("sqlite:///")))
            client = MlflowClient(tracking_uri=self.uri)
            experiment = client.get_experiment_by_name(EXPERIMENT)
            self._experiment = str(
                experiment.experiment_id if experiment is not None else client.create_experiment(EXPERIMENT)
            )
            self._client = client
        return self._client

    def _run(self, client: MlflowClient, agent: str) -> str:
        """The agent's run, found by its tag; a new one the first time."""
        if agent not in self._runs:
            runs = client.search_runs([self._experiment], f"tags.agent = '{agent}'", max_results=1)
            run = runs[0] if runs else client.create_run(self._experiment, tags={"agent": agent}, run_name=agent)
            self._runs[agent] = run.info.run_id
        return self._runs[agent]
