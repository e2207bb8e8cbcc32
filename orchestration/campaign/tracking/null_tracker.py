"""The tracker that logs nothing (``none``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from agents.deeprl.recipe import TrainingRecipe
from orchestration.campaign.result import CampaignResult
from orchestration.campaign.tracking.tracked_run import TrackedRun


class NullTracker:
    """Logs nothing."""

    def __init__(self, uri: str, home: Path) -> None:
        self.uri = uri

    def log_campaign(
        self,
        result: CampaignResult,
        report_folder: Path,
        recipes: Mapping[str, TrainingRecipe] | None = None,
    ) -> str | None:
        """Nothing is logged."""
        return None

    def log_runs(self, parent: TrackedRun, children: Sequence[TrackedRun], artifact: Path | None = None) -> str | None:
        """Nothing is logged."""
        return None
