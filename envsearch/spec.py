"""An environment is data: a name and the values of its parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from envsearch.errors import InputError


@dataclass(frozen=True, slots=True)
class Parameter:
    """One physical parameter that a boundary search may move.

    Attributes:
        name: as written in specs and reports.
        initial: the value that agents are trained with.
        low, high: limits of the search, in the parameter's own unit.
        precision: the bisection stops when the bracket is not wider than this.
        unit: for tables and plots.
    """

    name: str
    initial: float
    low: float
    high: float
    precision: float
    unit: str = ""

    def __post_init__(self) -> None:
        for attribute in ("initial", "low", "high", "precision"):
            value = getattr(self, attribute)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise InputError(f"{value!r} is not a finite number", f"{self.name}.{attribute}", "a finite number")
            object.__setattr__(self, attribute, float(value))
        if not self.low < self.high:
            raise InputError(f"limits [{self.low:g}, {self.high:g}] are empty", f"{self.name}.low", "low < high")
        if not self.low <= self.initial <= self.high:
            raise InputError(
                f"initial value {self.initial:g} is outside the limits",
                f"{self.name}.initial",
                f"a value in [{self.low:g}, {self.high:g}]",
            )
        if not self.precision > 0:
            raise InputError(f"{self.precision:g} is not positive", f"{self.name}.precision", "a positive number")


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """One point in the space of an environment's parameters.

    Attributes:
        name: canonical table name, gymnasium id or import path ``module:callable``.
        values: (parameter, value) pairs in the definition's order; parameters not named keep their initial value.
    """

    name: str
    values: tuple[tuple[str, float], ...] = ()

    def with_values(self, values: Mapping[str, float]) -> EnvironmentSpec:
        """The same environment at another point."""
        return EnvironmentSpec(self.name, tuple((name, float(value)) for name, value in values.items()))

    def label(self) -> str:
        """For tables and plots: ``CartPole-v1 (cart_mass 1, pole_mass 0.1)``."""
        inner = ", ".join(f"{name} {value:g}" for name, value in self.values)
        return f"{self.name} ({inner})" if inner else self.name
