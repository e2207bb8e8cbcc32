"""``proctor demo``: a small real campaign on CartPole, then the scheduling service on a recorded CI history."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.cli.options import Cpus, Home

if TYPE_CHECKING:
    from mutations.killing.margins import Margins


class Part(StrEnum):
    """What to show."""

    ALL = "all"
    CAMPAIGN = "campaign"
    SERVICE = "service"


def demo(
    home: Home = None,
    cpus: Cpus = None,
    part: Annotated[Part, typer.Option(help="Run only one half.")] = Part.ALL,
) -> None:
    """Find faults in trained agents, and let agents order a CI job's tests: both halves of Proctor in minutes."""
    from orchestration.campaign.folder import campaign_home
    from orchestration.cli.demo_service import run_service_demo

    where = campaign_home(home)
    if part is not Part.SERVICE:
        campaign_demo(where, cpus)
    if part is Part.ALL:
        print()
    if part is not Part.CAMPAIGN:
        run_service_demo(where)


def _margins_text(margins: Margins) -> str:
    return (
        f"{100 * margins.mean:g} % of the healthy mean, or {100 * margins.collapsed:g} points of collapsed agents; "
        f"to show that it does not takes at least {margins.fewest_agents} agents"
    )


def campaign_demo(where: Path, cpus: int | None) -> None:
    """Train healthy agents and agents with injected faults; find out which test environments tell them apart."""
    from orchestration.campaign.run import RunSettings
    from orchestration.cli.campaign import finish, resolved, run_resumable

    campaign = resolved("demo")
    mutants = ", ".join(mutant.id for mutant in campaign.mutants)
    first, last = campaign.seeds[0], campaign.seeds[-1]
    recipe, steps = campaign.healthy, campaign.healthy.total_steps
    print(f"Proctor demo: {recipe.algorithm} on {recipe.environment.name}, run {campaign.run_id} in {where}")
    print(f"1. Train {len(campaign.seeds)} healthy agents (seeds {first} to {last}), {steps} steps each.")
    print(f"2. Train as many agents with each of these faults: {mutants}.")
    print("3. Judge every fault in the environment that agents were trained in. A difference matters if it exceeds")
    print(f"   {_margins_text(campaign.margins)}. What cannot be decided with so few agents is inconclusive.")
    print("4. Search the heaviest carts and poles that healthy agents still balance as before.")
    print("5. Judge every fault there too: the kill matrix. Then combine faults that are hard to notice.")
    print("Ctrl-C is safe at any time: the same command continues where it stopped.\n", flush=True)
    finish(run_resumable(campaign, RunSettings(home=where, cpus=cpus)))
