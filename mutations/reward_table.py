"""Rewards that a user already has: the tidy table, or one file per population, as populations to compare."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envsearch.errors import InputError
from mutations.delimited_file import Record, read_records
from mutations.mutant import HEALTHY

KEYS = ("environment", "algorithm", "mutant")
SAME_SIZE = "populations of the same size, or only tests that take others (margin_permutation)"
SAME_SEEDS = "the same seeds in both, or only tests that do not compare pairs (margin_permutation)"
COLUMNS = (*KEYS, "seed", "mean_reward")


@dataclass(frozen=True, slots=True)
class RewardSample:
    """Agents of one mutant in one environment, or the healthy ones.

    Attributes:
        environment, algorithm: empty where the input does not say.
        seeds: rising; position i of every population of a comparison is the same seed.
        rewards: mean reward per agent, same order; minus infinity is a dead agent.
    """

    environment: str
    algorithm: str
    mutant: str
    seeds: tuple[int, ...]
    rewards: tuple[float, ...]

    @property
    def array(self) -> NDArray[np.float64]:
        """The rewards, shape (n,)."""
        return np.asarray(self.rewards, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The mutants of one environment and algorithm beside their healthy population."""

    healthy: RewardSample
    mutants: tuple[RewardSample, ...]


def read_reward_table(path: Path, paired: bool = True) -> tuple[Comparison, ...]:
    """Read a tidy table: columns environment, algorithm, mutant, seed, mean_reward; healthy rows named ``Healthy``.

    Comparisons, and the mutants in each, are in the order of their first row.

    Args:
        paired: whether agents are compared in pairs, so that sizes and seeds must agree.

    Raises:
        InputError: the file or a line is wrong (see `mutations.delimited_file`), a reward is neither finite nor that of
            a dead agent (``-inf``), a seed appears twice, a comparison lacks its healthy rows or has no mutant, or two
            `paired` populations differ in size or seeds.
    """
    records = read_records(path, COLUMNS)
    families: dict[tuple[str, str], dict[str, list[Record]]] = {}
    for record in records:
        family = families.setdefault((record.text("environment"), record.text("algorithm")), {})
        family.setdefault(record.text("mutant"), []).append(record)
    return tuple(_comparison(key, family, str(path), paired) for key, family in families.items())


def population_of(records: Sequence[Record], key: tuple[str, str, str]) -> RewardSample:
    """The population in some lines with columns ``seed`` and ``mean_reward``; ordered by seed.

    Raises:
        InputError: a seed appears twice, or a value is neither a finite number nor ``-inf``.
    """
    rewards: dict[int, tuple[float, int]] = {}
    for record in records:
        seed, reward = record.integer("seed"), record.reward("mean_reward")
        if seed in rewards:
            problem = f"seed {seed} of {'/'.join(filter(None, key))} appears twice (first in line {rewards[seed][1]})"
            raise InputError(problem, record.where("seed"), "every seed once per population", record.source)
        rewards[seed] = (reward, record.line)
    seeds = tuple(sorted(rewards))
    return RewardSample(*key, seeds=seeds, rewards=tuple(rewards[seed][0] for seed in seeds))


def compare(healthy: RewardSample, mutants: Iterable[RewardSample], source: str, paired: bool = True) -> Comparison:
    """Put populations side by side.

    Raises:
        InputError: two `paired` populations differ in size or seeds.
    """
    checked = []
    for mutant in mutants:
        if paired:
            _check_pairing(healthy, mutant, source)
        checked.append(mutant)
    return Comparison(healthy, tuple(checked))


def _comparison(key: tuple[str, str], family: dict[str, list[Record]], source: str, paired: bool) -> Comparison:
    name = "/".join(key)
    if HEALTHY not in family:
        folded = {mutant.lower(): mutant for mutant in family}
        near = difflib.get_close_matches(HEALTHY.lower(), list(folded), n=1, cutoff=0.7)
        hint = f" (are they meant by {folded[near[0]]!r}?)" if near else ""
        raise InputError(f"no healthy rows for {name}{hint}", "mutant", f"rows named {HEALTHY}", source)
    if len(family) == 1:
        raise InputError(f"only healthy rows for {name}", "mutant", "rows of at least one mutant", source)
    populations = {mutant: population_of(records, (*key, mutant)) for mutant, records in family.items()}
    healthy = populations.pop(HEALTHY)
    return compare(healthy, populations.values(), source, paired)


def _check_pairing(healthy: RewardSample, mutant: RewardSample, source: str) -> None:
    name = "/".join(filter(None, (mutant.environment, mutant.algorithm, mutant.mutant)))
    if len(healthy.rewards) != len(mutant.rewards):
        problem = f"{name} has {len(mutant.rewards)} agents, the healthy population {len(healthy.rewards)}"
        raise InputError(problem + _seed_difference(healthy, mutant), "seed", SAME_SIZE, source)
    if healthy.seeds != mutant.seeds:
        problem = f"{name} and the healthy population have different seeds{_seed_difference(healthy, mutant)}"
        raise InputError(problem, "seed", SAME_SEEDS, source)


def _seed_difference(healthy: RewardSample, mutant: RewardSample) -> str:
    sides = ((healthy, mutant, "the mutant"), (mutant, healthy, "the healthy one"))
    for having, lacking, name in sides:
        missing = sorted(set(having.seeds) - set(lacking.seeds))
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            return f" (seed {missing[0]}{more} missing in {name})"
    return ""
