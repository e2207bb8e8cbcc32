"""Which test environment kills which mutant, by one kill test."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from envsearch.errors import InputError
from mutations.killing.kill_test import KillVerdict, Outcome, killed_but_better

Point = tuple[tuple[str, float], ...]
"""(parameter, value) pairs of one environment."""

Cell = tuple[str, Point, Outcome]
"""(mutant, environment, outcome)."""


class PlacedVerdict(Protocol):
    """A verdict on one mutant in one environment."""

    @property
    def mutant(self) -> str: ...

    @property
    def environment(self) -> Point: ...

    @property
    def verdict(self) -> KillVerdict: ...


@dataclass(frozen=True, slots=True)
class KillMatrix:
    """Outcomes of one kill test, mutants x environments.

    Attributes:
        mutants, environments: in the order in which they were first named.
        outcomes: one row per mutant, one outcome per environment. Inconclusive is kept apart from survived.
    """

    mutants: tuple[str, ...]
    environments: tuple[Point, ...]
    outcomes: tuple[tuple[Outcome, ...], ...]

    @classmethod
    def from_cells(cls, cells: Iterable[Cell]) -> KillMatrix:
        """Put single outcomes together.

        Raises:
            InputError: a cell appears twice or is missing.
        """
        outcomes: dict[tuple[str, Point], Outcome] = {}
        for mutant, point, outcome in cells:
            if (mutant, point) in outcomes:
                raise InputError(f"two outcomes for {mutant} in {point_label(point)}", "kill matrix", "one")
            outcomes[mutant, point] = Outcome(outcome)
        mutants = tuple(dict.fromkeys(mutant for mutant, _ in outcomes))
        environments = tuple(dict.fromkeys(point for _, point in outcomes))
        rows = tuple(_row(outcomes, mutant, environments) for mutant in mutants)
        return cls(mutants, environments, rows)

    @classmethod
    def from_verdicts(cls, verdicts: Iterable[PlacedVerdict], better_is_killed: bool = True) -> KillMatrix:
        """Put verdicts of one kill test together.

        Args:
            better_is_killed: whether a mutant killed with direction `better` counts as killed. Where it does not, it
                counts as survived: the environment shows no fault of it.

        Raises:
            InputError: a cell appears twice or is missing, the verdicts are of several tests, or of a test that
                gives a number and no outcome.
        """
        placed = list(verdicts)
        tests = sorted({item.verdict.test for item in placed})
        if len(tests) > 1:
            raise InputError(f"verdicts of several tests ({', '.join(tests)})", "kill matrix", "one kill test")
        cells = []
        for item in placed:
            if item.verdict.outcome is None:
                problem = f"{item.verdict.test} gives no outcome for {item.mutant}"
                raise InputError(problem, "kill matrix", "a test that says killed, survived or inconclusive")
            survived = killed_but_better(item.verdict) and not better_is_killed
            cells.append((item.mutant, item.environment, Outcome.SURVIVED if survived else item.verdict.outcome))
        return cls.from_cells(cells)

    @property
    def killed(self) -> NDArray[np.bool_]:
        """Which environment kills which mutant, shape (mutants, environments)."""
        return self._where(Outcome.KILLED)

    @property
    def inconclusive(self) -> NDArray[np.bool_]:
        """Where the test could not say, shape (mutants, environments)."""
        return self._where(Outcome.INCONCLUSIVE)

    def kills_of(self, mutant: str) -> NDArray[np.bool_]:
        """Which environments kill a mutant, shape (environments,).

        Raises:
            InputError: the mutant is not in the matrix.
        """
        kills: NDArray[np.bool_] = self.killed[self.index(mutant)]
        return kills

    def index(self, mutant: str) -> int:
        """Row of a mutant; `InputError` if it is not in the matrix."""
        if mutant not in self.mutants:
            raise InputError(f"{mutant!r} is not in the kill matrix", "mutant", f"one of {', '.join(self.mutants)}")
        return self.mutants.index(mutant)

    def select(self, mutants: Collection[str]) -> KillMatrix:
        """The matrix of some of its mutants, in its own order."""
        kept = [row for row, mutant in enumerate(self.mutants) if mutant in mutants]
        return KillMatrix(
            tuple(self.mutants[row] for row in kept), self.environments, tuple(self.outcomes[row] for row in kept)
        )

    def _where(self, outcome: Outcome) -> NDArray[np.bool_]:
        shape = (len(self.mutants), len(self.environments))
        return np.array([[cell is outcome for cell in row] for row in self.outcomes], dtype=np.bool_).reshape(shape)


def point_label(point: Point) -> str:
    """One environment for a message: ``(cart_mass 1, pole_mass 0.1)``."""
    return f"({', '.join(f'{name} {value:.10g}' for name, value in point)})"


def _row(
    outcomes: Mapping[tuple[str, Point], Outcome], mutant: str, environments: Iterable[Point]
) -> tuple[Outcome, ...]:
    row = []
    for point in environments:
        if (mutant, point) not in outcomes:
            expected = "every mutant in every environment"
            raise InputError(f"no outcome for {mutant} in {point_label(point)}", "kill matrix", expected)
        row.append(outcomes[mutant, point])
    return tuple(row)
