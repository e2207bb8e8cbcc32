"""The report's pictures: reward distributions, learning curves, and the map of boundary environments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mutations.killing.kill_test import Direction, Outcome
from orchestration.campaign import result_facts as facts
from orchestration.campaign.report import boundary_map, formatting, svg
from orchestration.campaign.result import CampaignResult, LearningCurve, PopulationResult

WIDTH = 960.0
CURVE_COLUMNS = 4
MAX_CURVE_POINTS = 120

OUTCOME_COLOURS: dict[Outcome | Direction, str] = {
    Outcome.KILLED: svg.KILLED,
    Outcome.SURVIVED: svg.SURVIVED,
    Outcome.INCONCLUSIVE: svg.INCONCLUSIVE,
    Direction.BETTER: svg.SURVIVED,
}


def compact(value: float, _position: object = None) -> str:
    """``200k``, ``1.5M`` for axes of steps."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def outcome_colours(result: CampaignResult) -> dict[str, str]:
    """Mutant -> the colour of its outcome by the report's heading test (the initial environment's)."""
    chosen = {mutant: OUTCOME_COLOURS[outcome] for mutant, outcome in facts.initial_outcomes(result).items()}
    return {
        population.mutant: svg.HEALTHY if population.order == 0 else chosen.get(population.mutant, svg.NEUTRAL)
        for population in result.populations
    }


def reward_distributions(result: CampaignResult) -> Markup | None:
    """One row per population: every agent as a point, quartiles and median as a box, the healthy range as a band."""
    healthy = facts.healthy_of(result)
    populations = [*([healthy] if healthy else []), *facts.mutant_populations(result)]
    if not any(population.rewards for population in populations):
        return None
    label = f"Mean reward of every agent, one row for each of {len(populations)} populations."
    return svg.draw(partial(_rewards_canvas, result, populations), "rewards", label)


def _rewards_canvas(result: CampaignResult, populations: Sequence[PopulationResult]) -> svg.Canvas:
    row, head, foot = 27.0, 8.0, 48.0
    left = 16.0 + 7.4 * max(len(formatting.elide(population.mutant)) for population in populations)
    height = head + row * len(populations) + foot
    canvas = svg.Canvas(WIDTH, height)
    axes = canvas.panel((left, head, WIDTH - left - 190.0, row * len(populations)))
    axes.set_ylim(len(populations) - 0.5, -0.5)
    axes.set_yticks(range(len(populations)), [formatting.elide(population.mutant) for population in populations])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel(f"mean reward of an agent over its evaluation episodes, {result.environment}")
    colours = outcome_colours(result)
    if populations[0].order == 0 and populations[0].rewards:
        _healthy_band(axes, populations[0].rewards)
    if result.threshold is not None:
        axes.axvline(result.threshold, color=svg.MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
    outcomes = facts.initial_outcomes(result)
    for position, population in enumerate(populations):
        _row_text(axes, position, population, outcomes.get(population.mutant))
        _reward_row(axes, position, population, colours[population.mutant])
    return canvas


def _healthy_band(axes: Axes, rewards: Sequence[float]) -> None:
    axes.axvspan(min(rewards), max(rewards), color=svg.HEALTHY, alpha=0.16, linewidth=0)
    axes.axvline(float(np.median(rewards)), color=svg.HEALTHY, linewidth=1.4)


def _row_text(axes: Axes, position: int, population: PopulationResult, outcome: Outcome | Direction | None) -> None:
    """Outcome and number of agents, right of the row."""
    lost = [
        f", {len(some)} {word}" for some, word in ((population.dead, "dead"), (population.failed, "failed")) if some
    ]
    count = f"{len(population.rewards)} agents" + "".join(lost)
    text = f"{outcome}, {count}" if outcome else count
    end = axes.get_yaxis_transform()
    axes.text(1.012, position, text, transform=end, va="center", color=svg.MUTED, fontsize=11, clip_on=False)


def _reward_row(axes: Axes, position: int, population: PopulationResult, colour: str) -> None:
    if population.order >= 2:
        axes.axhspan(position - 0.5, position + 0.5, color=svg.GRID, alpha=0.28, linewidth=0, zorder=0)
    if not population.rewards:
        text = "all agents died" if population.dead else "no agent was trained"
        end = axes.get_yaxis_transform()
        axes.text(0.5, position, text, transform=end, va="center", ha="center", color=svg.MUTED)
        return
    low, middle, high = np.percentile(population.rewards, [25, 50, 75])
    axes.add_patch(Rectangle((low, position - 0.31), high - low, 0.62, facecolor=colour, alpha=0.22, linewidth=0))
    axes.add_patch(Rectangle((low, position - 0.31), high - low, 0.62, fill=False, edgecolor=colour, linewidth=1.1))
    axes.vlines(middle, position - 0.31, position + 0.31, color=colour, linewidth=2.6)
    # The spread of the points is a fixed sequence, not a random one: equal results give equal pages.
    spread = [((index * 0.6180339887) % 1.0 - 0.5) * 0.46 for index in range(len(population.rewards))]
    heights = [position + offset for offset in spread]
    axes.scatter(population.rewards, heights, s=17, color=colour, alpha=0.62, linewidths=0, zorder=3)


def learning_curves(result: CampaignResult) -> Markup | None:
    """Small multiples: each mutant's training return over steps in front of the healthy one's."""
    healthy = facts.healthy_of(result)
    mutants = [population for population in facts.mutant_populations(result) if population.curve is not None]
    if healthy is not None and healthy.curve is None:
        healthy = None
    shown = mutants or ([healthy] if healthy else [])
    if not shown:
        return None
    label = f"Training return over steps, {len(mutants)} mutants, each against the healthy population."
    return svg.draw(partial(_curves_canvas, result, healthy, shown), "curves", label)


def _curves_canvas(
    result: CampaignResult, healthy: PopulationResult | None, shown: Sequence[PopulationResult]
) -> svg.Canvas:
    columns = min(CURVE_COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    left, head, foot, gap, title, panel_height = 56.0, 6.0, 50.0, 18.0, 24.0, 118.0
    width = min(WIDTH, left + columns * 300.0)
    panel_width = (width - left - 8.0 - gap * (columns - 1)) / columns
    canvas = svg.Canvas(width, head + rows * (title + panel_height + 14.0) + foot - 14.0)
    colours = outcome_colours(result)
    low, high = _curve_range([*([healthy] if healthy else []), *shown])
    for index, population in enumerate(shown):
        row, column = divmod(index, columns)
        top = head + row * (title + panel_height + 14.0) + title
        axes = canvas.panel((left + column * (panel_width + gap), top, panel_width, panel_height))
        axes.set_title(formatting.elide(population.mutant, 27), loc="left", pad=5.0)
        if healthy is not None and healthy is not population and healthy.curve is not None:
            _curve(axes, healthy.curve, svg.HEALTHY)
        if population.curve is not None:
            _curve(axes, population.curve, colours[population.mutant])
        axes.set_ylim(low, high)
        _curve_axes(axes, leftmost=column == 0, lowest=index + columns >= len(shown))
    return canvas


def _curve_axes(axes: Axes, leftmost: bool, lowest: bool) -> None:
    axes.grid(linewidth=0.7)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(compact))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(compact))
    axes.tick_params(labelleft=leftmost, labelbottom=lowest, length=2.5)
    if leftmost:
        axes.set_ylabel("return", fontsize=11)
    if lowest:
        axes.set_xlabel("steps", fontsize=11)


