"""Magnitude curves in words: one sentence per curve, and the values of their table on the page."""

from __future__ import annotations

from typing import Any

from mutations.magnitude_threshold import ThresholdFinding
from orchestration.campaign import result_facts as facts
from orchestration.campaign.magnitude_curve import MagnitudeCurve, MagnitudePoint
from orchestration.campaign.report import formatting
from orchestration.campaign.report.matrix_view import outcome_view
from orchestration.campaign.result import CampaignResult


def threshold_text(curve: MagnitudeCurve) -> str:
    """``noticed from magnitude 0.13 [0.09, 0.18]``, or why there is no such number."""
    if not curve.points:
        return f"no threshold within the swept range: {curve.reason}"
    smallest, largest = curve.points[0].magnitude, curve.points[-1].magnitude
    if curve.finding is ThresholdFinding.WITHIN:
        low = f"below {smallest:g}" if curve.low is None else formatting.number(curve.low, 2)
        high = f"above {largest:g}" if curve.high is None else formatting.number(curve.high, 2)
        return f"noticed from magnitude {formatting.number(curve.threshold, 2)} [{low}, {high}]"
    if curve.finding is ThresholdFinding.BELOW:
        end = "" if curve.high is None else f" [at most {formatting.number(curve.high, 2)}]"
        return f"noticed from a magnitude below {smallest:g}{end}: {curve.reason}"
    return f"no threshold within the swept range, {smallest:g} to {largest:g}: {curve.reason}"


def magnitude_lines(result: CampaignResult) -> list[str]:
    """One sentence per operator, by the test that heads the report."""
    return [f"{curve.operator}: {threshold_text(curve)}." for curve in primary_curves(result)]


def primary_curves(result: CampaignResult) -> list[MagnitudeCurve]:
    """The curves of the heading test, or of the first test that has any."""
    tests = facts.unique(curve.test for curve in result.magnitude_curves)
    primary = facts.primary_test(result)
    test = primary if primary in tests else next(iter(tests), None)
    return [curve for curve in result.magnitude_curves if curve.test == test]


def curve_views(result: CampaignResult) -> list[dict[str, Any]]:
    """Every curve with its points as rows of the page, heading test first."""
    curves = primary_curves(result)
    others = [curve for curve in result.magnitude_curves if curve not in curves]
    return [
        {
            "operator": curve.operator,
            "test": curve.test,
            "text": threshold_text(curve),
            "limit": formatting.number(curve.limit),
            "healthy": f"{curve.healthy_noticed} of {curve.healthy_agents}",
            "rows": [_row(point) for point in curve.points],
        }
        for curve in (*curves, *others)
    ]


def _row(point: MagnitudePoint) -> dict[str, Any]:
    return {
        "magnitude": f"{point.magnitude:g}",
        "mutant": point.mutant,
        "noticed": f"{point.noticed} of {point.agents}",
        "interval": f"{100 * point.low:.0f} to {100 * point.high:.0f} %",
        "outcome": outcome_view(point.verdict),
    }
