"""Campaigns in MLflow: a parent run per campaign, a nested run per phase and per population.

The driver logs, in batches: parallel writers gain nothing and can break a fresh SQLite database. MLflow is imported
when the first campaign is logged.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agents.deeprl.recipe import TrainingRecipe
from orchestration.campaign.result import CampaignResult
from orchestration.campaign.tracking.tracked_run import TrackedRun, campaign_run, nested_runs
from orchestration.runtime.mlflow import (
    DATABASES,
    METRICS_PER_CALL,
    knock,
    prepare_sqlite,
    quiet_mlflow,
    shown_uri,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

EXPERIMENT = "proctor"
PARENT_TAG = "mlflow.parentRunId"
LOG = logging.getLogger(__name__)

# MLflow's limits per call and per value.
PAIRS_PER_CALL = 100
PARAM_LENGTH = 6000
TAG_LENGTH = 5000
KEY_LENGTH = 250
MESSAGE_LENGTH = 200


class MlflowTracker:
    """Logs to any MLflow tracking URI; artefacts of databases go to ``mlflow-artifacts`` in the home."""

    def __init__(self, uri: str, home: Path) -> None:
        self.uri = uri
        self._artifacts = home.resolve() / "mlflow-artifacts"

    def log_campaign(
        self,
        result: CampaignResult,
        report_folder: Path,
        recipes: Mapping[str, TrainingRecipe] | None = None,
    ) -> str | None:
        """See `Tracker.log_campaign`. Runs that were logged before and have not changed are skipped."""
        try:
            with quiet_mlflow():
                return self._log(result, report_folder, nested_runs(result, recipes))
        except Exception as error:  # noqa: BLE001 - whatever a tracking server does, the campaign's results are already saved
            LOG.warning(
                "The campaign's results are saved, but were not logged to MLflow at %s (%s). "
                "Run the same `proctor campaign run` again to log them; nothing is trained again.",
                shown_uri(self.uri),
                self._described(error),
            )
            return None

    def log_runs(self, parent: TrackedRun, children: Sequence[TrackedRun], artifact: Path | None = None) -> str | None:
        """See `Tracker.log_runs`."""
        try:
            with quiet_mlflow():
                return self._log_runs(parent, children, artifact)
        except Exception as error:  # noqa: BLE001 - as above
            LOG.warning(
                "The results are saved, but were not logged to MLflow at %s (%s). "
                "Run the same command again to log them.",
                shown_uri(self.uri),
                self._described(error),
            )
            return None

    def _described(self, error: Exception) -> str:
        """One line of an error, without the URI's password."""
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return _shortened(text.replace(self.uri, shown_uri(self.uri)), MESSAGE_LENGTH)

    def _log(self, result: CampaignResult, report_folder: Path, children: Sequence[TrackedRun]) -> str:
        client = self._client()
        experiment = self._experiment(client)
        content = campaign_run(result)
        parent = _parent(client, experiment, result.run_id, content.kind, content.name)
        for child in _missing_children(client, experiment, parent.info.run_id, children):
            _log_child(client, experiment, parent.info.run_id, child)
        client.log_artifacts(parent.info.run_id, str(report_folder), "report")
        if parent.data.tags.get("digest") != content.digest:
            _log_content(client, parent.info.run_id, content, set(parent.data.params))
        client.set_terminated(parent.info.run_id, "FINISHED" if result.status == "complete" else "FAILED")
        return str(parent.info.run_id)

    def _log_runs(self, parent: TrackedRun, children: Sequence[TrackedRun], artifact: Path | None) -> str:
        client = self._client()
        experiment = self._experiment(client)
        run = _parent(client, experiment, dict(parent.tags)["run_id"], parent.kind, parent.name)
        for child in _missing_children(client, experiment, run.info.run_id, children):
            _log_child(client, experiment, run.info.run_id, child)
        if run.data.tags.get("digest") != parent.digest:
            if artifact is not None:
                client.log_artifact(run.info.run_id, str(artifact))
            _log_content(client, run.info.run_id, parent, set(run.data.params))
        client.set_terminated(run.info.run_id)
        return str(run.info.run_id)

    def _client(self) -> MlflowClient:
        from mlflow import MlflowClient

        if self.uri.startswith("sqlite:///"):
            prepare_sqlite(Path(self.uri.removeprefix("sqlite:///")))
        else:
            knock(self.uri)
        return MlflowClient(tracking_uri=self.uri)

    def _experiment(self, client: MlflowClient) -> str:
        """The experiment's id. A server decides where artefacts are kept, a bare database does not."""
        from mlflow.exceptions import MlflowException

        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is not None:
            return str(experiment.experiment_id)
        location = self._artifacts.as_uri() if _is_database(self.uri) else None
        try:
            return str(client.create_experiment(EXPERIMENT, artifact_location=location))
        except MlflowException:  # another driver created it first
            experiment = client.get_experiment_by_name(EXPERIMENT)
            if experiment is None:
                raise
            return str(experiment.experiment_id)


