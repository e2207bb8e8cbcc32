"""Matplotlib figures as inline SVG that follows the page: its fonts, its colours, light, dark and print.

Colours are drawn as fixed stand-ins and replaced by the page's CSS variables, so one picture serves every theme.
Only matplotlib's object-oriented API is used; its settings are changed inside a context and restored.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#010203"
MUTED = "#020304"
GRID = "#030405"
HEALTHY = "#040506"
KILLED = "#050607"
SURVIVED = "#060708"
INCONCLUSIVE = "#070809"
NEUTRAL = "#08090a"
PAPER = "#090a0b"

CSS_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    HEALTHY: "--healthy",
    KILLED: "--killed",
    SURVIVED: "--survived",
    INCONCLUSIVE: "--inconclusive",
    NEUTRAL: "--neutral",
    PAPER: "--paper",
}
"""Stand-in colour -> the page's variable."""

MIN_WIDTH = 660.0
"""A picture scrolls in its own box rather than shrink below this, in pixels: its text would be too small."""

SETTINGS: dict[str, Any] = {
    "svg.hashsalt": "proctor",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 12.0,
    "axes.titlesize": 12.0,
    "axes.labelsize": 12.0,
    "xtick.labelsize": 11.0,
    "ytick.labelsize": 11.0,
    "legend.fontsize": 12.0,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "legend.frameon": False,
    "path.simplify": False,
}

Box = tuple[float, float, float, float]
"""Left, top, width, height of a panel, in pixels from the picture's upper left corner."""


class Canvas:
    """A picture measured in pixels, `width` wide and `height` high."""

    def __init__(self, width: float, height: float) -> None:
        self.width = width
        self.height = height
        self.figure = Figure(figsize=(width / 72, height / 72), dpi=72)

    def panel(self, box: Box) -> Axes:
        """Axes in a box."""
        left, top, width, height = box
        bottom = self.height - top - height
        place = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(place)

    def markup(self, name: str, label: str) -> Markup:
        """The picture as inline SVG; `name` makes its ids unique, `label` is its text alternative."""
        buffer = io.StringIO()
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        self.figure.savefig(buffer, format="svg", metadata=metadata)
        return Markup(_inline(buffer.getvalue(), name, label, self.width))


def draw(picture: Callable[[], Canvas], name: str, label: str) -> Markup:
    """Draw a picture under the report's settings, whatever the user's matplotlib is set to."""
    with _settings():
        return picture().markup(name, label)


@contextmanager
def _settings() -> Iterator[None]:
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        settings: dict[Any, Any] = SETTINGS
        matplotlib.rcParams.update(settings)
        yield


def _inline(text: str, name: str, label: str, width: float) -> str:
    """A stand-alone SVG file's text as an element of an HTML page."""
    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<style type=\"text/css\">.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r"\s*<defs>\s*</defs>", "", body)
    body = re.sub(r"font-family: [^;\"]*(; )?", "", body)
    body = re.sub(r" transform=\"rotate\(-0 [^\"]*\)\"", "", body)
    referenced = set(re.findall(r"(?:xlink:href=\"#|url\(#)([^\")]+)", body))
    keep = {identity: f"{name}-{position}" for position, identity in enumerate(sorted(referenced))}
    body = re.sub(r" id=\"([^\"]*)\"", lambda match: _identity(keep, match.group(1)), body)
    body = re.sub(r"(xlink:href=\"#|url\(#)([^\")]+)", lambda match: match.group(1) + keep[match.group(2)], body)
    for colour, variable in CSS_VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    view = re.search(r"viewBox=\"[^\"]*\"", body)
    box = view.group(0) if view else ""
    size = f"max-width:{width:g}px;min-width:{min(width, MIN_WIDTH):g}px"
    head = f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" {box} style="{size}"'
    return head + f' role="img" aria-label="{escape(label, quote=True)}"' + body[body.index(">") :].strip()


def _identity(keep: dict[str, str], identity: str) -> str:
    return f' id="{keep[identity]}"' if identity in keep else ""
