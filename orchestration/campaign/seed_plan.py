"""How many agents the verdicts of a campaign need: ``proctor campaign seeds``.

The margin test is simulated on the healthy rewards in the store, or on reference laws where there are too few of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from mutations.killing.margin_permutation import LEVEL
from mutations.killing.margins import Margins, scale_of
from mutations.killing.seeds_needed import (
    PAIRS,
    REFERENCE_LAWS,
    SIZES,
    Comparisons,
    Effect,
    Law,
    agents_for_kill,
    agents_for_survival,
    measured,
)
from mutations.killing.sequential_looks import Looks
from orchestration.campaign.population import Rewards, living
from orchestration.campaign.spec.campaign import ResolvedCampaign

POWER = 0.8

FEWEST_MEASURED = 8
"""Healthy rewards from which a law is taken; fewer say too little about the share of collapsed agents."""


@dataclass(frozen=True, slots=True)
class SeedsNeeded:
    """One question about one law of healthy rewards.

    Attributes:
        rewards: whose law is simulated.
        outcome: ``killed`` or ``survived``.
        mutant: what is true of it.
        alone: agents per population at the level that is in force where no other mutant is killed; None: more than
            the most that were tried. Survival is not corrected: both numbers are the same.
        among_killed: the same where half of the other mutants are killed.
        looks_power: chance of the kill with looks, where no other mutant is killed; None for survival.
        looks_agents: mean number of agents of the mutant with looks.
    """

    rewards: str
    outcome: str
    mutant: str
    alone: int | None
    among_killed: int | None
    looks_power: float | None
    looks_agents: float | None


@dataclass(frozen=True, slots=True)
class SeedPlan:
    """The answers, and what they assume.

    Attributes:
        levels: in force where no other mutant is killed, and where half of the others are.
        looks: agents of the mutant at each look, beside all healthy agents.
    """

    run_id: str
    name: str
    mutants: int
    power: float
    levels: tuple[float, float]
    looks: tuple[int, ...]
    rows: tuple[SeedsNeeded, ...]
    assumptions: tuple[str, ...]


def plan_seeds(campaign: ResolvedCampaign, healthy: Rewards, power: float = POWER) -> SeedPlan:
    """Simulate every question for the campaign's number of mutants; without looks, those of `seeds: auto`.

    Args:
        healthy: mean rewards in the initial environment that are known, by seed.
        power: chance that is required, before rounding up to a number of agents that was tried.
    """
    mutants = max(1, len(campaign.mutants))
    looks = campaign.looks or Looks()
    setting = _Setting(
        margins=campaign.margins,
        levels=(LEVEL / mutants, LEVEL * (1 + (mutants - 1) // 2) / mutants),
        looks=looks,
        healthy=len(campaign.seeds) if campaign.looks is not None else looks.most,
        power=power,
        seed=campaign.seed,
    )
    laws, origin = _laws(healthy, campaign.margins)
    rows = [row for name, (law, scale) in laws.items() for row in _rows(name, law, scale, setting)]
    assumptions = (*origin, *_assumptions(mutants, setting))
    return SeedPlan(
        campaign.run_id, campaign.name, mutants, power, setting.levels, looks.agents, tuple(rows), assumptions
    )


@dataclass(frozen=True, slots=True)
class _Setting:
    """What all questions share; `healthy` agents are beside a mutant that is judged at looks."""

    margins: Margins
    levels: tuple[float, float]
    looks: Looks
    healthy: int
    power: float
    seed: int


def _laws(healthy: Rewards, margins: Margins) -> tuple[dict[str, tuple[Law, float]], list[str]]:
    """Name -> (law, scale), and where they come from."""
    finite = np.array(list(living(healthy).values()))
    dead = len(healthy) - finite.size
    scale = scale_of(finite, margins) if finite.size >= FEWEST_MEASURED else None
    if scale is not None:
        origin = f"Healthy rewards: {finite.size} agents of the store, drawn with replacement."
        left_out = [f"{dead} dead healthy agents are left out."] if dead else []
        return {f"{finite.size} healthy agents": (measured(list(finite)), scale)}, [origin, *left_out]
    if finite.size >= FEWEST_MEASURED:
        origin = "The healthy mean is near zero and no scale is set (margins.scale), so reference laws are simulated."
    else:
        origin = f"The store has {finite.size} healthy agents. Below {FEWEST_MEASURED}, reference laws are simulated."
    return {name: (law, _mean(law)) for name, law in REFERENCE_LAWS.items()}, [origin]


def _mean(law: Law) -> float:
    return float(np.mean(law((np.arange(100_000) + 0.5) / 100_000)))


def _effects(margins: Margins) -> dict[str, Effect]:
    return {
        f"every agent loses {100 * margins.mean:g} % (margin)": Effect(loss=margins.mean),
        f"{100 * margins.collapsed:g} % collapse (margin)": Effect(collapsed=margins.collapsed),
        "20 % collapse": Effect(collapsed=0.2),
        "30 % collapse": Effect(collapsed=0.3),
        "every agent loses half": Effect(loss=0.5),
    }


def _rows(name: str, law: Law, scale: float, setting: _Setting) -> list[SeedsNeeded]:
    rows = []
    for mutant, effect in _effects(setting.margins).items():
        comparisons = Comparisons(law, scale, effect, setting.seed)
        alone, among = (agents_for_kill(comparisons, level, setting.power) for level in setting.levels)
        in_looks = comparisons.in_looks(setting.looks, setting.levels[0], setting.healthy)
        rows.append(SeedsNeeded(name, "killed", mutant, alone, among, *in_looks))
    needed = agents_for_survival(Comparisons(law, scale, Effect(), setting.seed), setting.margins, setting.power)
    return [*rows, SeedsNeeded(name, "survived", "does not differ", needed, needed, None, None)]


def _assumptions(mutants: int, setting: _Setting) -> list[str]:
    levels, looks = setting.levels, setting.looks
    percent = partial("{:.3g} %".format)
    return [
        "The scale is the healthy mean unless margins.scale is set. A collapsed agent loses the whole scale.",
        f"{mutants} mutants, level {percent(100 * LEVEL)} of the whole family: {percent(100 * levels[0])} for the only "
        f"mutant that is killed, {percent(100 * levels[1])} where half of the others are killed too.",
        f"Columns alone, among killed: agents of either population for a power of {setting.power:g}, at these two "
        f"levels; {PAIRS} comparisons are simulated per number. Numbers tried: {', '.join(map(str, SIZES))}.",
        f"With looks: mutants are judged at {', '.join(map(str, looks.agents))} agents, beside {setting.healthy} "
        "healthy agents; the power is that of the only mutant that is killed.",
        "Survival is equivalence within both margins. It needs mutants and healthy agents that do not differ at all.",
    ]
