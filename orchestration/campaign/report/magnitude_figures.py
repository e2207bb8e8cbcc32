"""A small picture per magnitude curve: shares of noticed agents with intervals, the fitted curve, the threshold."""

from __future__ import annotations

from functools import partial

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from mutations.killing.kill_test import Direction, Outcome
from orchestration.campaign import result_facts as facts
from orchestration.campaign.magnitude_curve import MagnitudeCurve, MagnitudePoint
from orchestration.campaign.report import svg
from orchestration.campaign.report.figures import OUTCOME_COLOURS
from orchestration.campaign.report.magnitude_view import threshold_text
from orchestration.campaign.result import CampaignResult

WIDTH, HEIGHT = 460.0, 250.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 62.0, 12.0, 14.0, 48.0
_CURVE_POINTS = 80


def magnitude_figures(result: CampaignResult) -> list[tuple[str, Markup]]:
    """(operator, picture) of every curve; points have the colour of their verdict by the report's heading test."""
    outcomes = facts.initial_outcomes(result)
    return [
        (curve.operator, svg.draw(partial(_canvas, curve, outcomes), f"magnitude{position}", _label(curve)))
        for position, curve in enumerate(result.magnitude_curves)
        if curve.points
    ]


def _label(curve: MagnitudeCurve) -> str:
    return f"Share of noticed agents over the magnitude of {curve.operator}: {threshold_text(curve)}."


def _canvas(curve: MagnitudeCurve, outcomes: dict[str, Outcome | Direction]) -> svg.Canvas:
    canvas = svg.Canvas(WIDTH, HEIGHT)
    axes = canvas.panel((_LEFT, _TOP, WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM))
    ends = curve.points[0].magnitude / 1.25, curve.points[-1].magnitude * 1.25
    _axes(axes, curve, ends)
    _threshold(axes, curve, ends)
    if curve.healthy_agents:
        axes.axhline(
            curve.healthy_noticed / curve.healthy_agents, color=svg.HEALTHY, linewidth=1.3, linestyle=(0, (4, 3))
        )
    if curve.function is not None:
        places = np.geomspace(*ends, _CURVE_POINTS)
        axes.plot(places, curve.function.chance(places), color=svg.INK, linewidth=1.7)
    for point in curve.points:
        _point(axes, point, outcomes.get(point.mutant))
    return canvas


def _axes(axes: Axes, curve: MagnitudeCurve, ends: tuple[float, float]) -> None:
    axes.set_xscale("log")
    axes.set_xlim(*ends)
    axes.set_ylim(-0.04, 1.04)
    axes.xaxis.set_major_locator(FixedLocator([point.magnitude for point in curve.points]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:g}"))
    axes.yaxis.set_major_locator(FixedLocator([0.0, 0.25, 0.5, 0.75, 1.0]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _position: f"{100 * value:.0f} %"))
    axes.grid(linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=2.5)
    axes.set_xlabel(f"magnitude of {curve.operator}")
    axes.set_ylabel("agents noticed")


def _threshold(axes: Axes, curve: MagnitudeCurve, ends: tuple[float, float]) -> None:
    """The interval as a band, open ends at the edge of the picture, and the threshold as an upright line."""
    if curve.threshold is None:
        return
    low = ends[0] if curve.low is None else curve.low
    high = ends[1] if curve.high is None else curve.high
    axes.axvspan(low, high, color=svg.NEUTRAL, alpha=0.18, linewidth=0)
    axes.axvline(curve.threshold, color=svg.NEUTRAL, linewidth=1.6)


def _point(axes: Axes, point: MagnitudePoint, outcome: Outcome | Direction | None) -> None:
    colour = svg.MUTED if outcome is None else OUTCOME_COLOURS[outcome]
    axes.vlines(point.magnitude, point.low, point.high, color=colour, linewidth=1.5)
    axes.scatter([point.magnitude], [point.noticed / point.agents], s=38, color=colour, linewidths=0, zorder=3)
