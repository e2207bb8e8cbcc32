"""Numbers, names and durations for a reader: what the page, the figures and the terminal summary print alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from mutations.killing.kill_test import KillVerdict
from mutations.score import ScoreUncertainty

COHEN_TESTS = ("reward_distribution", "distance_distribution")
"""Tests whose effect size is a Cohen d (no effect: 0); elsewhere it is a Vargha-Delaney A (no effect: 0.5), or that of
a test of margins, a difference of means as a share of the scale (no effect: 0)."""


@dataclass(frozen=True, slots=True)
class EffectScale:
    """How one test's effect sizes are drawn.

    Attributes:
        name: what the effect size is called.
        neutral: the value that means "no difference".
        low, high: ends of the axis; what lies outside is drawn at the end, as an arrow.
    """

    name: str
    neutral: float
    low: float
    high: float


def has_margin(verdicts: Sequence[KillVerdict]) -> bool:
    """Whether the verdicts are those of a test of margins: differences of means in units of reward."""
    return any(verdict.difference is not None for verdict in verdicts)


def effect_scale(verdicts: Sequence[KillVerdict], test: str) -> EffectScale:
    """The axis on which the effect sizes of one test's verdicts are drawn."""
    bounds = [
        value
        for verdict in verdicts
        for value in (verdict.effect_size, verdict.effect_low, verdict.effect_high)
        if value is not None and math.isfinite(value)
    ]
    if has_margin(verdicts):
        low, high = min(bounds, default=0.0), max(bounds, default=0.0)
        return EffectScale("difference / healthy mean", 0.0, max(-1.0, min(-0.1, low)), min(1.0, max(0.1, high)))
    if test not in COHEN_TESTS and all(0.0 <= value <= 1.0 for value in bounds):
        return EffectScale("Vargha-Delaney A", 0.5, 0.0, 1.0)
    name = "Cohen's d" if test in COHEN_TESTS else "effect size"
    low, high = min(bounds, default=0.0), max(bounds, default=0.0)
    return EffectScale(name, 0.0, max(-3.0, min(0.0, low)), min(3.0, max(1.0, high)))


def elide(name: str, length: int = 30) -> str:
    """A long name with its middle left out, for a picture or a terminal; the tables have it whole."""
    return name if len(name) <= length else f"{name[: length - 12]}…{name[-11:]}"


def number(value: float | None, digits: int = 3) -> str:
    """A number for a reader: few significant digits, no exponent where it can be avoided, a dash for none."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e6 or size < 10.0 ** -(digits + 1):
        return f"{value:.{digits - 1}e}".replace("-", "−")
    decimals = max(0, digits - 1 - math.floor(math.log10(size)))
    text = f"{value:,.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", "−")


def p_text(value: float | None) -> str:
    """A p-value for a reader."""
    if value is None or math.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def interval_text(value: float | None, low: float | None, high: float | None, digits: int = 3) -> str:
    """A number with its interval: ``−12.5 [−20, −5]``."""
    if low is None or high is None:
        return number(value, digits)
    return f"{number(value, digits)} [{number(low, digits)}, {number(high, digits)}]"


def collapsed_text(verdict: KillVerdict) -> str:
    """Shares of collapsed agents, mutant before healthy, with the interval of their difference in points."""
    mutant, healthy = verdict.collapsed_mutant, verdict.collapsed_healthy
    if mutant is None or healthy is None:
        return "–"
    text = f"{100 * mutant:.0f} %, {100 * healthy:.0f} %"
    if verdict.collapsed_low is None or verdict.collapsed_high is None:
        return text
    return f"{text} [{number(100 * verdict.collapsed_low, 2)}, {number(100 * verdict.collapsed_high, 2)}]"


def needed_text(verdict: KillVerdict) -> str:
    """Agents per population for a kill, for equivalence; a dash where 1,000 are too few or it is not known."""
    return ", ".join("–" if agents is None else str(agents) for agents in needed_agents(verdict))


def needed_agents(verdict: KillVerdict) -> tuple[int | None, int | None]:
    """Agents per population for a kill, for equivalence."""
    return verdict.agents_for_kill, verdict.agents_for_equivalence


def score_interval(uncertainty: ScoreUncertainty | None) -> str:
    """The 95 % interval of a mutation score; empty where there is none."""
    return "" if uncertainty is None else f"[{number(uncertainty.low, 2)}, {number(uncertainty.high, 2)}]"


def duration_text(seconds: float) -> str:
    """``12.3 s``, ``4.1 min``, ``3.2 h``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def seeds_text(seeds: Sequence[int]) -> str:
    """Seeds with runs folded: ``0–5, 8``."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][1] + 1:
            runs[-1][1] = seed
        else:
            runs.append([seed, seed])
    return ", ".join(str(low) if low == high else f"{low}–{high}" for low, high in runs)


def steps_text(steps: Sequence[int]) -> str:
    """The steps of a population's best checkpoints in brief: earliest, latest and median where they differ."""
    if not steps:
        return ""
    if min(steps) == max(steps):
        return f"{steps[0]:,}"
    return f"{min(steps):,} to {max(steps):,} (median {round(median(steps)):,})"
