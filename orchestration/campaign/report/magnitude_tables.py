"""The magnitude curves as plain rows."""

from __future__ import annotations

from orchestration.campaign.report.table import Row, Table
from orchestration.campaign.result import CampaignResult


def magnitude_thresholds(result: CampaignResult) -> Table:
    """One row per swept operator and test; an end of the interval outside the swept range is empty."""
    columns = ("operator", "kill_test", "finding", "threshold", "threshold_low", "threshold_high")
    fitted = ("guess", "lapse", "fitted_threshold", "slope")
    rest = ("limit", "healthy_noticed", "healthy_agents", *fitted, "reason")
    rows: list[Row] = []
    for curve in result.magnitude_curves:
        function = curve.function
        row: Row = dict.fromkeys(fitted)
        if function is not None:
            values = (function.guess, function.lapse, function.threshold, function.slope)
            row = dict(zip(fitted, values, strict=True))
        row |= {name: getattr(curve, name) for name in ("operator", "limit", "healthy_noticed", "healthy_agents")}
        row |= {"kill_test": curve.test, "finding": str(curve.finding), "threshold": curve.threshold}
        row |= {"threshold_low": curve.low, "threshold_high": curve.high, "reason": curve.reason}
        rows.append(row)
    return Table((*columns, *rest), tuple(rows))


def magnitudes(result: CampaignResult) -> Table:
    """One row per swept magnitude and test: agents beyond the margin, and the verdict on the mutant."""
    columns = ("operator", "kill_test", "magnitude", "mutant", "noticed", "agents", "share", "share_low", "share_high")
    rows: list[Row] = []
    for curve in result.magnitude_curves:
        for point in curve.points:
            verdict = point.verdict
            row: Row = {name: getattr(point, name) for name in ("magnitude", "mutant", "noticed", "agents")}
            row |= {"operator": curve.operator, "kill_test": curve.test, "share": point.noticed / point.agents}
            row |= {"share_low": point.low, "share_high": point.high}
            row["outcome"] = None if verdict is None or verdict.outcome is None else str(verdict.outcome)
            row["p_value"] = None if verdict is None else verdict.p_value
            rows.append(row)
    return Table((*columns, "outcome", "p_value"), tuple(rows))
