"""Run a campaign with everything around it: lock, executor, store, progress, files, report, tracker."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestration.campaign.context import RunContext
from orchestration.campaign.folder import CampaignFolder
from orchestration.campaign.pipeline import run_steps
from orchestration.campaign.population import Populations
from orchestration.campaign.report.report import write_report
from orchestration.campaign.result import CampaignResult
from orchestration.campaign.spec.campaign import ResolvedCampaign
from orchestration.campaign.tracking.registry import tracker
from orchestration.execution.executors.base import Executor
from orchestration.execution.executors.registry import executor
from orchestration.execution.results import ResultStore
from orchestration.runtime.progress import Progress
from orchestration.runtime.ray import said_at_once


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Where and how a campaign runs; its results do not depend on any of it.

    Attributes:
        home: folder of campaigns; the store and the embedded tracking database are there by default.
        store: URL of the result store; None for the home's own.
        executor: ``auto``, ``ray`` or ``inline``.
        cpus, address: see `orchestration.execution.executors.registry.executor`.
        tracking_uri: see `orchestration.campaign.tracking.registry.tracker`.
        progress: see `orchestration.runtime.progress.Progress`.
    """

    home: Path
    store: str | None = None
    executor: str = "auto"
    cpus: int | None = None
    address: str | None = None
    tracking_uri: str | None = None
    progress: Literal["auto", "bars", "lines", "silent"] = "auto"

    def result_store(self) -> ResultStore:
        """The store, opened."""
        return ResultStore(self.store or str(self.home / "store"))


@dataclass(frozen=True, slots=True)
class CampaignRun:
    """A finished campaign and where to read about it.

    Attributes:
        report: the page.
        tracking_uri: where it was logged; ``none`` if nowhere.
    """

    result: CampaignResult
    folder: Path
    report: Path
    tracking_uri: str


def run_campaign(
    campaign: ResolvedCampaign,
    settings: RunSettings,
    make_executor: Callable[[], Executor] | None = None,
    interrupted: Callable[[], None] | None = None,
) -> CampaignRun:
    """Run a campaign, or continue it, and write everything about it.

    Args:
        make_executor: instead of the one that `settings` names.
        interrupted: called before the executor is closed, see `said_at_once`.

    Raises:
        InputError: the campaign is running already, the store or the tracking URI cannot be used.
        KeyboardInterrupt: Ctrl-C or SIGTERM; finished items are kept.
    """
    folder = CampaignFolder(settings.home, campaign.run_id)
    with folder.locked():
        chosen_tracker = tracker(settings.tracking_uri, settings.home)
        folder.write_spec(campaign)
        folder.append_log(f"run {campaign.name} ({campaign.run_id})")
        populations = Populations(campaign, settings.result_store())
        result = _run_steps(populations, settings, folder, make_executor, interrupted)
        folder.write_result(result)
        page = write_report(result, folder.report)
        chosen_tracker.log_campaign(result, folder.report, populations.recipes())
        folder.append_log(f"{result.status}: {result.stop_reason or 'report written'}")
    return CampaignRun(result, folder.path, page, chosen_tracker.uri)


def _run_steps(
    populations: Populations,
    settings: RunSettings,
    folder: CampaignFolder,
    make_executor: Callable[[], Executor] | None,
    interrupted: Callable[[], None] | None,
) -> CampaignResult:
    populations.store.mark()  # a store that cannot be written is refused before anything is computed for it
    chosen = make_executor() if make_executor else executor(settings.executor, settings.cpus, settings.address)
    with closing(chosen), said_at_once(interrupted), Progress(settings.progress) as progress:
        return run_steps(RunContext(chosen, populations.store, progress, folder.append_log), populations)