def _parent(client: MlflowClient, experiment: str, run_id: str, kind: str, name: str) -> Run:
    """The run that holds the others, looked up by its tags; created the first time."""
    criteria = f"tags.run_id = '{run_id}' and tags.kind = '{kind}'"
    for run in client.search_runs([experiment], criteria, order_by=["attributes.start_time ASC"], max_results=1):
        client.update_run(run.info.run_id, status="RUNNING")
        return run
    return client.create_run(experiment, tags={"run_id": run_id, "kind": kind}, run_name=name)


def _missing_children(
    client: MlflowClient, experiment: str, parent: str, children: Sequence[TrackedRun]
) -> list[TrackedRun]:
    """What is still to be logged; outdated and unfinished runs are deleted."""
    missing = {child.digest: child for child in children}
    for run in _all_runs(client, experiment, f"tags.`{PARENT_TAG}` = '{parent}'"):
        if run.info.status == "FINISHED" and missing.pop(run.data.tags.get("digest", ""), None) is not None:
            continue
        client.delete_run(run.info.run_id)
    return list(missing.values())


def _all_runs(client: MlflowClient, experiment: str, criteria: str) -> list[Run]:
    runs: list[Run] = []
    page = client.search_runs([experiment], criteria)
    runs.extend(page)
    while page.token:
        page = client.search_runs([experiment], criteria, page_token=page.token)
        runs.extend(page)
    return runs


def _log_child(client: MlflowClient, experiment: str, parent: str, child: TrackedRun) -> None:
    tags = {PARENT_TAG: parent, "kind": child.kind}
    run = client.create_run(experiment, tags=tags, run_name=child.name)
    _log_content(client, run.info.run_id, child, set())
    for name, text in child.texts:
        client.log_text(run.info.run_id, text, name)
    client.set_terminated(run.info.run_id)


def _log_content(client: MlflowClient, run_id: str, content: TrackedRun, known_params: set[str]) -> None:
    """Numbers, then text, in as few calls as MLflow allows; the digest comes last and marks the run as complete."""
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    metrics = [Metric(item.key[:KEY_LENGTH], item.value, now, item.step) for item in content.measurements]
    params = [
        Param(key[:KEY_LENGTH], _shortened(value, PARAM_LENGTH))
        for key, value in content.params
        if key[:KEY_LENGTH] not in known_params
    ]
    tags = [RunTag(key[:KEY_LENGTH], _shortened(value, TAG_LENGTH)) for key, value in content.tags]
    tags.append(RunTag("digest", content.digest))
    # One call may hold 1000 entries in all: the first one with text has few numbers.
    head = METRICS_PER_CALL - 2 * PAIRS_PER_CALL
    for batch in _chunks(metrics[head:], METRICS_PER_CALL):
        client.log_batch(run_id, metrics=batch)
    for batch in _chunks(params[PAIRS_PER_CALL:], PAIRS_PER_CALL):
        client.log_batch(run_id, params=batch)
    for batch in _chunks(tags[:-PAIRS_PER_CALL], PAIRS_PER_CALL):
        client.log_batch(run_id, tags=batch)
    client.log_batch(run_id, metrics[:head], params[:PAIRS_PER_CALL], tags[-PAIRS_PER_CALL:])


def _is_database(uri: str) -> bool:
    return urlsplit(uri).scheme.partition("+")[0] in DATABASES


def _chunks(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."
