"""``proctor campaign run | plan | seeds | show``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestration.cli.options import Address, Cpus, Executor, ExecutorName, Format, Home, Quiet, Store, TrackingUri
from orchestration.cli.output import OutputFormat, console, print_json, print_table

if TYPE_CHECKING:
    from orchestration.campaign.plan import CampaignPlan, PlannedPhase
    from orchestration.campaign.run import CampaignRun, RunSettings
    from orchestration.campaign.seed_plan import SeedPlan
    from orchestration.campaign.spec.campaign import ResolvedCampaign

campaign = typer.Typer(
    help="Run a mutation campaign, plan it, or show what it found.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


Spec = Annotated[str, typer.Argument(help="A YAML file, or the name of a spec that comes with Proctor (demo, ...).")]


@campaign.command()
def run(
    spec: Spec,
    executor: Executor = ExecutorName.AUTO,
    cpus: Cpus = None,
    address: Address = None,
    home: Home = None,
    store: Store = None,
    tracking_uri: TrackingUri = None,
    quiet: Quiet = False,
) -> None:
    """Run a campaign, or continue an interrupted one: finished items are never computed again."""
    from orchestration.campaign.folder import campaign_home
    from orchestration.campaign.run import RunSettings

    settings = RunSettings(
        home=campaign_home(home),
        store=store,
        executor=executor.value,
        cpus=cpus,
        address=address,
        tracking_uri=tracking_uri,
        progress="silent" if quiet else "auto",
    )
    finish(run_resumable(resolved(spec), settings))


@campaign.command()
def plan(
    spec: Spec,
    home: Home = None,
    store: Store = None,
    cpus: Cpus = None,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Show the work items of a campaign, what is already done, and what the rest will cost on this machine."""
    from orchestration.campaign.calibration import costs
    from orchestration.campaign.folder import campaign_home
    from orchestration.campaign.plan import plan_campaign
    from orchestration.campaign.run import RunSettings

    campaign = resolved(spec)
    results = RunSettings(home=campaign_home(home), store=store).result_store()
    planned = plan_campaign(campaign, results, costs(campaign, results), cpus or _cores())
    if output is OutputFormat.JSON:
        print_json(plan_row(planned))
    else:
        _print_plan(planned)


