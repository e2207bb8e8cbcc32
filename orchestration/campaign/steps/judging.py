"""Verdicts on populations, before correction: same seeds paired, one generator per comparison."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from envsearch.canonical import canonical_json
from mutations.killing.kill_test import Direction, KillTest, KillVerdict, Outcome, takes_independent
from mutations.killing.registry import kill_test
from mutations.killing.repeats import judge_repeated
from orchestration.campaign.population import Rewards
from orchestration.campaign.result import MutantVerdict, Point

LEAST_SHARE = 2 / 3
"""Share of the seeds that must be left on both sides; with fewer, a verdict would rest on which agents survived."""


def comparison_seed(seed: int, mutant: str, point: Point, test: str) -> int:
    """The seed of one comparison's generator: the same whatever else is judged, and in whatever order."""
    text = canonical_json([seed, mutant, [list(pair) for pair in point], test])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def compare(
    test: KillTest, healthy: Rewards, mutant: Rewards, seeds: tuple[int, ...], seed: int, repeats: int = 1
) -> KillVerdict:
    """One verdict on the seeds that both populations have; inconclusive where fewer than two thirds are left.

    A test of independent populations gets all agents of either side, each of which needs two thirds of the seeds.

    Args:
        seeds: all that were planned.
        seed: of the comparison's generator, see `comparison_seed`.
    """
    if takes_independent(test):
        return _compare_independent(test, healthy, mutant, seeds, seed, repeats)
    common = [number for number in seeds if number in healthy and number in mutant]
    if len(common) < LEAST_SHARE * len(seeds) or not common:
        return _too_few(test.name, healthy, mutant, common, len(seeds))
    first, second = (np.array([side[number] for number in common], dtype=np.float64) for side in (healthy, mutant))
    return judge_repeated(test, first, second, seed, repeats)


def _compare_independent(
    test: KillTest, healthy: Rewards, mutant: Rewards, seeds: tuple[int, ...], seed: int, repeats: int
) -> KillVerdict:
    present = [[number for number in seeds if number in side] for side in (healthy, mutant)]
    fewest = min(len(numbers) for numbers in present)
    if fewest < LEAST_SHARE * len(seeds) or not fewest:
        common = [number for number in present[0] if number in mutant]
        return replace(
            _too_few(test.name, healthy, mutant, common, len(seeds)),
            n_healthy=len(present[0]),
            n_mutant=len(present[1]),
            reason=f"only {fewest} of {len(seeds)} agents are left on one side",
        )
    sides = zip((healthy, mutant), present, strict=True)
    first, second = (np.array([side[number] for number in numbers], dtype=np.float64) for side, numbers in sides)
    return judge_repeated(test, first, second, seed, repeats)


def _too_few(test: str, healthy: Rewards, mutant: Rewards, common: list[int], planned: int) -> KillVerdict:
    difference = sum(mutant[seed] - healthy[seed] for seed in common)
    direction = Direction.EQUAL if difference == 0 else Direction.WORSE if difference < 0 else Direction.BETTER
    reason = f"only {len(common)} of {planned} seeds are left on both sides"
    blank = dict.fromkeys(("statistic", "p_value", "effect_size", "effect_low", "effect_high", "power"))
    return KillVerdict(
        test=test,
        outcome=Outcome.INCONCLUSIVE,
        direction=direction,
        n_healthy=len(common),
        n_mutant=len(common),
        reason=reason,
        **blank,
    )


def judge_mutants(
    test_name: str,
    healthy: Rewards,
    mutants: Mapping[str, Rewards],
    point: Point,
    seeds: tuple[int, ...],
    seed: int,
    repeats: int = 1,
) -> list[MutantVerdict]:
    """All mutants at one point, by one test; not corrected (see `steps.correction`)."""
    test = kill_test(test_name)
    verdicts = {
        name: compare(test, healthy, rewards, seeds, comparison_seed(seed, name, point, test_name), repeats)
        for name, rewards in mutants.items()
    }
    return [MutantVerdict(name, point, replace(verdict, test=test_name)) for name, verdict in verdicts.items()]
