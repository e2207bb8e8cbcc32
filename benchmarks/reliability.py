"""How often the intervals of `mutations.reliability` cover the true value, on simulated populations of known law.

    python -m benchmarks.reliability [--populations 2000] [--seed 0] [--format table|json]

Nominal is 95 %. Interquartile mean and profile are of one population of the law; the profile is taken at the reward
that 30 % of the agents do not exceed. The probability of improvement is that of two populations of the law, the second
worse by half its interquartile range (saturated laws: 85 against 60 % at 500).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.verdict_laws import EXCHANGEABLE, Law, saturated, shifted
from mutations.reliability import interquartile_mean, performance_profile, probability_of_improvement

LAWS = {name: EXCHANGEABLE[name] for name in ("normal", "lognormal", "bimodal, 25 % collapsed", "85 % at 500")}
STATISTICS = ("interquartile mean", "probability of improvement", "performance profile")
SIZES = (8, 10, 20, 50)
REPLICATES = 2_000
POINTS: NDArray[np.float64] = (np.arange(20_000) + 0.5) / 20_000
LOW_QUANTILE = 0.3


@dataclass(frozen=True, slots=True)
class Coverage:
    """Share of the intervals that hold the true value."""

    statistic: str
    law: str
    agents: int
    populations: int
    covered: float


def worse(law: Law) -> Law:
    """The law of the mutant in a comparison."""
    if law is LAWS["85 % at 500"]:
        return saturated(0.6)
    return shifted(law, -0.5 * float(law(np.array(0.75)) - law(np.array(0.25))))


def true_value(statistic: str, law: Law) -> float:
    """The value in an unlimited population, by the midpoint rule over quantiles."""
    rewards = law(POINTS)
    if statistic == "interquartile mean":
        return float(np.mean(rewards[(POINTS > 0.25) & (POINTS < 0.75)]))
    if statistic == "performance profile":
        return float(np.mean(rewards > threshold_of(law)))
    ordered, mutant = np.sort(rewards), worse(law)(POINTS)
    beaten = np.searchsorted(ordered, mutant, "left") + np.searchsorted(ordered, mutant, "right")
    return float(np.mean(beaten)) / (2 * ordered.size)


def threshold_of(law: Law) -> float:
    """The reward at which the profile is taken; just below 500 where that quantile is saturated."""
    return float(np.minimum(law(np.array(LOW_QUANTILE)), np.max(law(POINTS)) - 0.1))


def coverage(
    statistic: str, law: Law, agents: int, populations: int, rng: np.random.Generator, replicates: int = REPLICATES
) -> float:
    """Share of `populations` simulated intervals that hold the true value; each has a bootstrap seed of its own."""
    true, covered = true_value(statistic, law), 0
    for seed in range(populations):
        rewards = law(rng.random(agents))
        if statistic == "interquartile mean":
            estimate = interquartile_mean(rewards, seed, replicates)
            low, high = estimate.low, estimate.high
        elif statistic == "probability of improvement":
            estimate = probability_of_improvement(rewards, worse(law)(rng.random(agents)), seed, replicates)
            low, high = estimate.low, estimate.high
        else:
            profile = performance_profile(rewards, [threshold_of(law)], seed, replicates)
            low, high = profile.low[0], profile.high[0]
        covered += low - 1e-9 <= true <= high + 1e-9
    return covered / populations


def run(populations: int, seed: int) -> list[Coverage]:
    """All statistics, laws and sizes."""
    rng = np.random.default_rng(seed)
    return [
        Coverage(statistic, name, agents, populations, coverage(statistic, law, agents, populations, rng))
        for statistic in STATISTICS
        for name, law in LAWS.items()
        for agents in SIZES
    ]


def as_table(rows: list[Coverage]) -> str:
    """Markdown: a line per statistic and law, a column per number of agents, per cent."""
    lines = [f"| coverage | law | {' | '.join(map(str, SIZES))} |", "|---|---|" + "---:|" * len(SIZES)]
    shares = {(row.statistic, row.law, row.agents): row.covered for row in rows}
    for statistic, law in dict.fromkeys((row.statistic, row.law) for row in rows):
        cells = " | ".join(f"{100 * shares[statistic, law, agents]:.1f}" for agents in SIZES)
        lines.append(f"| {statistic} | {law} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--populations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--format", choices=("table", "json"), default="table")
    options = parser.parse_args()
    rows = run(options.populations, options.seed)
    print(json.dumps([asdict(row) for row in rows], indent=2) if options.format == "json" else as_table(rows))


if __name__ == "__main__":
    main()
