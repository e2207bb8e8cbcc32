"""Curves of replays: how early failures are found, cycle after cycle, for agents against baselines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agents.scheduling.observation import FloatArray
from envsearch.errors import InputError, StoreUnavailableError

WINDOW = 0.15
"""Width of the rolling mean, as a share of the points; at least 5 of them."""
COLOURS = ("#1b6ca8", "#c1440e", "#2e8b57", "#8a4fbf", "#b8860b", "#d14a80", "#3b3b98", "#5d737e")
BASELINE_COLOURS = ("#555555", "#888888", "#aaaaaa", "#777777", "#999999", "#666666")


def rolling(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(cycle from 1, mean over the last points) of the values that are numbers."""
    places = np.flatnonzero(~np.isnan(values))
    if not len(places):
        return np.zeros(0), np.zeros(0)
    width = min(len(places), max(5, round(WINDOW * len(places))))
    sums = np.concatenate([[0.0], np.cumsum(values[places])])
    ends = np.arange(1, len(places) + 1)
    begins = np.maximum(0, ends - width)
    return (places + 1).astype(np.float64), (sums[ends] - sums[begins]) / (ends - begins)


def draw(panels: Sequence[tuple[str, Sequence[tuple[str, bool, FloatArray]]]], title: str, path: Path) -> None:
    """One panel per measure, one line per agent; baselines are grey and dashed.

    Args:
        panels: (label of the axis, [(name, is a baseline, value per cycle)]).
        path: PNG, SVG or PDF, by its ending; PNG without one.

    Raises:
        StoreUnavailableError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(9.0, 3.2 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
    for axis, (label, lines) in zip(axes, panels, strict=True):
        _panel(axis, label, lines)
    axes[-1].set_xlabel("cycle")
    axes[0].legend(fontsize=8, ncols=2)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120, format=None if path.suffix else "png")
    except ValueError as error:  # the file name's ending is wrong: everything else has been drawn already
        raise InputError(str(error), "--plot", "the name of a file that ends with .png or .svg", str(path)) from error
    except OSError as error:
        raise StoreUnavailableError(f"cannot be written ({error.strerror})", "--plot", source=str(path)) from error


def _panel(axis: Any, label: str, lines: Sequence[tuple[str, bool, FloatArray]]) -> None:
    colours, greys = iter(COLOURS * 4), iter(BASELINE_COLOURS * 4)
    for name, baseline, values in lines:
        x, y = rolling(values)
        style = {"color": next(greys), "linestyle": "--", "linewidth": 1.2} if baseline else {"color": next(colours)}
        axis.plot(x, y, label=name, **style)
    axis.set_ylabel(label)
    axis.grid(alpha=0.25)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
