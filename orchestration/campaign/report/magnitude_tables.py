"""The magnitude curves as plain rows."""

from __future__ import annotations

from orchestration.campaign.report.table import Row, Table
from orchestration.campaign.result import CampaignResult


def magnitude_thresholds(result: CampaignResult) -> Table:
    """One row per swept operator; a number outside the swept range is empty."""
    columns = ("operator", "finding", "threshold", "low", "high", "limit", "healthy_noticed", "healthy_agents")
    fitted = ("guess", "lapse", "fitted_threshold", "slope")
    rows: list[Row] = []
    for curve in result.magnitude_curves:
        row: Row = {name: getattr(curve, name) for name in (*columns, "reason")}
        values: tuple[float | None, ...] = (None,) * len(fitted)
        if (function := curve.function) is not None:
            values = (function.guess, function.lapse, function.threshold, function.slope)
        rows.append({**row, "finding": str(curve.finding), **dict(zip(fitted, values, strict=True))})
    return Table((*columns, *fitted, "reason"), tuple(rows))


def magnitudes(result: CampaignResult) -> Table:
    """One row per swept magnitude: agents beyond the margin."""
    columns = ("mutant", "magnitude", "noticed", "agents", "low", "high")
    rows: list[Row] = [
        {
            "operator": curve.operator,
            "share": point.noticed / point.agents,
            **{name: getattr(point, name) for name in columns},
        }
        for curve in result.magnitude_curves
        for point in curve.points
    ]
    return Table(("operator", *columns, "share"), tuple(rows))


def magnitude_verdicts(result: CampaignResult) -> Table:
    """One row per swept magnitude and kill test."""
    numbers = ("p_value", "p_adjusted", "effect_size", "effect_low", "effect_high", "reason")
    rows: list[Row] = []
    for curve in result.magnitude_curves:
        for point in curve.points:
            for verdict in point.verdicts:
                outcome = None if verdict.outcome is None else str(verdict.outcome)
                head: Row = {"operator": curve.operator, "mutant": point.mutant, "test": verdict.test}
                row: Row = {"outcome": outcome, "direction": str(verdict.direction)}
                rows.append({**head, **row, **{name: getattr(verdict, name) for name in numbers}})
    return Table(("operator", "mutant", "test", "outcome", "direction", *numbers), tuple(rows))
