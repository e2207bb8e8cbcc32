"""Whole campaigns on simulated rewards: what error control keeps, and whether the printed power is the one in force.

    python -m benchmarks.null_campaigns [--campaigns 2000] [--quick] [--seed 0] [--section NAME ...] [--format ...]

A campaign is 12 mutants in 9 environments. The agents of a population are the same in all environments: their rewards
there go together through a Gaussian copula, and the healthy population is the same for all mutants. A null campaign has
12 healthy "mutants".
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
from scipy import stats

from benchmarks.sections import Measurement, as_json, as_table, run_sections
from benchmarks.verdict_laws import (
    EXCHANGEABLE,
    Law,
    Rewards,
    collapsing,
    exponential,
    levels,
    lognormal,
    normal,
    saturated,
    shifted,
)
from mutations.killing.error_control import ERROR_CONTROLS
from mutations.killing.family import correct_family
from mutations.killing.kill_test import KillVerdict, Outcome
from mutations.killing.margin_permutation import MarginPermutation
from mutations.killing.margin_power import corrected_power as corrected_power_of
from mutations.killing.permutation_law import permutation_p_value
from mutations.killing.resampled_law import single_p_values
from mutations.killing.splits import DRAWS, Splits, drawn_splits
from mutations.killing.statistics import merge_rounding

TEST = MarginPermutation()
AGENTS, MUTANTS, ENVIRONMENTS = 20, 12, 9
SAME_AGENT = 0.6
"""Correlation, in the copula, of one agent's rewards in two environments."""

