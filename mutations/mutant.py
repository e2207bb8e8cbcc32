"""A mutant is a set of mutations; its recipe is the healthy recipe folded over them.

Healthy = no mutation, first order = one, higher order = several: one code path.
"""

from __future__ import annotations

from dataclasses import dataclass

HEALTHY = "Healthy"


@dataclass(frozen=True, slots=True)
class Mutation:
    """One operator with its magnitude, as data.

    Attributes:
        operator: the operator's acronym in the table, or import path ``module:object``.
        magnitude: probability (RN, M, Ra, R and every other operator that strikes per event) or the name of a
            function (PAC, POC); None for the operator's default.
        variant: ``defined`` (the fault the paper defines) or ``published`` (what its published code does).
        options: further settings of the operator, as sorted pairs (R: ``semantics`` delay | freeze).
    """

    operator: str
    magnitude: float | str | None = None
    variant: str = "defined"
    options: tuple[tuple[str, str | float | bool], ...] = ()

    @property
    def id(self) -> str:
        """As the published tables write it: ``RN_1.0``, ``PAC_ReLU``, ``NDF``; other settings in brackets."""
        base = self.operator if self.magnitude is None else f"{self.operator}_{self.magnitude}"
        settings = [f"{name}={value}" for name, value in self.options]
        if self.variant != "defined":
            settings.insert(0, self.variant)
        return f"{base}[{','.join(settings)}]" if settings else base


@dataclass(frozen=True, slots=True)
class Mutant:
    """A set of mutations in canonical order; no mutation is the healthy agent."""

    mutations: tuple[Mutation, ...] = ()

    @property
    def id(self) -> str:
        """``Healthy``, ``RN_1.0``, ``NDF-MTS``."""
        return "-".join(mutation.id for mutation in self.mutations) or HEALTHY

    @property
    def order(self) -> int:
        """0 healthy, 1 first order, 2 and more higher order."""
        return len(self.mutations)
