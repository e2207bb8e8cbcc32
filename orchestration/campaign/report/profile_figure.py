"""Performance profiles as small multiples: which share of the agents earns more than a reward, mutant and healthy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mutations.reliability import PerformanceProfile
from orchestration.campaign import result_facts as facts
from orchestration.campaign.report import figures, formatting, svg
from orchestration.campaign.report.reliability import describable, profile_of, rewards_of, seed_of
from orchestration.campaign.result import CampaignResult, PopulationResult

COLUMNS = 4
PANEL_HEIGHT, TITLE, GAP, HEAD, FOOT, LEFT = 118.0, 24.0, 18.0, 6.0, 50.0, 56.0
ROW = TITLE + PANEL_HEIGHT + 14.0


def performance_profiles(result: CampaignResult) -> Markup | None:
    """One panel for each mutant in front of the healthy population; None without agents."""
    healthy = facts.healthy_of(result)
    mutants = [population for population in facts.mutant_populations(result) if describable(population)]
    if healthy is not None and not describable(healthy):
        healthy = None
    shown = mutants or ([healthy] if healthy else [])
    if not shown:
        return None
    label = f"Performance profiles: share of agents above a reward, {len(mutants)} mutants against healthy agents."
    return svg.draw(partial(_canvas, result, healthy, shown), "profiles", label)


def _canvas(result: CampaignResult, healthy: PopulationResult | None, shown: Sequence[PopulationResult]) -> svg.Canvas:
    columns = min(COLUMNS, len(shown))
    width = min(figures.WIDTH, LEFT + columns * 300.0)
    panel_width = (width - LEFT - 8.0 - GAP * (columns - 1)) / columns
    canvas = svg.Canvas(width, HEAD + math.ceil(len(shown) / columns) * ROW + FOOT - 14.0)
    colours, seed = figures.outcome_colours(result), seed_of(result)
    ends = _range([*([healthy] if healthy else []), *shown])
    for index, population in enumerate(shown):
        row, column = divmod(index, columns)
        box = (LEFT + column * (panel_width + GAP), HEAD + row * ROW + TITLE, panel_width, PANEL_HEIGHT)
        axes = canvas.panel(box)
        axes.set_title(formatting.elide(population.mutant, 27), loc="left", pad=5.0)
        if healthy is not None and healthy is not population:
            _profile(axes, profile_of(healthy, seed), _above_all(healthy), ends, svg.HEALTHY)
        _profile(axes, profile_of(population, seed), _above_all(population), ends, colours[population.mutant])
        _decorate(axes, ends, leftmost=column == 0, lowest=index + columns >= len(shown))
    return canvas


def _range(populations: Sequence[PopulationResult]) -> tuple[float, float]:
    rewards = [reward for population in populations for reward in population.rewards]
    low, high = min(rewards, default=0.0), max(rewards, default=1.0)
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin


def _above_all(population: PopulationResult) -> float:
    """The profile left of all rewards: the share of agents that live."""
    return len(population.rewards) / len(rewards_of(population))


def _profile(axes: Axes, profile: PerformanceProfile, start: float, ends: tuple[float, float], colour: str) -> None:
    """A falling step function with its interval as a band, from the left edge to the right one."""

    def steps(values: Sequence[float]) -> list[float]:
        return [start, *values, values[-1] if values else start]

    rewards = [ends[0], *profile.thresholds, ends[1]]
    axes.fill_between(
        rewards, steps(profile.low), steps(profile.high), step="post", color=colour, alpha=0.2, linewidth=0
    )
    axes.step(rewards, steps(profile.shares), where="post", color=colour, linewidth=1.7)


def _decorate(axes: Axes, ends: tuple[float, float], leftmost: bool, lowest: bool) -> None:
    axes.set_xlim(*ends)
    axes.set_ylim(-0.03, 1.03)
    axes.grid(linewidth=0.7)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_yticks([0.0, 0.5, 1.0])
    axes.tick_params(labelleft=leftmost, labelbottom=lowest, length=2.5)
    if leftmost:
        axes.set_ylabel("share above", fontsize=11)
    if lowest:
        axes.set_xlabel("mean reward", fontsize=11)
