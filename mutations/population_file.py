"""One population per file: tidy lines, a plain column or row of numbers, or the two-line files of RLMutation.

RLMutation (FlowSs/RLMutation, csv_res/ and results/rewards_evaluation/) writes ``results_NDF.csv``: a first line
`` ;pred_rewards_model_0;pred_rewards_model_1;...`` and a second line ``;500.0;497.1;...``, one mean reward per agent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from envsearch.errors import InputError
from mutations.delimited_file import (
    Line,
    check_columns,
    check_distinct,
    is_number,
    read_lines,
    records_of,
    reward_number,
)
from mutations.mutant import HEALTHY
from mutations.reward_table import COLUMNS, KEYS, Comparison, RewardSample, compare, population_of

_FORMS = "tidy lines with a column mean_reward, one column or one row of numbers, or RLMutation's two lines"
_WORD = re.compile(r"[^\W\d]")


@dataclass(frozen=True, slots=True)
class _File:
    """One population as read; `named` and `seeded`: whether the file itself has names and seeds."""

    population: RewardSample
    named: bool
    seeded: bool


def read_pair(healthy_path: Path, mutant_path: Path, paired: bool = True) -> tuple[Comparison, ...]:
    """Read two files of one population each and put them side by side.

    Where a file has no seeds, agents are paired by position. A mutant without a name is called like its file.

    Args:
        paired: whether agents are compared in pairs, so that sizes and seeds must agree.

    Raises:
        InputError: a file cannot be understood or holds several populations, the two are of different environments
            or algorithms, or `paired` ones differ in size or seeds.
    """
    healthy, mutant = _read(healthy_path), _read(mutant_path)
    if healthy.named and healthy.population.mutant != HEALTHY:
        problem = f"holds the mutant {healthy.population.mutant!r}"
        raise InputError(problem, "mutant", f"rows named {HEALTHY} in the file passed as --healthy", str(healthy_path))
    left, right = replace(healthy.population, mutant=HEALTHY), mutant.population
    left, right = (
        _share_key(left, right, "environment", mutant_path),
        _share_key(right, left, "environment", mutant_path),
    )
    left, right = _share_key(left, right, "algorithm", mutant_path), _share_key(right, left, "algorithm", mutant_path)
    if not (healthy.seeded and mutant.seeded) and len(left.seeds) == len(right.seeds):
        seeds = left.seeds if healthy.seeded else right.seeds
        left, right = replace(left, seeds=seeds), replace(right, seeds=seeds)
    return (compare(left, [right], str(mutant_path), paired),)


def _share_key(population: RewardSample, other: RewardSample, field: str, path: Path) -> RewardSample:
    own, others = getattr(population, field), getattr(other, field)
    if own and others and own != others:
        raise InputError(f"two populations of different {field}s, {own!r} and {others!r}", field, "the same", str(path))
    return population if own else replace(population, **{field: others})


def _read(path: Path) -> _File:
    lines = read_lines(path)
    source = str(path)
    header = lines[0].cells
    if set(header) & set(COLUMNS):
        return _tidy(lines, path)
    if len(lines) == 2 and len(header) > 1 and not all(is_number(cell) for cell in header[1:]):
        return _named_row(lines, path)
    if all(len(line.cells) == 1 for line in lines):
        return _unnamed(_column_values(lines, source), path)
    if len(lines) == 1:
        cells = lines[0].cells
        return _unnamed([reward_number(cell, f"line 1, cell {i + 1}", source) for i, cell in enumerate(cells)], path)
    raise InputError(f"{len(lines)} lines of {len(header)} cells match no known form", "", _FORMS, source)


def _tidy(lines: Sequence[Line], path: Path) -> _File:
    source = str(path)
    header = lines[0].cells
    check_columns(header, ("mean_reward",), COLUMNS, source)
    records = records_of(lines, source)
    key = {name: _single([record.text(name) for record in records], name, source) for name in KEYS if name in header}
    names = (key.get("environment", ""), key.get("algorithm", ""), key.get("mutant", _stem(path)))
    if "seed" in header:
        return _File(population_of(records, names), "mutant" in key, seeded=True)
    rewards = tuple(record.reward("mean_reward") for record in records)
    return _File(RewardSample(*names, tuple(range(len(rewards))), rewards), "mutant" in key, seeded=False)


def _single(values: Sequence[str], name: str, source: str) -> str:
    distinct = list(dict.fromkeys(values))
    if len(distinct) > 1:
        problem = f"several populations ({', '.join(map(repr, distinct[:3]))})"
        raise InputError(problem, name, "one population per file; --table reads a whole table", source)
    return distinct[0]


def _named_row(lines: Sequence[Line], path: Path) -> _File:
    """Agents' names over their rewards. Every reward needs its name: a lost agent would shift the others."""
    source = str(path)
    header, cells = lines[0].cells, lines[1].cells
    if len(header) != len(cells):
        problem = f"{len(cells)} cells under {len(header)} names"
        raise InputError(problem, f"line {lines[1].number}", "one reward under every agent's name", source)
    start = 1 if not header[0] else 0
    names = header[start:]
    check_distinct(names, source)
    rewards = tuple(
        reward_number(cell, f"line {lines[1].number}: {name}", source)
        for name, cell in zip(names, cells[start:], strict=True)
    )
    numbers = [re.search(r"\d+\Z", name) for name in names]
    seeds = [int(number.group()) for number in numbers if number]
    if len(seeds) != len(names) or len(set(seeds)) != len(seeds):
        return _unnamed(rewards, path)
    order = sorted(range(len(seeds)), key=seeds.__getitem__)
    population = RewardSample("", "", _stem(path), tuple(seeds[i] for i in order), tuple(rewards[i] for i in order))
    return _File(population, named=False, seeded=True)


def _column_values(lines: Sequence[Line], source: str) -> list[float]:
    body = lines
    if _WORD.match(lines[0].cells[0]) and not is_number(lines[0].cells[0]):
        body = lines[1:]
    if not body:
        raise InputError("only a header, no data", "", "at least one number under it", source)
    values = []
    for offset, line in enumerate(body):
        if line.number != body[0].number + offset:
            field = f"line {body[0].number + offset}"
            raise InputError("the line is blank: a reward is missing", field, "one number per line", source)
        values.append(reward_number(line.cells[0], f"line {line.number}", source))
    return values


def _unnamed(rewards: Sequence[float], path: Path) -> _File:
    population = RewardSample("", "", _stem(path), tuple(range(len(rewards))), tuple(rewards))
    return _File(population, named=False, seeded=False)


def _stem(path: Path) -> str:
    return path.stem.removeprefix("results_") or path.stem
