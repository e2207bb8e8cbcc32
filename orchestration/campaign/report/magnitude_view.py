"""Magnitude curves in words: one sentence per curve, and the values of their tables on the page."""

from __future__ import annotations

from typing import Any

from mutations.psychometric import ThresholdFinding
from orchestration.campaign import result_facts as facts
from orchestration.campaign.magnitude_curve import MagnitudeCurve, MagnitudePoint
from orchestration.campaign.report import formatting
from orchestration.campaign.report.matrix_view import View, outcome_view
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
    """One sentence per curve."""
    return [f"{curve.operator}: {threshold_text(curve)}." for curve in result.magnitude_curves]


def magnitudes_view(result: CampaignResult) -> View | None:
    """The tests that judged the swept mutants, and every curve with its points as rows."""
    if not result.magnitude_curves:
        return None
    points = [point for curve in result.magnitude_curves for point in curve.points]
    tests = facts.unique(verdict.test for point in points for verdict in point.verdicts)
    return {
        "tests": tests,
        "curves": [
            {
                "operator": curve.operator,
                "text": threshold_text(curve),
                "limit": formatting.number(curve.limit),
                "healthy": f"{curve.healthy_noticed} of {curve.healthy_agents}",
                "rows": [_row(point, tests) for point in curve.points],
            }
            for curve in result.magnitude_curves
        ],
    }


def _row(point: MagnitudePoint, tests: tuple[str, ...]) -> dict[str, Any]:
    verdicts = {verdict.test: verdict for verdict in point.verdicts}
    return {
        "magnitude": f"{point.magnitude:g}",
        "mutant": point.mutant,
        "noticed": f"{point.noticed} of {point.agents}",
        "interval": f"{100 * point.low:.0f} to {100 * point.high:.0f} %",
        "cells": [outcome_view(verdicts.get(test)) for test in tests],
    }