def _curve(axes: Axes, curve: LearningCurve, colour: str) -> None:
    chosen = np.unique(
        np.linspace(0, len(curve.steps) - 1, min(len(curve.steps), MAX_CURVE_POINTS)).round().astype(int)
    )
    steps, mean, low, high = (np.asarray(line, dtype=float)[chosen] for line in _lines(curve))
    axes.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(steps, mean, color=colour, linewidth=1.7)


def _lines(curve: LearningCurve) -> tuple[tuple[float, ...], ...]:
    return curve.steps, curve.mean, curve.low, curve.high


def _curve_range(populations: Sequence[PopulationResult]) -> tuple[float, float]:
    values = [
        value
        for population in populations
        if population.curve is not None
        for line in _lines(population.curve)[1:]
        for value in line
        if math.isfinite(value)
    ]
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def boundary_maps(result: CampaignResult) -> list[tuple[str, Markup]]:
    """(test, picture) for every boundary search: where behaviour stays the same, where it changes, what was kept."""
    maps = []
    for position, report in enumerate(result.boundaries):
        if not (report.probes or report.environments) or not result.parameters:
            continue
        label = (
            f"Map of the boundary search by {report.test}: {len(report.probes)} points tried, "
            f"{len(report.environments)} test environments kept."
        )
        picture = partial(boundary_map.canvas_of, boundary_map.panels_of(result, report))
        maps.append((report.test, svg.draw(picture, f"map{position}", label)))
    return maps


def effect_bar(scale: formatting.EffectScale, effect: float | None, low: float | None, high: float | None) -> Markup:
    """An effect size with its interval as one row of a forest plot; the upright line means "no difference"."""
    if effect is None or math.isnan(effect):
        return Markup("")
    width, middle = 150.0, 9.0

    def place(value: float) -> float:
        share = (value - scale.low) / (scale.high - scale.low)
        return round(7.0 + (width - 14.0) * min(1.0, max(0.0, share)), 1)

    where, none = place(effect), place(scale.neutral)
    line = f'<line class="fb-none" x1="{none}" x2="{none}" y1="0" y2="18"/>'
    if low is not None and high is not None:
        line += f'<line class="fb-range" x1="{place(low)}" x2="{place(high)}" y1="{middle}" y2="{middle}"/>'
    if effect > scale.high:
        mark = f'<path class="fb-mark" d="M{where - 4} {middle - 5}l8 5l-8 5z"/>'
    elif effect < scale.low:
        mark = f'<path class="fb-mark" d="M{where + 4} {middle - 5}l-8 5l8 5z"/>'
    else:
        mark = f'<circle class="fb-mark" cx="{where}" cy="{middle}" r="4"/>'
    return Markup(f'<svg class="forest" viewBox="0 0 {width:g} 18" aria-hidden="true">{line}{mark}</svg>')
