"""Time budgets: which tests of an order are run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agents.scheduling.columns import among
from agents.scheduling.episode import Budget
from agents.scheduling.observation import BoolArray, FloatArray, IntArray

# A sum of the same durations in another order differs in its last bits, and a budget of 100 % must select everything.
_SLACK = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class BudgetedOrder:
    """An order after a budget was applied.

    Attributes:
        order: indices of all tests: must-run tests, then the other selected ones, then those that are not selected,
            each part in its previous order; shape (n,).
        selected: by test, not by position; shape (n,).
    """

    order: IntArray
    selected: BoolArray


def budget_seconds(budget: Budget, durations: FloatArray) -> float | None:
    """Seconds that may be spent on tests of these durations; None: no limit."""
    if budget.seconds is not None:
        return budget.seconds
    return None if budget.share is None else budget.share * float(durations.sum())


def fill(order: IntArray, durations: FloatArray, budget: Budget, ids: Sequence[str], new: BoolArray) -> BudgetedOrder:
    """Select from an order of n tests.

    Must-run tests, and new tests if the budget includes them, are selected first, however long they take. The rest of
    the time is filled from the top of the order. `ids`, `durations` and `new` are by test.
    """
    seconds = budget_seconds(budget, durations)
    if seconds is not None and not budget.must_run and not budget.new_tests_in:
        fits = _fits(durations[order], 0.0, seconds, budget.fill)
        chosen = order[fits]
        selected = np.zeros(len(ids), np.bool_)
        selected[chosen] = True
        return BudgetedOrder(np.concatenate([chosen, order[~fits]]), selected)
    must = among(ids, budget.must_run)
    if seconds is None:
        selected = np.ones(len(ids), np.bool_)
    else:
        always = must | new if budget.new_tests_in else must
        selected = always.copy()
        rest = order[~always[order]]
        spent = float(durations[always].sum())
        selected[rest[_fits(durations[rest], spent, seconds, budget.fill)]] = True
    rank = np.where(must, 0, np.where(selected, 1, 2))
    return BudgetedOrder(order[np.argsort(rank[order], kind="stable")], selected)


def _fits(durations: FloatArray, spent: float, seconds: float, way: str) -> BoolArray:
    """Which tests, taken one after another, end within the budget."""
    limit = seconds * (1.0 + _SLACK)
    fits = np.zeros(len(durations), np.bool_)
    for index, duration in enumerate(durations.tolist()):
        if spent + duration <= limit:
            spent += duration
            fits[index] = True
        elif way == "prefix":
            break
    return fits
