"""A tracker keeps the results of campaigns outside of the campaigns' own files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from agents.deeprl.recipe import TrainingRecipe
from orchestration.campaign.result import CampaignResult
from orchestration.campaign.tracking.tracked_run import TrackedRun


class Tracker(Protocol):
    """Logs finished campaigns. Used by the driver only, never by a worker.

    Attributes:
        uri: where it logs to, absolute; ``none`` if nowhere.
    """

    uri: str

    def log_campaign(
        self,
        result: CampaignResult,
        report_folder: Path,
        recipes: Mapping[str, TrainingRecipe] | None = None,
    ) -> str | None:
        """Log one campaign; if it was logged before, its run is brought up to date.

        Args:
            report_folder: the report's files, kept as artefacts.
            recipes: mutant id -> recipe, for the parameters of the populations' runs.

        Returns:
            The id of the campaign's run; None if nothing was logged. A tracker that cannot be reached logs a
            warning and never fails the campaign.
        """
        ...

    def log_runs(self, parent: TrackedRun, children: Sequence[TrackedRun], artifact: Path | None = None) -> str | None:
        """Log a run with nested runs; runs that were logged before (same tag ``run_id``) are brought up to date.

        Args:
            artifact: a file kept with the parent.

        Returns:
            The id of the parent's run; None if nothing was logged, as for `log_campaign`.
        """
        ...
