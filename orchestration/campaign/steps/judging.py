"""Verdicts on populations, before correction: who is compared, one generator per comparison."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envsearch.canonical import canonical_json
from mutations.killing.kill_test import (
    KillTest,
    KillVerdict,
    Outcome,
    killed_by_crash,
    takes_dead,
    takes_independent,
    without_numbers,
)
from mutations.killing.margin_permutation_at_look import at_look
from mutations.killing.margins import Margins
from mutations.killing.registry import kill_test
from mutations.killing.repeats import judge_repeated
from mutations.killing.sequential_looks import Looks
from mutations.killing.statistics import direction_of
from orchestration.campaign.population import Rewards, living
from orchestration.campaign.result import MutantVerdict, Point

Array = NDArray[np.float64]

LEAST_SHARE = 2 / 3
"""Share of the seeds that must be left on both sides; with fewer, a verdict would rest on which agents survived."""


def comparison_seed(seed: int, mutant: str, point: Point, test: str) -> int:
    """The seed of one comparison's generator: the same whatever else is judged, and in whatever order."""
    return statistics_seed(seed, mutant, [list(pair) for pair in point], test)


def statistics_seed(*parts: Any) -> int:
    """The seed of a generator that belongs to these parts alone, plain data; the campaign's own seed is the first."""
    return int.from_bytes(hashlib.sha256(canonical_json(list(parts)).encode()).digest()[:8], "big")


def compare(
    test: KillTest,
    healthy: Rewards,
    mutant: Rewards,
    seeds: tuple[int, ...],
    seed: int,
    repeats: int = 1,
    mutant_seeds: tuple[int, ...] | None = None,
) -> KillVerdict:
    """One verdict; inconclusive where two thirds of the agents are not left.

    A test of pairs gets the seeds that both populations have; a test of independent populations gets all agents of
    either side. A failed job is missing data. A dead agent is not: it counts among those that are left. A test that
    cannot judge dead agents gets the others, if two thirds are left. Whatever the test, a mutant all of whose agents
    died beside living healthy ones is killed by crash.

    Args:
        test: the kill test.
        healthy, mutant: minus infinity is a dead agent.
        seeds: all that were planned.
        seed: of the comparison's generator, see `comparison_seed`.
        repeats: see `judge_repeated`.
        mutant_seeds: those that were planned of the mutant, where they are fewer.
    """
    planned = seeds, seeds if mutant_seeds is None else mutant_seeds
    sides = _present(test, healthy, mutant, planned)
    sizes, dead = _sizes(sides), (len(healthy) - len(living(healthy)), len(mutant) - len(living(mutant)))
    if not _enough(sizes, planned):
        return _too_few(test, sides, planned, dead)
    if not dead[0] and not living(sides[1]):
        return killed_by_crash(test.name, *sizes)
    if not living(sides[0]):
        return _inconclusive(test, sides, "all healthy agents are dead")
    if any(dead) and not takes_dead(test):
        sides = _present(test, living(healthy), living(mutant), planned)
        if not _enough(_sizes(sides), planned):
            return _too_few(test, sides, planned, dead)
    return judge_repeated(test, *_arrays(sides), seed, repeats)


def populations_of(test: KillTest, healthy: Rewards, mutant: Rewards, seeds: tuple[int, ...]) -> tuple[Array, Array]:
    """The populations that `compare` hands to a test, where it does; shapes (n,) and (m,)."""
    planned = seeds, seeds
    if takes_dead(test):
        return _arrays(_present(test, healthy, mutant, planned))
    return _arrays(_present(test, living(healthy), living(mutant), planned))


def _arrays(sides: tuple[Rewards, Rewards]) -> tuple[Array, Array]:
    first, second = (np.array(list(side.values()), dtype=np.float64) for side in sides)
    return first, second


Planned = tuple[tuple[int, ...], tuple[int, ...]]
"""The seeds that the healthy and the mutant population were to have."""


def _present(test: KillTest, healthy: Rewards, mutant: Rewards, planned: Planned) -> tuple[Rewards, Rewards]:
    """The agents that a test compares, in the order of the seeds."""
    if takes_independent(test):
        pairs = zip(planned, (healthy, mutant), strict=True)
        here, there = ([seed for seed in seeds if seed in side] for seeds, side in pairs)
    else:
        here = there = [seed for seed in planned[1] if seed in healthy and seed in mutant]
    return {seed: healthy[seed] for seed in here}, {seed: mutant[seed] for seed in there}


def _sizes(sides: tuple[Rewards, Rewards]) -> tuple[int, int]:
    return len(sides[0]), len(sides[1])


def _enough(sizes: tuple[int, int], planned: Planned) -> bool:
    pairs = zip(sizes, planned, strict=True)
    return all(size > 0 and size >= LEAST_SHARE * len(seeds) for size, seeds in pairs)


def _too_few(test: KillTest, sides: tuple[Rewards, Rewards], planned: Planned, dead: tuple[int, int]) -> KillVerdict:
    units, where = ("agents", "on one side") if takes_independent(test) else ("seeds", "on both sides")
    left, needed = min(
        ((size, len(seeds)) for size, seeds in zip(_sizes(sides), planned, strict=True)),
        key=lambda pair: pair[0] / max(1, pair[1]),
    )
    reason = f"only {left} of {needed} {units} are left {where}"
    if any(dead):
        reason += f"; {dead[0]} healthy and {dead[1]} mutant agents died"
        reason += "" if takes_dead(test) else f", which {test.name} cannot judge"
    return _inconclusive(test, sides, reason)


def _inconclusive(test: KillTest, sides: tuple[Rewards, Rewards], reason: str) -> KillVerdict:
    common = [seed for seed in living(sides[0]) if seed in living(sides[1])]
    difference = sum(sides[1][seed] - sides[0][seed] for seed in common)
    return without_numbers(test.name, Outcome.INCONCLUSIVE, direction_of(difference), _sizes(sides), reason)


def judge_mutants(
    test_name: str,
    healthy: Rewards,
    mutants: Mapping[str, Rewards],
    point: Point,
    seeds: tuple[int, ...],
    seed: int,
    repeats: int = 1,
    margins: Margins | None = None,
    looks: Looks | None = None,
    mutant_seeds: tuple[int, ...] | None = None,
) -> list[MutantVerdict]:
    """All mutants at one point, by one test; not corrected (see `steps.correction`).

    `margins` are the campaign's, for a test that takes them. With `looks`, the mutants have stopped at the look at
    `mutant_seeds`, so many of them.
    """
    test = kill_test(test_name, margins=margins)
    if looks is not None and mutant_seeds is not None:
        test = at_look(test, looks, len(mutant_seeds))
    verdicts = {
        name: compare(
            test, healthy, rewards, seeds, comparison_seed(seed, name, point, test_name), repeats, mutant_seeds
        )
        for name, rewards in mutants.items()
    }
    return [MutantVerdict(name, point, replace(verdict, test=test_name)) for name, verdict in verdicts.items()]
