"""False kills and power of the kill tests on simulated populations of known law.

    python -m benchmarks.kill_tests [--pairs 2000] [--seed 0] [--format json|table]

A *false kill* is a verdict killed for two healthy populations drawn independently from one law. Mann-Whitney's test at
5 % is listed with the product's own tests as an outside reference.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mutations.killing.family import correct_family
from mutations.killing.kill_test import Outcome
from mutations.killing.registry import KILL_TESTS

Rewards = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Rewards]
Pair = Callable[[np.random.Generator, int], tuple[Rewards, Rewards]]

AGENTS = 20
FAMILY = 12
TESTS = ("paired_permutation", "reward_distribution", "distance_distribution")
REFERENCE = "Mann-Whitney, 5 %"

LAWS: dict[str, Draw] = {  # all with standard deviation 1
    "normal": lambda rng, n: rng.normal(size=n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "t3": lambda rng, n: rng.standard_t(3, size=n) / np.sqrt(3),
}


@dataclass(frozen=True, slots=True)
class Row:
    """Shares of verdicts of one test in one scenario; None where the test has no such outcome."""

    scenario: str
    law: str
    test: str
    agents: int
    pairs: int
    killed: float
    survived: float | None
    inconclusive: float | None


def shifted(draw: Draw, shift: float) -> Pair:
    """Independent populations of one law; the mutant is lower by `shift` standard deviations."""
    return lambda rng, n: (draw(rng, n), draw(rng, n) - shift)


def correlated(rng: np.random.Generator, n: int) -> tuple[Rewards, Rewards]:
    """Twins that share 70 % of their variance through the seed; the mutant is lower by 0.5 standard deviations."""
    shared = np.sqrt(0.7) * rng.normal(size=n)
    return shared + np.sqrt(0.3) * rng.normal(size=n), shared + np.sqrt(0.3) * rng.normal(size=n) - 0.5


def spread(rng: np.random.Generator, n: int) -> tuple[Rewards, Rewards]:
    """The mutant is as good on average and three times as variable."""
    return rng.normal(size=n), 3.0 * rng.normal(size=n)


def collapsing(rng: np.random.Generator, n: int) -> tuple[Rewards, Rewards]:
    """Healthy agents all reach 500, as on CartPole; three mutants in ten end between 0 and 200."""
    return np.full(n, 500.0), np.where(rng.random(n) < 0.3, rng.uniform(0, 200, n), 500.0)


def one_deviant(rng: np.random.Generator, n: int) -> tuple[Rewards, Rewards]:
    """Healthy agents all reach 500 and so do the mutants but one, which ends between 0 and 500."""
    mutant = np.full(n, 500.0)
    mutant[rng.integers(n)] = rng.uniform(0, 500)
    return np.full(n, 500.0), mutant


def scenarios() -> list[tuple[str, str, Pair]]:
    """(scenario, law, how a pair is drawn)."""
    rows = [("false kills", law, shifted(draw, 0.0)) for law, draw in LAWS.items()]
    for shift in (0.5, 0.8, 1.0):
        rows += [(f"worse by {shift} sd", law, shifted(draw, shift)) for law, draw in LAWS.items()]
    rows.append(("worse by 0.5 sd, twins correlated 0.7", "normal", correlated))
    rows.append(("same mean, 3 x the sd", "normal", spread))
    rows.append(("3 in 10 agents collapse", "500 or U(0, 200)", collapsing))
    rows.append(("1 in 20 agents deviates", "500 or U(0, 500)", one_deviant))
    return rows


def measure(name: str, law: str, pair: Pair, pairs: int, seed: np.random.SeedSequence) -> list[Row]:
    """All tests on the same `pairs` pairs of populations."""
    drawing, judging = (np.random.default_rng(child) for child in seed.spawn(2))
    counts: dict[str, Counter[Outcome | None]] = {test: Counter() for test in TESTS}
    reference = 0
    for _ in range(pairs):
        healthy, mutant = pair(drawing, AGENTS)
        for test in TESTS:
            counts[test][KILL_TESTS[test].judge(healthy, mutant, judging).outcome] += 1
        reference += bool(stats.mannwhitneyu(healthy, mutant, method="asymptotic").pvalue < 0.05)
    shares = {test: [count[outcome] / pairs for outcome in Outcome] for test, count in counts.items()}
    rows = [Row(name, law, test, AGENTS, pairs, *shares[test]) for test in TESTS]
    return [*rows, Row(name, law, REFERENCE, AGENTS, pairs, reference / pairs, None, None)]


def measure_families(law: str, draw: Draw, families: int, seed: np.random.SeedSequence) -> Row:
    """Share of families of 12 healthy "mutants" of one healthy population with *any* kill after Holm's correction."""
    rng = np.random.default_rng(seed)
    test = KILL_TESTS["paired_permutation"]
    any_killed = 0
    for _ in range(families):
        healthy = draw(rng, AGENTS)
        verdicts = [test.judge(healthy, draw(rng, AGENTS), rng) for _ in range(FAMILY)]
        any_killed += correct_family(verdicts, [test] * FAMILY, "familywise").kills > 0
    name = f"any false kill among {FAMILY} mutants"
    return Row(name, law, "paired_permutation", AGENTS, families, any_killed / families, None, None)


def run(pairs: int, seed: int, report: Callable[[str], None]) -> list[Row]:
    """Every scenario, then the families; one line of progress each."""
    todo = scenarios()
    seeds = np.random.SeedSequence(seed).spawn(len(todo) + len(LAWS))
    started, rows = time.monotonic(), []
    for done, ((name, law, pair), child) in enumerate(zip(todo, seeds, strict=False)):
        report(f"[{done + 1}/{len(seeds)}] {time.monotonic() - started:4.0f} s  {name}, {law}")
        rows += measure(name, law, pair, pairs, child)
    for done, ((law, draw), child) in enumerate(zip(LAWS.items(), seeds[len(todo) :], strict=True), start=len(todo)):
        report(f"[{done + 1}/{len(seeds)}] {time.monotonic() - started:4.0f} s  families, {law}")
        rows.append(measure_families(law, draw, max(1, pairs // 4), child))
    report(f"done in {time.monotonic() - started:.0f} s")
    return rows


def as_table(rows: list[Row]) -> str:
    """Markdown: a line per scenario, a column per test, shares in per cent as killed / survived / inconclusive."""
    tests = list(dict.fromkeys(row.test for row in rows))
    lines = [" | ".join(("| scenario", "law", *tests)) + " |", "|---|---|" + "---:|" * len(tests)]
    cells = {(row.scenario, row.law, row.test): _cell(row) for row in rows}
    for scenario, law in dict.fromkeys((row.scenario, row.law) for row in rows):
        lines.append(
            " | ".join((f"| {scenario}", law, *(cells.get((scenario, law, test), "") for test in tests))) + " |"
        )
    return "\n".join(lines)


def _cell(row: Row) -> str:
    shares = (row.killed, row.survived, row.inconclusive)
    return " / ".join(f"{100 * share:.1f}" for share in shares if share is not None)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kill_tests", description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=2000, help="pairs of populations per scenario")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--format", choices=("table", "json"), default="table")
    options = parser.parse_args()
    if options.pairs < 1 or options.seed < 0:
        parser.error("--pairs must be at least 1 and --seed at least 0")
    rows = run(options.pairs, options.seed, lambda line: print(line, file=sys.stderr, flush=True))
    print(json.dumps([asdict(row) for row in rows], indent=2) if options.format == "json" else as_table(rows))


if __name__ == "__main__":
    main()