@campaign.command()
def seeds(
    spec: Spec,
    home: Home = None,
    store: Store = None,
    power: Annotated[float, typer.Option(help="Chance of the outcome that is required, above 0 and below 1.")] = 0.8,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Simulate how many agents the verdicts of a campaign need."""
    from envsearch.errors import InputError
    from orchestration.campaign.folder import campaign_home
    from orchestration.campaign.population import Populations
    from orchestration.campaign.run import RunSettings
    from orchestration.campaign.seed_plan import plan_seeds

    if not 0 < power < 1:
        raise InputError(f"{power:g} is not a power", "--power", "a number above 0 and below 1")
    campaign = resolved(spec)
    healthy = Populations(campaign, RunSettings(home=campaign_home(home), store=store).result_store()).healthy
    planned = plan_seeds(campaign, healthy.rewards_at(campaign.initial_point), power)
    if output is OutputFormat.JSON:
        print_json(asdict(planned))
    else:
        _print_seeds(planned)


@campaign.command()
def show(spec: Spec, home: Home = None) -> None:
    """Print what a campaign found when it last ran."""
    from envsearch.errors import InputError
    from orchestration.campaign.folder import CampaignFolder, campaign_home
    from orchestration.campaign.report.summary import summary_text

    campaign = resolved(spec)
    folder = CampaignFolder(campaign_home(home), campaign.run_id)
    result = folder.result()
    if result is None:
        raise InputError("this campaign has no result yet", source=spec, expected=f"proctor campaign run {spec}")
    console().print(summary_text(result))
    print(f"\nReport: {folder.report / 'report.html'}")


def resolved(spec: str) -> ResolvedCampaign:
    """The campaign of a spec file, fully resolved.

    Raises:
        InputError: the file or a field is wrong.
    """
    from orchestration.campaign.spec.loading import load_spec
    from orchestration.campaign.spec.resolving import resolve

    return resolve(load_spec(spec), spec)


def run_resumable(campaign: ResolvedCampaign, settings: RunSettings) -> CampaignRun:
    """Run it; an interruption prints how to continue and exits with 130."""
    from orchestration.campaign.run import run_campaign
    from orchestration.cli.errors import resumable

    with resumable("items") as interrupted:
        return run_campaign(campaign, settings, interrupted=interrupted)


def finish(done: CampaignRun) -> None:
    """The summary, the report's path, and the line that opens what was logged.

    Raises:
        CampaignStoppedError: the campaign stopped before its verdicts.
    """
    from envsearch.errors import CampaignStoppedError
    from orchestration.campaign.report.summary import summary_text
    from orchestration.runtime.mlflow import ui_command

    console().print(summary_text(done.result))
    print(f"\nReport: {done.report}")
    opening = ui_command(done.tracking_uri)
    if opening:
        print(f"MLflow: {opening}")
    sys.stdout.flush()
    if done.result.status != "complete":
        raise CampaignStoppedError(done.result.stop_reason)


def plan_row(planned: CampaignPlan) -> dict[str, Any]:
    """The object that ``--format json`` prints."""
    return {
        "run_id": planned.run_id,
        "name": planned.name,
        "phases": [
            {
                "phase": phase.phase,
                "items": phase.items,
                "upper_bound": phase.bound,
                "fewest": phase.items if phase.fewest is None and not phase.bound else phase.fewest,
                "done": phase.done,
                "cpu_seconds_left": phase.cpu_seconds,
            }
            for phase in planned.phases
        ],
        "items": sum(phase.items for phase in planned.phases),
        "done": sum(phase.done for phase in planned.phases),
        "cpu_hours": planned.cpu_hours,
        "fewest_cpu_hours": planned.fewest_cpu_hours,
        "wall_hours": planned.wall_hours,
        "cores": planned.cores,
        "cpu_seconds_per_training": planned.costs.train,
        "cpu_seconds_per_evaluation": planned.costs.evaluation,
        "costs": planned.costs.source,
        "notes": planned.notes,
    }


def _print_plan(planned: CampaignPlan) -> None:
    from orchestration.campaign.report.formatting import duration_text

    rows = [
        [
            phase.phase,
            _items(phase),
            str(phase.done),
            duration_text(phase.cpu_seconds),
        ]
        for phase in planned.phases
    ]
    print_table(["phase", "items", "done", "CPU time left"], rows, f"{planned.name} (run {planned.run_id})")
    for note in planned.notes:
        print(note)
    source = "recorded from finished agents" if planned.costs.source == "recorded" else "measured now"
    print(
        f"One training takes {duration_text(planned.costs.train)} of CPU time, one evaluation "
        f"{planned.costs.evaluation:.2f} s ({source}; episodes of untrained agents are assumed to last until the time "
        "limit)."
    )
    print(
        f"Predicted for what is left: {_fewest(planned)}{duration_text(planned.cpu_hours * 3600)} of CPU time in "
        f"total; {duration_text(planned.wall_hours * 3600)} of wall time on {planned.cores} "
        f"{'core' if planned.cores == 1 else 'cores'}, if nothing else uses them."
    )


def _items(phase: PlannedPhase) -> str:
    if not phase.bound:
        return str(phase.items)
    return f"at most {phase.items}" if phase.fewest is None else f"{phase.fewest} to {phase.items}"


def _fewest(planned: CampaignPlan) -> str:
    """The lower end of the predicted time, where looks give it a range. The time on the cores is for the upper end."""
    from orchestration.campaign.report.formatting import duration_text

    hours = planned.fewest_cpu_hours
    return f"{duration_text(hours * 3600)} to " if hours < planned.cpu_hours else ""


def _print_seeds(planned: SeedPlan) -> None:
    columns = ["mutant", "outcome", "alone", "among killed", "looks: power", "looks: agents"]
    for rewards in dict.fromkeys(row.rewards for row in planned.rows):
        rows = [
            [
                row.mutant,
                row.outcome,
                _at_most(row.alone),
                _at_most(row.among_killed),
                "" if row.looks_power is None else f"{row.looks_power:.2f}",
                "" if row.looks_agents is None else f"{row.looks_agents:.1f}",
            ]
            for row in planned.rows
            if row.rewards == rewards
        ]
        print_table(columns, rows, f"{planned.name}: {rewards}")
    for sentence in planned.assumptions:
        print(sentence)


def _at_most(agents: int | None) -> str:
    from mutations.killing.seeds_needed import SIZES

    return f"over {SIZES[-1]}" if agents is None else str(agents)


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0))
