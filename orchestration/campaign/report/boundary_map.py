"""The map of one boundary search: a line for one parameter, a plane for two, pairs of planes for more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mutations.killing.kill_test import Outcome
from orchestration.campaign import result_facts as facts
from orchestration.campaign.report import svg
from orchestration.campaign.result import BoundaryReport, CampaignResult, Point

WIDTH = 960.0


@dataclass(frozen=True, slots=True)
class Panel:
    """One map, as data.

    Attributes:
        x, y: names of the axes.
        probes: (x, y, outcome) of every point evaluated.
        environments: (x, y, label) of the environments kept.
        by_kill_test: whether a kill test searched, by the published rule.
    """

    x: str
    y: str
    probes: tuple[tuple[float, float, Outcome], ...]
    environments: tuple[tuple[float, float, str], ...]
    by_kill_test: bool = True

    def name(self, outcome: Outcome) -> str:
        """The legend's word for an answer."""
        return (BY_KILL_TEST if self.by_kill_test else BY_EQUIVALENCE)[outcome]


MARKERS = {
    Outcome.SURVIVED: ("o", svg.SURVIVED),
    Outcome.INCONCLUSIVE: ("^", svg.INCONCLUSIVE),
    Outcome.KILLED: ("X", svg.KILLED),
}

BY_EQUIVALENCE = {
    Outcome.SURVIVED: "accepted: same behaviour shown",
    Outcome.INCONCLUSIVE: "unknown",
    Outcome.KILLED: "rejected: difference shown",
}

BY_KILL_TEST = {
    Outcome.SURVIVED: "same behaviour",
    Outcome.INCONCLUSIVE: "inconclusive (taken as the same)",
    Outcome.KILLED: "behaviour changed",
}


def panels_of(result: CampaignResult, report: BoundaryReport) -> tuple[Panel, ...]:
    """What to draw: one panel for one or two parameters, one for every pair otherwise."""
    if len(result.parameters) == 1:
        return (_line_panel(result, report),)
    return tuple(_plane_panel(result, report, x, y) for x, y in combinations(result.parameters, 2))


def _line_panel(result: CampaignResult, report: BoundaryReport) -> Panel:
    """One parameter: the healthy agents' mean reward along it."""
    (name,) = result.parameters
    labels = facts.labels_by_point(result)
    means = {probe.point: probe.healthy_mean for probe in report.probes}
    healthy = facts.healthy_of(result)
    initial = sum(healthy.rewards) / len(healthy.rewards) if healthy and healthy.rewards else math.nan
    probes = tuple((dict(probe.point)[name], probe.healthy_mean, probe.outcome) for probe in report.probes)
    environments = tuple(
        (dict(environment.point)[name], means.get(environment.point, initial), labels[environment.point])
        for environment in report.environments
    )
    return Panel(name, "healthy agents' mean reward", probes, environments, report.by_kill_test)


def _plane_panel(result: CampaignResult, report: BoundaryReport, x: str, y: str) -> Panel:
    """Two of the parameters: only points that leave all others at their initial value lie in this plane."""
    labels = facts.labels_by_point(result)
    initial = next(
        (dict(environment.point) for environment in report.environments if environment.kind == "initial"), {}
    )

    def here(point: Point) -> bool:
        return all(name in (x, y) or initial.get(name, value) == value for name, value in point)

    probes = tuple(
        (dict(probe.point)[x], dict(probe.point)[y], probe.outcome) for probe in report.probes if here(probe.point)
    )
    environments = tuple(
        (dict(environment.point)[x], dict(environment.point)[y], labels[environment.point])
        for environment in report.environments
        if here(environment.point)
    )
    return Panel(x, y, probes, environments, report.by_kill_test)


def canvas_of(panels: Sequence[Panel]) -> svg.Canvas:
    """Draw the panels side by side, three at most in a row, under one legend."""
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    size = {1: (580.0, 350.0), 2: (400.0, 300.0), 3: (246.0, 216.0)}[columns]
    left, right, head, foot = 62.0, 12.0, 34.0, 50.0
    width = max(700.0, columns * (left + size[0] + right))
    canvas = svg.Canvas(width, head + rows * (size[1] + foot))
    _legend(canvas, panels)
    for index, panel in enumerate(panels):
        row, column = divmod(index, columns)
        box = (left + column * (left + size[0] + right), head + row * (size[1] + foot), *size)
        _draw(canvas.panel(box), panel)
    return canvas


def _legend(canvas: svg.Canvas, panels: Sequence[Panel]) -> None:
    seen = {outcome for panel in panels for _, _, outcome in panel.probes}
    handles = [
        Line2D([], [], linestyle="", marker=marker, color=colour, markersize=7, label=panels[0].name(outcome))
        for outcome, (marker, colour) in MARKERS.items()
        if outcome in seen
    ]
    kept = Line2D(
        [],
        [],
        linestyle="",
        marker="D",
        color=svg.INK,
        fillstyle="none",
        markersize=9,
        label="test environment",
    )
    canvas.figure.legend(
        handles=[*handles, kept],
        loc="upper left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=4,
        handletextpad=0.2,
        columnspacing=1.6,
        borderaxespad=0.2,
    )


def _draw(axes: Axes, panel: Panel) -> None:
    axes.grid(linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel(panel.x)
    axes.set_ylabel(panel.y)
    for outcome, (marker, colour) in MARKERS.items():
        points = [(x, y) for x, y, answer in panel.probes if answer is outcome]
        axes.scatter(*_columns(points), s=58, marker=marker, color=colour, linewidths=0, alpha=0.85, zorder=3)
    kept = [(x, y) for x, y, _ in panel.environments]
    axes.scatter(*_columns(kept), s=125, marker="D", facecolors="none", edgecolors=svg.INK, linewidths=1.5, zorder=4)
    axes.margins(0.09)
    axes.autoscale_view()
    _label(axes, panel)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _label(axes: Axes, panel: Panel) -> None:
    """Put each environment's name where it is furthest from points and from names already placed."""
    to_pixels = axes.transData.transform
    box = axes.get_window_extent()
    taken = [tuple(to_pixels((x, y))) for x, y, _ in (*panel.probes, *panel.environments) if math.isfinite(y)]
    for x, y, label in panel.environments:
        if not math.isfinite(y):
            continue
        at_x, at_y = to_pixels((x, y))
        best, offset = -math.inf, (16.0, 12.0)
        for turn in range(8):
            across, up = 20.0 * math.cos(turn * math.pi / 4 + 0.6), 17.0 * math.sin(turn * math.pi / 4 + 0.6)
            spot = (at_x + across, at_y + up)
            inside = box.x0 + 10 < spot[0] < box.x1 - 10 and box.y0 + 8 < spot[1] < box.y1 - 8
            room = min(math.dist(spot, other) for other in taken) - (0 if inside else 1000)
            if room > best + 1e-9:
                best, offset = room, (across, up)
        taken.append((at_x + offset[0], at_y + offset[1]))
        axes.annotate(
            label, (x, y), xytext=offset, textcoords="offset points", ha="center", va="center", fontweight="bold"
        )
