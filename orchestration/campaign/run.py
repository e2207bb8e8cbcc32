"""Conduct a campaign with everything around it: lock, executor, store, progress, files, report, tracker."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mutations.folding import mutate
from mutations.mutant import HEALTHY
from orchestration.campaign.context import RunContext
from orchestration.campaign.folder import CampaignFolder
from orchestration.campaign.pipeline import run_campaign
from orchestration.campaign.report.report import write_report
from orchestration.campaign.result import CampaignResult
from orchestration.campaign.spec.campaign import ResolvedCampaign
from orchestration.campaign.tracking.base import Tracker
from orchestration.campaign.tracking.registry import tracker
from orchestration.execution.executors.base import Executor
from orchestration.execution.executors.registry import executor
from orchestration.execution.results import ResultStore
from orchestration.runtime.progress import Progress


@dataclass(frozen=True, slots=True)
class Surroundings:
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
class Conducted:
    """A finished campaign and where to read about it.

    Attributes:
        report: the page.
        tracking_uri: where it was logged; ``none`` if nowhere.
    """

    result: CampaignResult
    folder: Path
    report: Path
    tracking_uri: str


def conduct(
    campaign: ResolvedCampaign,
    surroundings: Surroundings,
    make_executor: Callable[[], Executor] | None = None,
) -> Conducted:
    """Run a campaign, or go on with it, and write everything about it.

    Args:
        make_executor: instead of the one that `surroundings` names.

    Raises:
        InputError: the campaign is running already, the store or the tracking URI cannot be used.
        KeyboardInterrupt: Ctrl-C or SIGTERM; finished items are kept.
    """
    folder = CampaignFolder(surroundings.home, campaign.run_id)
    with folder.locked():
        memory = tracker(surroundings.tracking_uri, surroundings.home)
        folder.write_spec(campaign)
        folder.append_log(f"run {campaign.name} ({campaign.run_id})")
        result = _run(campaign, surroundings, folder, make_executor)
        folder.write_result(result)
        page = write_report(result, folder.report)
        _remember(memory, campaign, result, folder)
        folder.append_log(f"{result.status}: {result.stop_reason or 'report written'}")
    return Conducted(result, folder.path, page, memory.uri)


def _run(
    campaign: ResolvedCampaign,
    surroundings: Surroundings,
    folder: CampaignFolder,
    make_executor: Callable[[], Executor] | None,
) -> CampaignResult:
    store = surroundings.result_store()
    store.mark()  # a store that cannot be written is told before anything is computed for it
    chosen = (
        make_executor() if make_executor else executor(surroundings.executor, surroundings.cpus, surroundings.address)
    )
    with closing(chosen), Progress(surroundings.progress) as progress:
        return run_campaign(RunContext(chosen, store, progress, folder.append_log), campaign)


def _remember(memory: Tracker, campaign: ResolvedCampaign, result: CampaignResult, folder: CampaignFolder) -> None:
    everybody = {mutant.id: mutant for mutant in (*campaign.mutants, *campaign.higher_order.mutants)}
    recipes = {name: mutate(campaign.healthy, mutant) for name, mutant in everybody.items()}
    memory.log_campaign(result, folder.report, {HEALTHY: campaign.healthy, **recipes})
