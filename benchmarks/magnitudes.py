"""Bias of the threshold of magnitude curves, coverage of its interval, and thresholds where there is none.

    python -m benchmarks.magnitudes [--sweeps 1000] [--seed 0] [--format table|json]

Each sweep has the six default magnitudes and populations of equal size, healthy ones included. The true threshold is
drawn between .08 and .6, evenly in its logarithm. Errors are in ln(magnitude): .1 is a factor of 1.1.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from mutations.killing.margins import Margins
from mutations.magnitude_sweep import DEFAULT_MAGNITUDES
from mutations.magnitude_threshold import magnitude_threshold
from mutations.psychometric import ThresholdFinding

Rewards = NDArray[np.float64]
Sweep = Callable[[np.random.Generator, int, float], list[Rewards]]
"""Generator, agents, true threshold -> rewards of the healthy agents, then of each magnitude's."""

MAGNITUDES = np.array(DEFAULT_MAGNITUDES["RN"])
SIZES = (10, 20)
LEVEL = 100.0
MARGIN = LEVEL * Margins().mean


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """One law and size.

    Attributes:
        reported: share of the sweeps with a threshold within the range; the next three are about these alone.
        bias: median error of ln(threshold).
        error: root mean square of the same.
        covered: share of these intervals with the true threshold inside; an end outside the range is open.
    """

    law: str
    agents: int
    sweeps: int
    reported: float
    bias: float
    error: float
    covered: float


def collapsing(spread: float, slope: float) -> Sweep:
    """A noticed agent earns next to nothing, the others are healthy: normal about 100 with a standard deviation."""

    def draw(rng: np.random.Generator, agents: int, threshold: float) -> list[Rewards]:
        chances = [0.0, *special.expit(slope * np.log(MAGNITUDES / threshold))]
        healthy = [rng.normal(LEVEL, spread, agents) for _ in chances]
        return [
            np.where(rng.random(agents) < chance, 10.0, side) for chance, side in zip(chances, healthy, strict=True)
        ]

    return draw


def shifting(spread: float) -> Sweep:
    """Every agent loses in proportion to the magnitude: the curve is normal in x, not logistic in ln x."""
    guess = stats.norm.cdf(-MARGIN / spread)
    lost = spread * stats.norm.ppf((1 + guess) / 2) + MARGIN

    def draw(rng: np.random.Generator, agents: int, threshold: float) -> list[Rewards]:
        means = [LEVEL, *(LEVEL - lost * MAGNITUDES / threshold)]
        return [rng.normal(mean, spread, agents) for mean in means]

    return draw


def by_seed(slope: float, correlation: float) -> Sweep:
    """Collapsing agents whose breaking point belongs to the seed: agents of one seed go together over magnitudes."""

    def draw(rng: np.random.Generator, agents: int, threshold: float) -> list[Rewards]:
        shared = rng.normal(size=agents)
        populations = [np.full(agents, LEVEL)]
        for magnitude in MAGNITUDES:
            mixed = math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * rng.normal(size=agents)
            breaking = special.logit(stats.norm.cdf(mixed)) / slope + math.log(threshold)
            populations.append(np.where(breaking < math.log(magnitude), 10.0, LEVEL))
        return populations

    return draw


LAWS: dict[str, Sweep] = {
    "agents collapse, slope 2": collapsing(0.0, 2.0),
    "agents collapse, slope 4": collapsing(0.0, 4.0),
    "agents collapse, slope 10": collapsing(0.0, 10.0),
    "agents collapse, 15 % of the healthy beyond the margin": collapsing(4.8, 3.0),
    "rewards shift, spread 2 %": shifting(2.0),
    "rewards shift, spread 10 %": shifting(10.0),
    "agents of a seed correlated .3, slope 4": by_seed(4.0, 0.3),
    "agents of a seed correlated .9, slope 4": by_seed(4.0, 0.9),
}

NULLS: dict[str, Sweep] = {
    "no agent is noticed": lambda rng, agents, _: [np.full(agents, LEVEL) for _ in range(MAGNITUDES.size + 1)],
    "healthy at every magnitude, spread 10 %": lambda rng, agents, _: [
        rng.normal(LEVEL, 10.0, agents) for _ in range(MAGNITUDES.size + 1)
    ],
}


def measure(law: str, draw: Sweep, agents: int, sweeps: int, seed: np.random.SeedSequence) -> CoverageRow:
    """Simulate and fit `sweeps` sweeps of one law."""
    rng = np.random.default_rng(seed)
    errors, covered = [], []
    for _ in range(sweeps):
        threshold = math.exp(rng.uniform(math.log(0.08), math.log(0.6)))
        healthy, *mutants = draw(rng, agents, threshold)
        estimate = magnitude_threshold(healthy, dict(zip(MAGNITUDES.tolist(), mutants, strict=True)), Margins(), rng)
        if estimate.finding is ThresholdFinding.WITHIN and estimate.threshold is not None:
            errors.append(math.log(estimate.threshold / threshold))
            covered.append((estimate.low or 0.0) <= threshold <= (estimate.high or math.inf))
    if not errors:
        return CoverageRow(law, agents, sweeps, 0.0, math.nan, math.nan, math.nan)
    squares = float(np.sqrt(np.mean(np.square(errors))))
    return CoverageRow(
        law, agents, sweeps, len(errors) / sweeps, float(np.median(errors)), squares, float(np.mean(covered))
    )


def run(sweeps: int, seed: int, report: Callable[[str], None]) -> list[CoverageRow]:
    """Every law and size; one line of progress each."""
    cases = [(law, draw, agents) for law, draw in (*LAWS.items(), *NULLS.items()) for agents in SIZES]
    started, rows = time.monotonic(), []
    for (law, draw, agents), child in zip(cases, np.random.SeedSequence(seed).spawn(len(cases)), strict=True):
        rows.append(measure(law, draw, agents, sweeps, child))
        report(f"[{len(rows)}/{len(cases)}] {time.monotonic() - started:4.0f} s  {law}, {agents} agents")
    return rows


def as_table(rows: list[CoverageRow]) -> str:
    """Markdown; the laws without a threshold have dashes."""
    lines = [
        "| law | agents | thresholds reported | median error | rms error | covered |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        numbers = ["–"] * 3
        if row.law not in NULLS:
            numbers = [f"{row.bias:+.3f}", f"{row.error:.2f}", f"{100 * row.covered:.1f} %"]
        lines.append(" | ".join((f"| {row.law}", str(row.agents), f"{100 * row.reported:.1f} %", *numbers)) + " |")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.magnitudes", description=__doc__.splitlines()[0])
    parser.add_argument("--sweeps", type=int, default=1000, help="simulated sweeps per law and size")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--format", choices=("table", "json"), default="table")
    options = parser.parse_args()
    if options.sweeps < 1 or options.seed < 0:
        parser.error("--sweeps must be at least 1 and --seed at least 0")
    rows = run(options.sweeps, options.seed, lambda line: print(line, file=sys.stderr, flush=True))
    print(json.dumps([asdict(row) for row in rows], indent=2) if options.format == "json" else as_table(rows))


if __name__ == "__main__":
    main()
