"""What looks cost and save: false kills of null families, power and agents beside 20 seeds, survival at the margin.

    python -m benchmarks.sequential [--families 10000] [--pairs 1000] [--quick] [--seed 0] [--section NAME ...]

A null family is 20 healthy agents and 12 mutants of the same law, judged at 6, 10, 15 and 20 agents; a false kill is a
mutant that error control rejects at any look. The margins, which spare some, are left out. Power is the share of
comparisons that are rejected at any look, at a level that is given: 5 %, or that of the only kill among 12 mutants.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks import sections
from benchmarks.sections import Measurement, as_json, run_sections
from benchmarks.verdict_laws import (
    ALTERNATIVES,
    EXCHANGEABLE,
    Law,
    Rewards,
    atoms,
    collapsing,
    draw_pairs,
    lognormal,
    normal,
    saturated,
)
from mutations.killing.error_control import error_control
from mutations.killing.margin_permutation_at_look import REFINED_DRAWS, refined_p_value
from mutations.killing.margins import Margins, examine
from mutations.killing.permutation_batch import batch_p_values, smallest_single_p
from mutations.killing.sequential_looks import DEFAULT_LOOKS, Looks
from mutations.killing.splits import Splits, drawn_splits
from mutations.killing.statistics import merge_rounding

LOOKS = Looks()
LEVEL = 0.05
MUTANTS = 12
AT_ONCE = 50
"""Families that share their drawn splits."""

LEVELS = {"5 %": LEVEL, "0.42 %": LEVEL / MUTANTS}

OBVIOUS: dict[str, tuple[Law, Law]] = {
    "normal, d = 1.2": (normal(0.0, 1.0), normal(-1.2, 1.0)),
    "normal, d = 2": (normal(0.0, 1.0), normal(-2.0, 1.0)),
    "all at 500, 50 % collapse": (collapsing(0.0), collapsing(0.5)),
    "85 % at 500, every mutant below 200": (saturated(0.85), collapsing(1.0)),
    "normal, every mutant loses half": (normal(500.0, 50.0), normal(250.0, 50.0)),
}


@dataclass(frozen=True, slots=True)
class Simulation:
    """How much is simulated, and from which generator."""

    families: int
    pairs: int
    rng: np.random.Generator


def false_kills(simulation: Simulation) -> Iterator[Measurement]:
    """Null families: any false kill by either control, and false kills of single mutants."""
    for name, law in EXCHANGEABLE.items():
        families = simulation.families if name == "normal" else max(1, simulation.families // 5)
        finer = {agents: drawn_splits(LOOKS.most, agents, simulation.rng, REFINED_DRAWS) for agents in LOOKS.agents}
        parts = [
            _null_p_values(law, min(AT_ONCE, families - start), finer, simulation.rng)
            for start in range(0, families, AT_ONCE)
        ]
        p_values = np.concatenate(parts)  # (families, looks, mutants)
        values = {f"any, {name_of}": _any_rejection(p_values, name_of) for name_of in ("false_discovery", "familywise")}
        values["each mutant"] = float(np.mean(np.any(p_values <= LEVEL, axis=1)))
        yield Measurement(f"false kills with looks, {MUTANTS} mutants", f"{name} ({families:,} families)", values)


def _any_rejection(p_values: Rewards, control: str) -> float:
    return float(np.mean(np.any(error_control(control).adjust(p_values) <= LEVEL, axis=(1, 2))))


def _null_p_values(law: Law, families: int, finer: dict[int, Splits], rng: np.random.Generator) -> Rewards:
    """Sequential p-values, shape (families, looks, mutants); those that are above the level are only bounded below."""
    healthy, mutants = law(rng.random((families, LOOKS.most))), law(rng.random((families, MUTANTS, LOOKS.most)))
    beside = np.repeat(healthy, MUTANTS, axis=0)
    columns = []
    for agents in LOOKS.agents:
        own = mutants[:, :, :agents].reshape(-1, agents)
        splits, level = drawn_splits(LOOKS.most, agents, rng), LEVEL * LOOKS.share(agents)
        p_values = smallest_single_p(beside, own, splits)
        for position in np.flatnonzero(p_values <= 1.25 * level + 0.001):  # the draws of the bound have an error too
            pair = merge_rounding(beside[position], own[position])
            p_values[position] = refined_p_value(*pair, rng, splits, finer[agents])
        columns.append(np.minimum(1.0, p_values / LOOKS.share(agents)).reshape(families, MUTANTS))
    return np.stack(columns, axis=1)


def power(simulation: Simulation) -> Iterator[Measurement]:
    """Beside 20 seeds: the share of kills, and the mean number of agents that the mutant needed."""
    for name, laws in (ALTERNATIVES | OBVIOUS).items():
        p_values = _p_values(laws, simulation, LOOKS.most)
        values: dict[str, float] = {}
        for label, level in LEVELS.items():
            values[f"20 seeds, {label}"] = float(np.mean(p_values[:, -1] <= level))
            killed, agents = _with_looks(p_values, LOOKS, level)
            values |= {f"looks, {label}": killed, f"agents, {label}": agents}
        yield Measurement("power, per cent, and mean agents of the mutant", name, values)


def more_healthy(simulation: Simulation) -> Iterator[Measurement]:
    """The same with 30 and 40 healthy agents, at the level of the only kill among 12 mutants."""
    for name, laws in list(ALTERNATIVES.items())[:5]:
        values: dict[str, float] = {}
        for healthy in (20, 30, 40):
            killed, agents = _with_looks(_p_values(laws, simulation, healthy), LOOKS, LEVEL)
            values |= {f"{healthy} healthy": killed, f"agents, {healthy} healthy": agents}
        yield Measurement("power at 5 % with looks, by the number of healthy agents", name, values)


def exponents(simulation: Simulation) -> Iterator[Measurement]:
    """Other ways to spend the level: (n / N) ** exponent up to the look at n of N."""
    cases = ALTERNATIVES | OBVIOUS
    for name in ("normal, d = 0.8", "all at 500, 30 % collapse", "normal, d = 1.2", "normal, d = 2"):
        p_values = _p_values(cases[name], simulation, LOOKS.most)
        for label, level in LEVELS.items():
            values: dict[str, float] = {}
            for exponent in (0.5, 1.0, 1.5, 2.0, 3.0):
                spent = np.concatenate(([0.0], (np.array(DEFAULT_LOOKS) / LOOKS.most) ** exponent))
                killed, agents = _stopped(p_values / np.diff(spent), level)
                values |= {f"{exponent:g}": killed, f"agents, {exponent:g}": agents}
            yield Measurement("power and agents, by the exponent", f"{name}, level {label}", values)


def _p_values(laws: tuple[Law, Law], simulation: Simulation, healthy: int) -> Rewards:
    """Of every look beside `healthy` agents, shape (pairs, looks)."""
    first, second = draw_pairs(laws, (healthy, LOOKS.most), simulation.pairs, simulation.rng)
    columns = []
    for agents in LOOKS.agents:
        splits = drawn_splits(healthy, agents, simulation.rng)
        pairs = [merge_rounding(*pair) for pair in zip(first, second[:, :agents], strict=True)]
        chunks = [pairs[start : start + 100] for start in range(0, len(pairs), 100)]
        columns.append(np.concatenate([_batch(chunk, splits) for chunk in chunks]))
    return np.stack(columns, axis=1)


def _batch(pairs: Sequence[tuple[Rewards, Rewards]], splits: Splits) -> Rewards:
    healthy, mutant = zip(*pairs, strict=True)
    return batch_p_values(np.array(healthy), np.array(mutant), splits)


def _with_looks(p_values: Rewards, looks: Looks, level: float) -> tuple[float, float]:
    return _stopped(p_values / np.array([looks.share(agents) for agents in looks.agents]), level)


def _stopped(sequential: Rewards, level: float) -> tuple[float, float]:
    """Share of kills and mean agents of the mutant, from sequential p-values of shape (pairs, looks)."""
    shown = sequential <= level
    killed = np.any(shown, axis=1)
    last = np.where(killed, np.argmax(shown, axis=1), shown.shape[1] - 1)
    return float(np.mean(killed)), float(np.mean(np.array(DEFAULT_LOOKS)[last]))


def survival(simulation: Simulation) -> Iterator[Measurement]:
    """Mutants exactly at a margin, at looks that can show equivalence; in the last rows survival is right."""
    wide = Margins(mean=0.2, collapsed=0.2)
    cases: dict[str, tuple[Law, Law, Margins]] = {
        "normal, every agent 5 % worse": (normal(500, 25), normal(475, 25), Margins()),
        "lognormal, 5 % worse": (lognormal(500, 0.1), lognormal(475, 0.1), Margins()),
        "all at 500, 5 % at 0": (collapsing(0), atoms(0.05), Margins()),
        "normal, 20 % worse, margin 20 %": (normal(500, 50), normal(400, 50), wide),
        "all at 500, 20 % at 0, margin 20 %": (collapsing(0), atoms(0.2), wide),
        "equal, normal": (normal(500, 25), normal(500, 25), Margins()),
        "equal, all at 500": (collapsing(0), collapsing(0), Margins()),
        "equal, all at 500, margin 20 %": (collapsing(0), collapsing(0), wide),
    }
    for name, (first, second, margins) in cases.items():
        looks = Looks((20, 70, 80, 100)) if margins is not wide else Looks((16, 20, 30))
        share, agents = _survived((first, second), looks, margins, simulation)
        values = {"survived at any look": share, "agents": agents}
        yield Measurement("survived with looks", f"{name}; {', '.join(map(str, looks.agents))}", values)


def _survived(laws: tuple[Law, Law], looks: Looks, margins: Margins, simulation: Simulation) -> tuple[float, float]:
    healthy, mutant = draw_pairs(laws, (looks.most, looks.most), simulation.pairs, simulation.rng)
    stops = [_survived_at(first, second, looks, margins) for first, second in zip(healthy, mutant, strict=True)]
    survived = [stop is not None for stop in stops]
    return float(np.mean(survived)), float(np.mean([looks.most if stop is None else stop for stop in stops]))


def _survived_at(healthy: Rewards, mutant: Rewards, looks: Looks, margins: Margins) -> int | None:
    for agents in looks.agents:
        level = looks.equivalence_level(agents, margins)
        if level > 0:
            first, second = merge_rounding(healthy, mutant[:agents])
            if examine(first, second, margins, paired=False, level=level).equivalent:
                return agents
    return None


SECTIONS: dict[str, Callable[[Simulation], Iterator[Measurement]]] = {
    "power": power,
    "more-healthy": more_healthy,
    "exponents": exponents,
    "survival": survival,
    "false-kills": false_kills,
}


def run(names: Sequence[str], families: int, pairs: int, seed: int, report: Callable[[str], None]) -> list[Measurement]:
    """The named sections."""
    return run_sections(SECTIONS, names, partial(Simulation, families, pairs), seed, report)


def as_table(rows: Sequence[Measurement]) -> str:
    """Markdown: a table per section; shares in per cent, agents as they are."""
    return sections.as_table(rows, _cell)


def _cell(column: str, value: float) -> str:
    return f"{value if column.startswith('agents') else 100 * value:.1f}"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sequential", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--families", type=int, default=10_000, help="null families of the first law, a fifth of others"
    )
    parser.add_argument("--pairs", type=int, default=1000, help="comparisons per cell of the other sections")
    parser.add_argument("--quick", action="store_true", help="few of either: whether it runs, not what it finds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--section", action="append", choices=list(SECTIONS), help="may be repeated; default: all")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    options = parser.parse_args()
    if min(options.families, options.pairs) < 1 or options.seed < 0:
        parser.error("--families and --pairs must be at least 1 and --seed at least 0")
    families, pairs = (10, 20) if options.quick else (options.families, options.pairs)
    names = list(dict.fromkeys(options.section or SECTIONS))
    rows = run(names, families, pairs, options.seed, lambda line: print(line, file=sys.stderr, flush=True))
    print(as_json(rows) if options.format == "json" else as_table(rows))


if __name__ == "__main__":
    main()
