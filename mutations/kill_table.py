"""Kill matrices that a user already has, as tidy tables: one line per mutant and environment.

Columns environment, algorithm, kill_test, mutant and killed; ``property`` may be there and is not read; every other
column is a coordinate of the test environment, so there may be any number of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envsearch.errors import InputError
from mutations.delimited_file import Line, Record, check_columns, read_lines, records_of
from mutations.higher_order import Classification, classify_kills, constituents_of
from mutations.kill_matrix import Cell, KillMatrix, Point, point_label
from mutations.killing.kill_test import Outcome

GROUP = ("environment", "algorithm", "kill_test")
FIXED = (*GROUP, "mutant", "killed")
IGNORED = ("property",)
TOLERANCE = 1e-9
"""Two coordinates that differ by less, absolutely or relatively, are one: tables are written with rounded numbers."""

Group = tuple[str, str, str]

_OUTCOMES = {
    "true": Outcome.KILLED,
    "1": Outcome.KILLED,
    "killed": Outcome.KILLED,
    "false": Outcome.SURVIVED,
    "0": Outcome.SURVIVED,
    "survived": Outcome.SURVIVED,
    "not killed": Outcome.SURVIVED,
    "inconclusive": Outcome.INCONCLUSIVE,
}


@dataclass(frozen=True, slots=True)
class KillTable:
    """A tidy table as read.

    Attributes:
        coordinates: names of the environment's coordinates, sorted; there may be none.
        matrices: one matrix per (environment, algorithm, kill test), in the table's order.
    """

    source: str
    coordinates: tuple[str, ...]
    matrices: Mapping[Group, KillMatrix]


@dataclass(frozen=True, slots=True)
class ClassifiedMutant:
    """One higher-order mutant of a table.

    Attributes:
        environments: how many test environments there are.
        inconclusive: cells of the mutant and its constituents where the test was inconclusive; counted as not killed.
    """

    environment: str
    algorithm: str
    kill_test: str
    mutant: str
    constituents: tuple[str, ...]
    classification: Classification
    environments: int
    inconclusive: int


def read_kill_table(path: Path) -> KillTable:
    """Read a tidy table of kills.

    Raises:
        InputError: the file or a line is wrong (see `mutations.delimited_file`), ``killed`` says neither yes nor no
            nor inconclusive, or a mutant's outcome in an environment appears twice or is missing.
    """
    source = str(path)
    lines = read_lines(path)
    coordinates = _coordinates(lines[0], source)
    groups: dict[Group, list[Record]] = {}
    for record in records_of(lines, source):
        group = (record.text("environment"), record.text("algorithm"), record.text("kill_test"))
        groups.setdefault(group, []).append(record)
    matrices = {group: _matrix(group, records, coordinates) for group, records in groups.items()}
    return KillTable(source, coordinates, matrices)


def classify_table(first_order: KillTable, higher_order: KillTable) -> tuple[ClassifiedMutant, ...]:
    """Classify every higher-order mutant by the kills of its constituents in the same environments.

    Raises:
        InputError: the tables have different coordinates or environments, or a constituent is not in the matrix of
            the same environment, algorithm and kill test.
    """
    if first_order.coordinates != higher_order.coordinates:
        problem = f"environment coordinates are {_listed(higher_order.coordinates)}"
        raise InputError(problem, "line 1", f"{_listed(first_order.coordinates)}, as in {first_order.source}",
                         higher_order.source)  # fmt: skip
    classified: list[ClassifiedMutant] = []
    for group, matrix in higher_order.matrices.items():
        if group not in first_order.matrices:
            problem = f"{'/'.join(group)} is not in {first_order.source}"
            expected = f"one of {', '.join('/'.join(known) for known in first_order.matrices)}"
            raise InputError(problem, ", ".join(GROUP), expected, higher_order.source)
        try:
            classified += _classify_group(group, first_order.matrices[group], matrix, first_order.source)
        except InputError as error:
            raise error.located(source=f"{higher_order.source}: {'/'.join(group)}") from None
    return tuple(classified)


def _classify_group(group: Group, known: KillMatrix, higher: KillMatrix, source: str) -> list[ClassifiedMutant]:
    columns = _columns(known.environments, higher.environments, source)
    classified = []
    for row, mutant in enumerate(higher.mutants):
        constituents = constituents_of(mutant, known.mutants)
        kills = higher.killed[row][columns]
        unsure = int(higher.inconclusive[row].sum())
        unsure += sum(int(known.inconclusive[known.index(name)].sum()) for name in constituents)
        classification = classify_kills(kills, [known.kills_of(name) for name in constituents])
        classified.append(ClassifiedMutant(*group, mutant, constituents, classification, len(columns), unsure))
    return classified


def _columns(expected: Sequence[Point], actual: Sequence[Point], source: str) -> list[int]:
    """The position of each expected environment among the actual ones."""
    for point in actual:
        if _position(point, expected) is None:
            raise InputError(f"environment {point_label(point)} is not in {source}", "", "the same environments")
    columns = []
    for point in expected:
        column = _position(point, actual)
        if column is None:
            raise InputError(f"environment {point_label(point)} of {source} is missing", "", "the same environments")
        columns.append(column)
    return columns


def _coordinates(header: Line, source: str) -> tuple[str, ...]:
    coordinates = tuple(name for name in header.cells if name not in FIXED and name not in IGNORED)
    # A coordinate may have any name, so only where a fixed column is missing may another be its misspelling.
    known = IGNORED if set(FIXED) - set(header.cells) else (*coordinates, *IGNORED)
    check_columns(header.cells, FIXED, known, source)
    return tuple(sorted(coordinates))


def _matrix(group: Group, records: Sequence[Record], coordinates: Sequence[str]) -> KillMatrix:
    points: list[Point] = []
    lines: dict[tuple[str, Point], int] = {}
    cells: list[Cell] = []
    for record in records:
        point = _known_point(tuple((name, record.number(name)) for name in coordinates), points)
        mutant = record.text("mutant")
        if (mutant, point) in lines:
            problem = f"{mutant} in {point_label(point)} appears twice (first in line {lines[mutant, point]})"
            raise InputError(problem, f"line {record.line}", "one line per mutant and environment", record.source)
        lines[mutant, point] = record.line
        cells.append((mutant, point, _outcome(record)))
    try:
        return KillMatrix.from_cells(cells)
    except InputError as error:
        raise error.located(source=f"{records[0].source}: {'/'.join(group)}") from None


def _outcome(record: Record) -> Outcome:
    text = record.values["killed"]
    outcome = _OUTCOMES.get(" ".join(text.lower().replace("_", " ").split()))
    if outcome is None:
        expected = "True or False (or killed, survived, inconclusive)"
        raise InputError(f"{text!r} is not an outcome", record.where("killed"), expected, record.source)
    return outcome


def _known_point(point: Point, points: list[Point]) -> Point:
    """The point first seen at this place; a new one is remembered."""
    position = _position(point, points)
    if position is None:
        points.append(point)
        return point
    return points[position]


def _position(point: Point, points: Sequence[Point]) -> int | None:
    values = [value for _, value in point]
    for position, known in enumerate(points):
        if all(map(_same, values, (value for _, value in known))):
            return position
    return None


def _same(first: float, second: float) -> bool:
    return math.isclose(first, second, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
