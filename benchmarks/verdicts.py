"""What the margin permutation test does on simulated populations: false kills, power, false survivals, intervals.

    python -m benchmarks.verdicts [--pairs 2000] [--quick] [--seed 0] [--section NAME ...] [--format table|json]

A false kill is a p-value of at most the level for two populations of one law. A false survival is the outcome survived
for a mutant that lies exactly at a margin. Intervals are those of the difference of the means, 95 %.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.sections import Measurement, as_json, as_table, run_sections
from benchmarks.verdict_laws import (
    ALTERNATIVES,
    EXCHANGEABLE,
    Law,
    Rewards,
    atoms,
    bimodal,
    collapsing,
    draw_pairs,
    exponential,
    levels,
    lognormal,
    mean_of,
    normal,
    saturated,
    shifted,
)
from mutations.killing.family import correct_family
from mutations.killing.kill_test import Outcome
from mutations.killing.margin_permutation import LEVEL, MarginPermutation
from mutations.killing.margins import examine
from mutations.killing.mean_interval import independent_replicates
from mutations.killing.permutation_law import paired_p_value, permutation_p_value
from mutations.killing.splits import Splits, drawn_splits
from mutations.killing.statistics import merge_rounding

TEST = MarginPermutation()
EQUAL = ((8, 8), (10, 10), (20, 20), (50, 50))
UNEQUAL = ((8, 20), (20, 8), (10, 30), (50, 20))
FAMILY = 12
BATCH = 250
"""Comparisons that share their drawn splits."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """How much is simulated, and from which generator."""

    pairs: int
    rng: np.random.Generator

    def populations(
        self, laws: tuple[Law, Law], sizes: tuple[int, int], pairs: int, correlation: float = 0.0
    ) -> Iterator[tuple[Rewards, Rewards, Splits]]:
        """Pairs of populations, free of rounding noise, with splits shared over a batch of them."""
        healthy, mutant = draw_pairs(laws, sizes, pairs, self.rng, correlation)
        for position in range(pairs):
            if position % BATCH == 0:
                splits = drawn_splits(*sizes, self.rng)
            yield *merge_rounding(healthy[position], mutant[position]), splits

    def rejected(self, laws: tuple[Law, Law], sizes: tuple[int, int], correlation: float = 0.0) -> float:
        """Share of comparisons with a p-value of at most the level."""
        rejections = [
            permutation_p_value(healthy, mutant, self.rng, splits).p_value <= LEVEL
            for healthy, mutant, splits in self.populations(laws, sizes, self.pairs, correlation)
        ]
        return float(np.mean(rejections))

    def rejected_paired(self, laws: tuple[Law, Law], size: int, correlation: float) -> float:
        """The same for the paired test."""
        healthy, mutant = draw_pairs(laws, (size, size), self.pairs, self.rng, correlation)
        rejections = [
            paired_p_value(*merge_rounding(first, second), self.rng).p_value <= LEVEL
            for first, second in zip(healthy, mutant, strict=True)
        ]
        return float(np.mean(rejections))

    def survived(self, laws: tuple[Law, Law], sizes: tuple[int, int], pairs: int) -> float:
        """Share of comparisons with the outcome survived, which no p-value decides."""
        healthy, mutant = draw_pairs(laws, sizes, pairs, self.rng)
        survivals = [
            examine(*merge_rounding(first, second), TEST.margins, paired=False).equivalent
            for first, second in zip(healthy, mutant, strict=True)
        ]
        return float(np.mean(survivals))


def false_kills(simulation: Simulation) -> Iterator[Measurement]:
    """Every exchangeable law, at every size."""
    for name, law in EXCHANGEABLE.items():
        shares = {_sizes(sizes): simulation.rejected((law, law), sizes) for sizes in EQUAL + UNEQUAL}
        yield Measurement("false kills", name, shares)


def false_kills_of_twins(simulation: Simulation) -> Iterator[Measurement]:
    """Twins that go together, judged as independent populations and, on request, in pairs; 20 agents and 8."""
    for name in ("normal", "85 % at 500", "lognormal"):
        law = EXCHANGEABLE[name]
        shares = {
            f"{correlation:g}, n = {n}": simulation.rejected((law, law), (n, n), correlation)
            for n in (8, 20)
            for correlation in (0.3, 0.6, 0.9)
        }
        shares |= {
            f"paired {correlation:g}, n = 20": simulation.rejected_paired((law, law), 20, correlation)
            for correlation in (-0.5, 0.0, 0.9)
        }
        yield Measurement("false kills of twins, by their correlation", name, shares)


def power(simulation: Simulation) -> Iterator[Measurement]:
    """Uncorrected, 20 agents each."""
    for name, laws in ALTERNATIVES.items():
        yield Measurement("uncorrected power, n = 20", name, {"rejected": simulation.rejected(laws, (20, 20))})


def corrected_power(simulation: Simulation) -> Iterator[Measurement]:
    """Printed power after correction beside the share of kills, for one mutant at the margin among 12."""
    spread = 6.25  # the margin of 5 is then a d of .8
    cases = {
        "normal": normal(100.0, spread),
        "exponential": shifted(exponential(spread), 100.0 - spread),
        "five levels": levels(*(100.0 + spread / np.sqrt(2) * step for step in range(-2, 3))),
    }
    for name, law in cases.items():
        for dead in (0, 8):
            yield Measurement("corrected power", f"{name}, {dead} of 11 others dead", _family(simulation, law, dead))


def _family(simulation: Simulation, law: Law, dead: int) -> dict[str, float]:
    pairs = max(simulation.pairs // 4, 1)
    healthy = draw_pairs((law, law), (20, 20), pairs, simulation.rng)[0]
    printed, killed = [], []
    for population in healthy:
        splits = drawn_splits(20, 20, simulation.rng, 4_999)
        mutants = [law(simulation.rng.random(20)) - 5.0]
        mutants += [law(simulation.rng.random(20)) - 100.0 * (other < dead) for other in range(FAMILY - 1)]
        family = [TEST.judge_with(population, mutant, simulation.rng, splits) for mutant in mutants]
        verdict = correct_family(family, [TEST] * FAMILY, "familywise").verdicts[0]
        printed.append(verdict.power or 0.0)
        killed.append(verdict.outcome is Outcome.KILLED)
    return {"printed": float(np.mean(printed)), "killed": float(np.mean(killed))}


def false_survivals(simulation: Simulation) -> Iterator[Measurement]:
    """Mutants exactly at a margin; the last cases are equivalent, so survival is right."""
    cases: dict[str, tuple[Law, Law]] = {
        "normal, every agent 5 % worse": (normal(500.0, 25.0), normal(475.0, 25.0)),
        "normal, every agent 5 % better": (normal(500.0, 25.0), normal(525.0, 25.0)),
        "lognormal, 5 % worse": (lognormal(500.0, 0.1), lognormal(475.0, 0.1)),
        "constant against lognormal 5 % worse": (collapsing(0.0), lognormal(475.0, 0.3)),
        "exponential above 400, 5 % worse": (shifted(exponential(100.0), 400.0), shifted(exponential(100.0), 375.0)),
        "all at 500, 5 % at 0": (collapsing(0.0), atoms(0.05)),
        "all at 500, 10 % at 0": (collapsing(0.0), atoms(0.1)),
        "5 % against 15 % collapsed": (bimodal(0.05), bimodal(0.15)),
        "equal, normal": (normal(500.0, 25.0), normal(500.0, 25.0)),
        "equal, all at 500": (collapsing(0.0), collapsing(0.0)),
    }
    for name, laws in cases.items():
        shares = {
            _sizes(sizes): simulation.survived(laws, sizes, simulation.pairs)
            for sizes in ((3, 3), (20, 20), (60, 60), (100, 60), (100, 100))
        }
        yield Measurement("survived at the margin (and, in the last two rows, when equal)", name, shares)


def coverage(simulation: Simulation) -> Iterator[Measurement]:
    """How often the interval of the difference of the means holds the true one."""
    laws: dict[str, tuple[Law, Law]] = {name: (law, law) for name, law in EXCHANGEABLE.items() if name != "Cauchy"}
    laws |= {
        "60 % at 500": (saturated(0.6), saturated(0.6)),
        "85 % against 60 % at 500": (saturated(0.85), saturated(0.6)),
        "25 % against 60 % collapsed": (bimodal(0.25), bimodal(0.6)),
        "all at 500, 20 % collapse": (collapsing(0.0), collapsing(0.2)),
        "all at 500, 40 % collapse": (collapsing(0.0), collapsing(0.4)),
        "normal, 5 x the spread": (normal(0.0, 1.0), normal(0.0, 5.0)),
        "constant against lognormal": (levels(100.0), lognormal(100.0, 0.8)),
    }
    for name, pair in laws.items():
        yield Measurement(
            "coverage of the 95 % interval",
            name,
            {_sizes(sizes): _covered(simulation, pair, sizes) for sizes in (*EQUAL, (10, 30), (30, 10))},
        )


def _covered(simulation: Simulation, laws: tuple[Law, Law], sizes: tuple[int, int]) -> float:
    truth = mean_of(laws[1]) - mean_of(laws[0])
    covered = 0
    healthy, mutant = draw_pairs(laws, sizes, simulation.pairs, simulation.rng)
    for first, second in zip(healthy, mutant, strict=True):
        low, high = independent_replicates(first, second).interval(0.95)
        covered += low - 1e-6 <= truth <= high + 1e-6
    return covered / simulation.pairs


def fixed_cases(simulation: Simulation) -> Iterator[Measurement]:
    """Populations that a verdict must not get wrong; the columns are the outcomes."""
    perfect = np.full(50, 500.0)

    def with_low(size: int, low: int, reward: float) -> Rewards:
        return np.where(np.arange(size) < low, reward, 500.0)

    cases = {
        "20 x 500 against 6 at 499.9": (perfect[:20], with_low(20, 6, 499.9)),
        "20 x 500 against 20 x 500 less 1e-7": (perfect[:20], perfect[:20] - 1e-7),
        "9 of 50 collapsed": (perfect, with_low(50, 9, 10.0)),
        "5 of 30 collapsed": (perfect[:30], with_low(30, 5, 10.0)),
        "5 of 20 collapsed": (perfect[:20], with_low(20, 5, 10.0)),
        "3 x 500 against 3 x 500": (perfect[:3], perfect[:3]),
    }
    for name, (healthy, mutant) in cases.items():
        outcome = TEST.judge(healthy, mutant, simulation.rng).outcome
        yield Measurement("fixed cases", name, {kind.value: float(kind is outcome) for kind in Outcome})


SECTIONS: dict[str, Callable[[Simulation], Iterator[Measurement]]] = {
    "fixed": fixed_cases,
    "power": power,
    "corrected-power": corrected_power,
    "survival": false_survivals,
    "coverage": coverage,
    "twins": false_kills_of_twins,
    "false-kills": false_kills,
}


def _sizes(sizes: tuple[int, int]) -> str:
    return f"{sizes[0]}" if sizes[0] == sizes[1] else f"{sizes[0]} / {sizes[1]}"


def run(names: list[str], pairs: int, seed: int, report: Callable[[str], None]) -> list[Measurement]:
    """The named sections."""
    return run_sections(SECTIONS, names, partial(Simulation, pairs), seed, report)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=2000, help="pairs of populations per cell")
    parser.add_argument("--quick", action="store_true", help="50 pairs per cell: whether it runs, not what it finds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--section", action="append", choices=list(SECTIONS), help="may be repeated; default: all")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    options = parser.parse_args()
    if options.pairs < 1 or options.seed < 0:
        parser.error("--pairs must be at least 1 and --seed at least 0")
    pairs = 50 if options.quick else options.pairs
    names = list(dict.fromkeys(options.section or SECTIONS))
    rows = run(names, pairs, options.seed, lambda line: print(line, file=sys.stderr, flush=True))
    print(as_json(rows) if options.format == "json" else as_table(rows))


if __name__ == "__main__":
    main()
