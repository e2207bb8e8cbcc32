"""How good a set of test environments is: its mutation score, and the smallest part of it that kills as much."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from envsearch.errors import InputError
from mutations.kill_matrix import KillMatrix, Point


@dataclass(frozen=True, slots=True)
class ScoreUncertainty:
    """How sure a mutation score is, by a bootstrap over agents.

    Attributes:
        low, high: 95 % interval of the score.
        null_high: the score that an all-healthy set of as many mutants and environments exceeds in at most 5 % of all
            campaigns; None where nothing limits it.
        environment_shares: how often each environment of the matrix is in the smallest set, in the matrix's order.
        same_kills: how often the chosen smallest set kills every mutant that any environment kills.
        replicates: of the bootstrap.
    """

    low: float
    high: float
    null_high: float | None
    environment_shares: tuple[float, ...]
    same_kills: float
    replicates: int


@dataclass(frozen=True, slots=True)
class MutationScore:
    """How good the set of test environments is, by one kill test.

    Attributes:
        mutation_score: killed mutants / all mutants of the matrix.
        killed: in at least one environment. trivial: in every environment.
        never_killed: in none, conclusively or not.
        inconclusive: those of `never_killed` for which the test was inconclusive in at least one environment.
        minimal_environments: smallest subset of environments that kills all of `killed`; of several, the one whose
            environments come first in the matrix.
        possible_score: the score if every mutant of `inconclusive` were killed; None in results before 0.2.0.
        uncertainty: None for a test that cannot judge replicates.
    """

    test: str
    mutation_score: float
    killed: tuple[str, ...]
    trivial: tuple[str, ...]
    never_killed: tuple[str, ...]
    inconclusive: tuple[str, ...]
    minimal_environments: tuple[Point, ...]
    possible_score: float | None = None
    uncertainty: ScoreUncertainty | None = None


def mutation_score(test: str, matrix: KillMatrix) -> MutationScore:
    """Score the environments of a matrix by its mutants (give it live first-order mutants only).

    Raises:
        InputError: the matrix has no mutants.
    """
    if not matrix.mutants:
        raise InputError("no mutants to score", "kill matrix", "at least one live mutant")
    rows = list(zip(matrix.mutants, matrix.killed, matrix.inconclusive, strict=True))
    killed = tuple(mutant for mutant, kills, _ in rows if kills.any())
    chosen = minimal_cover([{int(column) for column in kills.nonzero()[0]} for _, kills, _ in rows if kills.any()])
    inconclusive = tuple(mutant for mutant, kills, unsure in rows if not kills.any() and unsure.any())
    return MutationScore(
        test=test,
        mutation_score=len(killed) / len(matrix.mutants),
        killed=killed,
        trivial=tuple(mutant for mutant, kills, _ in rows if kills.all()),
        never_killed=tuple(mutant for mutant, kills, _ in rows if not kills.any()),
        inconclusive=inconclusive,
        minimal_environments=tuple(matrix.environments[column] for column in chosen),
        possible_score=(len(killed) + len(inconclusive)) / len(matrix.mutants),
    )


def minimal_cover(rows: Iterable[set[int]]) -> tuple[int, ...]:
    """The smallest set of columns that meets every row (minimum set cover), exactly.

    Iterative deepening over the size; each step branches on the columns of the row with the fewest. Of several
    smallest sets the first in lexicographic order is returned. Meant for tens of columns.

    Raises:
        ValueError: a row is empty.
    """
    needs = _essential(rows)
    size = 0
    while not _coverable(needs, size):
        size += 1
    chosen: list[int] = []
    for column in sorted(set().union(*needs)):
        rest = [row - set(range(column)) for row in needs if column not in row]
        if all(rest) and len(chosen) < size and _coverable(rest, size - len(chosen) - 1):
            chosen.append(column)
            needs = rest
    return tuple(chosen)


def _essential(rows: Iterable[set[int]]) -> list[frozenset[int]]:
    """Rows that are not met by meeting another one."""
    distinct = sorted({frozenset(row) for row in rows}, key=lambda row: (len(row), sorted(row)))
    if distinct and not distinct[0]:
        raise ValueError("a row without columns cannot be covered")
    kept: list[frozenset[int]] = []
    for row in distinct:
        if not any(smaller <= row for smaller in kept):
            kept.append(row)
    return kept


def _coverable(rows: Sequence[frozenset[int]], size: int) -> bool:
    if not rows:
        return True
    if size == 0:
        return False
    narrowest = min(rows, key=len)
    return any(_coverable([row for row in rows if column not in row], size - 1) for column in narrowest)
