"""The bootstrap interval of a mutation score on simulated campaigns: how often it holds the expected score.

    python -m benchmarks.score_intervals [--campaigns 60] [--expected 400] [--replicates 200] [--quick] [--seed 0]

Campaigns are those of `benchmarks.null_campaigns`: 12 mutants in 9 environments with the same agents. The expected
score is the mean over `--expected` campaigns of the same law. *again* is how often the score of another campaign lies
inside.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.null_campaigns import ENVIRONMENTS, MUTANTS, TEST, Simulation, p_values_of
from benchmarks.sections import Measurement, as_table
from benchmarks.verdict_laws import Law, Rewards, collapsing, normal, saturated
from mutations.killing.error_control import error_control
from mutations.score import minimal_cover
from mutations.score_bootstrap import Kills, Resampling, ScoredCell, resampled_matrices, score_uncertainty

CONTROL = error_control("false_discovery")

CASES: dict[str, tuple[tuple[Law, int], ...]] = {
    "12 healthy": ((normal(450.0, 20.0), 12),),
    "normal: 4 at d = 2, 4 at d = 0.8, 4 healthy": (
        (normal(410.0, 20.0), 4),
        (normal(434.0, 20.0), 4),
        (normal(450.0, 20.0), 4),
    ),
    "saturated: 4 dead, 4 with 30 % collapsed, 4 healthy": (
        (collapsing(0.9), 4),
        (collapsing(0.3), 4),
        (saturated(0.97), 4),
    ),
}
"""Case -> law and number of mutants; the last law is that of the healthy agents."""


def campaign(simulation: Simulation, mutants: Sequence[tuple[Law, int]]) -> tuple[Rewards, Rewards]:
    """Healthy and mutant rewards, shapes (environments, agents) and (mutants, environments, agents)."""
    healthy = simulation.rewards(mutants[-1][0], 1)[0]
    return healthy, np.concatenate([simulation.rewards(law, number) for law, number in mutants])


def kills_of(healthy: Rewards, mutants: Rewards, rng: np.random.Generator) -> NDArray[np.bool_]:
    """The kill matrix after correction, shape (mutants, environments); only worse mutants count."""
    p_values = p_values_of(healthy, mutants, rng)
    killed = CONTROL.adjust(p_values.ravel()).reshape(p_values.shape) <= TEST.level
    worse: NDArray[np.bool_] = killed & (np.mean(mutants, axis=2) <= np.mean(healthy, axis=1))
    return worse


def bootstrap(healthy: Rewards, mutants: Rewards, replicates: int, rng: np.random.Generator) -> Kills:
    """Kill matrices of the replicates of one campaign."""
    p_values = p_values_of(healthy, mutants, rng)
    adjusted = CONTROL.adjust(p_values.ravel()).reshape(p_values.shape)
    cells = [
        ScoredCell(
            row,
            column,
            (healthy[column], mutants[row, column]),
            weight=1.0 - float(adjusted[row, column]),
        )
        for row in range(MUTANTS)
        for column in range(ENVIRONMENTS)
    ]
    resampling = Resampling((MUTANTS, ENVIRONMENTS), np.empty(0), CONTROL.name, int(rng.integers(2**32)), replicates)
    return resampled_matrices(TEST, cells, resampling)


def measure(name: str, numbers: tuple[int, int, int], rng: np.random.Generator) -> Measurement:
    """Shares of intervals that hold the expected score and that of another campaign, and their mean ends."""
    campaigns, expected, replicates = numbers
    simulation = Simulation(expected, rng)
    scores = [float(np.mean(kills_of(*campaign(simulation, CASES[name]), rng).any(axis=1))) for _ in range(expected)]
    truth, rows = float(np.mean(scores)), []
    for position in range(campaigns):
        healthy, mutants = campaign(simulation, CASES[name])
        kills = kills_of(healthy, mutants, rng)
        chosen = minimal_cover({int(column) for column in np.flatnonzero(row)} for row in kills if row.any())
        score = float(np.mean(kills.any(axis=1)))
        sure = score_uncertainty(bootstrap(healthy, mutants, replicates, rng), score, chosen, TEST.level)
        again = scores[position % expected]
        rows.append((sure.low <= truth <= sure.high, sure.low <= again <= sure.high, sure.low, sure.high))
    held, again_held, low, high = np.mean(rows, axis=0)
    values = {"expected score": truth, "held": held, "again": again_held, "mean low end": low, "mean high end": high}
    return Measurement("interval of the score", name, {key: float(value) for key, value in values.items()})


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.score_intervals", description=__doc__.splitlines()[0])
    parser.add_argument("--campaigns", type=int, default=60, help="campaigns with a bootstrap, per case")
    parser.add_argument("--expected", type=int, default=400, help="campaigns for the expected score, per case")
    parser.add_argument("--replicates", type=int, default=200, help="of each bootstrap")
    parser.add_argument("--quick", action="store_true", help="2 campaigns per case: whether it runs")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if min(options.campaigns, options.expected, options.replicates) < 1 or options.seed < 0:
        parser.error("numbers must be at least 1 and --seed at least 0")
    numbers = (2, 10, 20) if options.quick else (options.campaigns, options.expected, options.replicates)
    started, rows = time.monotonic(), []
    for position, name in enumerate(CASES):
        rows.append(measure(name, numbers, np.random.default_rng([options.seed, position])))
        print(f"{time.monotonic() - started:5.0f} s  {name}: {rows[-1].values}", file=sys.stderr, flush=True)
    print(as_table(rows))


if __name__ == "__main__":
    main()