REFINED_BELOW = 0.02
"""Where the smallest of the three p-values is larger, the p-value of the law is taken to be just that: too small."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """How many campaigns are simulated, and from which generator."""

    campaigns: int
    rng: np.random.Generator

    def rewards(self, law: Law, populations: int, correlation: float = SAME_AGENT) -> Rewards:
        """Agents of several populations in every environment, shape (populations, environments, agents)."""
        shared = self.rng.normal(size=(populations, 1, AGENTS))
        own = self.rng.normal(size=(populations, ENVIRONMENTS, AGENTS))
        return law(stats.norm.cdf(np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own))


@cache
def shared_splits() -> Splits:
    """Random divisions of 20 + 20 agents, those of `resampled_law`."""
    return drawn_splits(AGENTS, AGENTS, np.random.default_rng([AGENTS, AGENTS]))


def p_values_of(healthy: Rewards, mutants: Rewards, rng: np.random.Generator) -> Rewards:
    """P-values of a campaign, shape (mutants, environments).

    Args:
        healthy, mutants: shapes (environments, agents) and (mutants, environments, agents).
    """
    first = np.broadcast_to(healthy, mutants.shape).reshape(-1, AGENTS)
    second = mutants.reshape(-1, AGENTS)
    single = single_p_values(first, second)
    p_values: Rewards = np.min(single, axis=0)
    at_floor = np.all(single < 1.5 / (DRAWS + 1), axis=0)  # no split reaches any of the three: so says the law
    for cell in np.flatnonzero((p_values < REFINED_BELOW) & ~at_floor):
        sides = merge_rounding(first[cell], second[cell])
        p_values[cell] = permutation_p_value(*sides, rng, shared_splits()).p_value
    return p_values.reshape(mutants.shape[:2])


def null_campaigns(simulation: Simulation) -> Iterator[Measurement]:
    """Share of null campaigns with any false kill, so with a score above 0 (a better mutant counts here too)."""
    for name, law in EXCHANGEABLE.items():
        any_kill = {f"each environment alone, {name}": 0 for name in ERROR_CONTROLS}
        any_kill |= dict.fromkeys(ERROR_CONTROLS, 0)
        for _ in range(simulation.campaigns):
            rewards = simulation.rewards(law, MUTANTS + 1)
            p_values = p_values_of(rewards[0], rewards[1:], simulation.rng)
            for control, entry in ERROR_CONTROLS.items():
                any_kill[control] += bool(np.any(entry.adjust(p_values.ravel()) <= TEST.level))
                alone = entry.adjust(p_values.T)  # a family for each environment
                any_kill[f"each environment alone, {control}"] += bool(np.any(alone <= TEST.level))
        shares = {control: count / simulation.campaigns for control, count in any_kill.items()}
        kept = (*ERROR_CONTROLS, "each environment alone, familywise")
        yield Measurement("null campaigns with a score above 0", name, {key: shares[key] for key in kept})


def false_discoveries(simulation: Simulation) -> Iterator[Measurement]:
    """Realised false discovery rate and chance of any false kill where 8 of 12 mutants are dead."""
    cases: dict[str, tuple[Law, Law]] = {
        "normal, d = 1": (normal(0.0, 1.0), normal(-1.0, 1.0)),
        "85 % against 40 % at 500": (saturated(0.85), saturated(0.4)),
        "all at 500, 30 % collapse": (saturated(0.97), collapsing(0.3)),
    }
    dead = 8
    for name, (healthy_law, mutant_law) in cases.items():
        false_share = dict.fromkeys(ERROR_CONTROLS, 0.0)
        any_false, power = dict.fromkeys(ERROR_CONTROLS, 0.0), dict.fromkeys(ERROR_CONTROLS, 0.0)
        for _ in range(simulation.campaigns):
            healthy = simulation.rewards(healthy_law, MUTANTS + 1 - dead)
            mutants = np.concatenate((simulation.rewards(mutant_law, dead), healthy[1:]))
            p_values = p_values_of(healthy[0], mutants, simulation.rng).ravel()
            for control, entry in ERROR_CONTROLS.items():
                killed = entry.adjust(p_values) <= TEST.level
                wrong = int(np.sum(killed[dead * ENVIRONMENTS :]))
                false_share[control] += wrong / max(1, int(np.sum(killed)))
                any_false[control] += wrong > 0
                power[control] += float(np.mean(killed[: dead * ENVIRONMENTS]))
        for kind, counts in (("false share", false_share), ("any false kill", any_false), ("dead cells killed", power)):
            shares = {control: count / simulation.campaigns for control, count in counts.items()}
            yield Measurement("8 of 12 mutants dead", f"{name}: {kind}", shares)


SPREAD = 6.25  # the margin of 5 is then a d of .8
AT_THE_MARGIN: dict[str, Law] = {
    "normal": normal(100.0, SPREAD),
    "lognormal": lognormal(100.0, SPREAD / 100.0),
    "exponential": shifted(exponential(SPREAD), 100.0 - SPREAD),
    "five levels": levels(*(100.0 + SPREAD / np.sqrt(2) * step for step in range(-2, 3))),
}
LEVELS = (0.05, 0.005, 0.0005)


def power_by_level(simulation: Simulation) -> Iterator[Measurement]:
    """Printed power of one comparison at the levels that correction leads to, beside the share of rejections."""
    for name, law in AT_THE_MARGIN.items():
        counts: dict[str, float] = {}
        for _ in range(simulation.campaigns):
            healthy, mutant = law(simulation.rng.random(AGENTS)), law(simulation.rng.random(AGENTS)) - 5.0
            verdict = TEST.judge_with(healthy, mutant, simulation.rng, shared_splits())
            for level in LEVELS:
                printed = corrected_power_of(verdict.power or 0.0, AGENTS, AGENTS, TEST.level, level)
                for key, value in (("printed", printed), ("rejected", float((verdict.p_value or 0.0) <= level))):
                    label = f"{level:g}: {key}"
                    counts[label] = counts.get(label, 0.0) + value / simulation.campaigns
        yield Measurement("power of one comparison", name, counts)


def corrected_power(simulation: Simulation) -> Iterator[Measurement]:
    """Printed power after correction beside the share of kills: one mutant at the margin among the 12."""
    for name, law in AT_THE_MARGIN.items():
        for dead in (0, 4, 8):
            yield Measurement("corrected power", f"{name}, {dead} of 11 others dead", _power(simulation, law, dead))


def _power(simulation: Simulation, law: Law, dead: int) -> dict[str, float]:
    """Averages over campaigns; the mutant at the margin is read in its first environment."""
    campaigns = max(simulation.campaigns // 4, 1)
    counts: dict[str, float] = {}
    for _ in range(campaigns):
        rewards = simulation.rewards(law, MUTANTS + 1)
        mutants = rewards[1:] - 100.0 * (np.arange(MUTANTS) >= MUTANTS - dead)[:, None, None]
        mutants[0] -= 5.0
        p_values = p_values_of(rewards[0], mutants, simulation.rng)
        raw = TEST.judge_with(rewards[0, 0], mutants[0, 0], simulation.rng, shared_splits())
        family = [raw, *(_plain(p_value) for p_value in p_values.ravel()[1:])]
        for control in ("false_discovery", "familywise"):
            verdict = correct_family(family, [TEST] * len(family), control).verdicts[0]
            for key, value in ((f"{control}: printed", verdict.power or 0.0), (f"{control}: killed", _killed(verdict))):
                counts[key] = counts.get(key, 0.0) + value / campaigns
    return counts


def _killed(verdict: KillVerdict) -> float:
    return float(verdict.outcome is Outcome.KILLED)


@cache
def _template() -> KillVerdict:
    return TEST.judge(np.full(AGENTS, 500.0), np.full(AGENTS, 400.0), np.random.default_rng(0))


def _plain(p_value: float) -> KillVerdict:
    """A verdict of which only the p-value matters."""
    outcome = Outcome.KILLED if p_value <= TEST.level else Outcome.INCONCLUSIVE
    return replace(_template(), p_value=float(p_value), outcome=outcome, power=None)


SECTIONS: dict[str, Callable[[Simulation], Iterator[Measurement]]] = {
    "null": null_campaigns,
    "false-discoveries": false_discoveries,
    "corrected-power": corrected_power,
    "power-by-level": power_by_level,
}


def run(names: list[str], campaigns: int, seed: int, report: Callable[[str], None]) -> list[Measurement]:
    """The named sections."""
    return run_sections(SECTIONS, names, partial(Simulation, campaigns), seed, report)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.null_campaigns", description=__doc__.splitlines()[0])
    parser.add_argument("--campaigns", type=int, default=2000, help="campaigns per case; a quarter of them for power")
    parser.add_argument("--quick", action="store_true", help="10 campaigns per case: whether it runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--section", action="append", choices=list(SECTIONS), help="may be repeated; default: all")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    options = parser.parse_args()
    if options.campaigns < 1 or options.seed < 0:
        parser.error("--campaigns must be at least 1 and --seed at least 0")
    names = list(dict.fromkeys(options.section or SECTIONS))
    campaigns = 10 if options.quick else options.campaigns
    rows = run(names, campaigns, options.seed, lambda line: print(line, file=sys.stderr, flush=True))
    print(as_json(rows) if options.format == "json" else as_table(rows))


if __name__ == "__main__":
    main()
