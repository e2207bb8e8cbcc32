"""The explicit table of trackers."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import cast

from envsearch.extras import is_installed, missing_extra
from orchestration.campaign.tracking.base import Tracker
from orchestration.runtime.mlflow import tracking_uri

TRACKERS: dict[str, tuple[str, str]] = {
    "none": ("orchestration.campaign.tracking.null_tracker", "NullTracker"),
    "mlflow": ("orchestration.campaign.tracking.mlflow_tracker", "MlflowTracker"),
}
"""Name -> (module, class); the module is imported when its tracker is used."""


def tracker(uri: str | None, home: Path) -> Tracker:
    """The tracker of a campaign home.

    Args:
        uri: ``none``; an MLflow tracking URI; or None for the environment's ``MLFLOW_TRACKING_URI`` and, without
            that, a SQLite file in the home (nothing is tracked where MLflow is not installed).
        home: folder of the campaigns.

    Raises:
        InputError: the URI is of an unknown kind, or names an MLflow that is not installed.
    """
    resolved = tracking_uri(uri, home)
    if resolved != "none" and not is_installed("mlflow"):
        if uri or os.environ.get("MLFLOW_TRACKING_URI"):
            raise missing_extra("tracking", "mlflow", "tracking_uri")
        resolved = "none"
    module, class_name = TRACKERS["none" if resolved == "none" else "mlflow"]
    return cast(Tracker, getattr(import_module(module), class_name)(resolved, home))
