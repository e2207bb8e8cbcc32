"""Error control: what the p-values of many comparisons mean when they are reported together.

A *family* is every comparison that one report judges by corrected tests. Adjusted p-values are compared with the level
of the test as a single p-value would be.

Sources: Benjamini and Hochberg, "Controlling the false discovery rate", Journal of the Royal Statistical Society B
57(1), 1995; Benjamini and Yekutieli, "The control of the false discovery rate in multiple testing under dependency",
Annals of Statistics 29(4), 2001; Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal
of Statistics 6, 1979.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from envsearch.errors import InputError, unknown_name

PValues = NDArray[np.float64]


class ErrorControl(Protocol):
    """Adjusts the p-values of one family.

    Attributes:
        name: as in specs and on the command line.
        method: whose procedure it is, for the reader.
        controls: the rate that stays at most at the level.
        assumes: under which dependence of the p-values.
    """

    name: str
    method: str
    controls: str
    assumes: str

    def adjust(self, p_values: PValues) -> PValues:
        """Adjusted p-values of families of m comparisons, shape (..., m); each row is a family of its own."""
        ...

    def levels(self, p_values: PValues, level: float) -> PValues:
        """The largest p-value with which each comparison would be rejected, given all the others; shape (m,).

        Args:
            p_values: of one family, shape (m,).
            level: of the whole family.
        """
        ...


class FalseDiscovery:
    """Step-up control of the false discovery rate; with `any_dependence`, for p-values of any joint law."""

    controls: str = "false discovery rate: the expected share of false kills among all kills"

    def __init__(self, any_dependence: bool = False) -> None:
        self.name = "false_discovery_any_dependence" if any_dependence else "false_discovery"
        self.method = "Benjamini-Yekutieli" if any_dependence else "Benjamini-Hochberg"
        self.assumes = "any dependence" if any_dependence else "positive regression dependence of the null comparisons"
        self._any_dependence = any_dependence

    def adjust(self, p_values: PValues) -> PValues:
        """Smallest level at which each comparison is rejected: the running minimum of m p / rank from above."""
        # scipy.stats.false_discovery_control multiplies in another order, so that it disagrees with `levels` in the
        # last bit: a p-value exactly at its level would be rejected by one and not by the other.
        order = np.argsort(p_values, axis=-1, kind="stable")
        ordered = np.take_along_axis(p_values, order, axis=-1)
        scaled = self._scaled(ordered, np.arange(1, p_values.shape[-1] + 1))
        lowest = np.minimum.accumulate(scaled[..., ::-1], axis=-1)[..., ::-1]
        return _in_place(np.minimum(lowest, 1.0), order)

    def levels(self, p_values: PValues, level: float) -> PValues:
        """level x (rejections with this comparison among them) / (m x penalty)."""
        size = p_values.size
        order = np.argsort(p_values, kind="stable")
        ordered, ranks = p_values[order], np.arange(1, size + 1)
        rejected = int(np.max(np.where(self._scaled(ordered, ranks) <= level, ranks, 0), initial=0))
        # a comparison that is not rejected would be one more beside those below it that pass with that one more
        passing = np.where(self._scaled(ordered, ranks + 1) <= level, ranks, 0)
        before = np.maximum.accumulate(np.concatenate(([0], passing)))[:size]
        numbers = np.where(ranks <= rejected, rejected, before + 1)
        return _in_place(numbers * level / (size * self._penalty(size)) if size else ordered, order)

    def _scaled(self, ordered: PValues, ranks: NDArray[np.int_]) -> PValues:
        size = ordered.shape[-1]
        scaled: PValues = ordered * (size * self._penalty(size)) / ranks
        return scaled

    def _penalty(self, size: int) -> float:
        return float(np.sum(1 / np.arange(1, size + 1))) if self._any_dependence else 1.0


class Familywise:
    """Holm's step-down procedure."""

    name: str = "familywise"
    method: str = "Holm"
    controls: str = "familywise error rate: the chance of any false kill"
    assumes: str = "any dependence"

    def adjust(self, p_values: PValues) -> PValues:
        """The running maximum of (m - rank + 1) p from below."""
        size = p_values.shape[-1]
        order = np.argsort(p_values, axis=-1, kind="stable")
        scaled = np.take_along_axis(p_values, order, axis=-1) * np.arange(size, 0, -1)
        return _in_place(np.minimum(np.maximum.accumulate(scaled, axis=-1), 1.0), order)

    def levels(self, p_values: PValues, level: float) -> PValues:
        """level / (m - number of others that are rejected before it)."""
        size = p_values.size
        order = np.argsort(p_values, kind="stable")
        ordered = p_values[order]
        limits = level / np.arange(size, 0, -1)
        numbers = np.zeros(size)
        for position in range(size):
            passed = np.delete(ordered, position) <= limits[: size - 1]
            numbers[position] = size - 1 if np.all(passed) else int(np.argmin(passed))
        return _in_place(level / (size - numbers), order)


ERROR_CONTROLS: dict[str, ErrorControl] = {
    "false_discovery": FalseDiscovery(),
    "familywise": Familywise(),
    "false_discovery_any_dependence": FalseDiscovery(any_dependence=True),
}

DEFAULT_ERROR_CONTROL = "false_discovery"


def error_control(name: str, field: str = "error_control") -> ErrorControl:
    """The control of that name.

    Raises:
        InputError: the name is unknown.
    """
    if name not in ERROR_CONTROLS:
        raise unknown_name("error control", name, ERROR_CONTROLS, field)
    return ERROR_CONTROLS[name]


def adjust(p_values: Sequence[float], control: str = DEFAULT_ERROR_CONTROL) -> list[float]:
    """Adjusted p-values of one family, in the order of `p_values`.

    Raises:
        InputError: the control is unknown, or a p-value is not in [0, 1].
    """
    return [float(value) for value in error_control(control).adjust(_checked(p_values))]


def _checked(p_values: ArrayLike) -> PValues:
    array = np.asarray(p_values, dtype=np.float64)
    wrong = array[~((array >= 0) & (array <= 1))]
    if wrong.size:
        raise InputError(f"{wrong.flat[0]} is not a p-value", "p_values", "numbers in [0, 1]")
    return array


def _in_place(ordered: PValues, order: NDArray[np.intp]) -> PValues:
    """Values in rising order of their p-values, put back into the order of the comparisons."""
    result = np.empty_like(ordered)
    np.put_along_axis(result, order, ordered, axis=-1)
    return result
