"""From evidence to killed, survived or inconclusive, with the reason in one clause."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy import stats

from mutations.killing.kill_test import Direction, Outcome
from mutations.killing.sign_flip import smallest_p_value
from mutations.killing.statistics import newcombe_interval, paired_power

NOT_LARGE = (0.29, 0.71)
"""Vargha and Delaney (2000): an A outside is a large effect."""

_SMALL, _MEDIUM = 0.06, 0.14
_MOST_SEEDS = 1000


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verdict is decided on.

    Attributes:
        seeds: pairs compared.
        differing: pairs whose two rewards differ.
        a: Vargha-Delaney A of the mutant.
        raw: p-value of the single comparison.
        corrected: p-value after correction for the family; the same where there is none.
        strictness: level that is in force for `raw`: the test's own where there is no correction.
    """

    seeds: int
    differing: int
    direction: Direction
    a: float
    raw: float
    corrected: float
    strictness: float


def smallest_useful(level: float) -> int:
    """The fewest pairs with which a two-sided sign-flip test can fall below `level`."""
    return math.floor(1 - math.log2(level)) + 1


def decide(evidence: Evidence, level: float) -> tuple[Outcome, str]:
    """Outcome and reason.

    Killed: the corrected p is below the level. Survived: it is not, and a large effect is excluded, because the 90 %
    interval of A lies inside the band of effects that are not large (an equivalence test at 5 %), or because no pair
    differs. Inconclusive: anything else.
    """
    if evidence.differing == 0:
        return Outcome.SURVIVED, "the populations are identical"
    if evidence.corrected < level:
        return Outcome.KILLED, _killed_reason(evidence)
    least = smallest_useful(level)
    if evidence.seeds < least:
        best = smallest_p_value(evidence.seeds)
        return Outcome.INCONCLUSIVE, f"with {evidence.seeds} seeds no p can be below {best:.3g}: use at least {least}"
    low, high = newcombe_interval(evidence.a, evidence.seeds, evidence.seeds, 0.90)
    interval = f"the 90 % interval of A [{low:.2f}, {high:.2f}]"
    if _inside(low, high):
        return Outcome.SURVIVED, f"not significant, and {interval} excludes a large effect"
    return Outcome.INCONCLUSIVE, f"not significant, but {interval} allows a large effect; {_advice(evidence)}"


def _killed_reason(evidence: Evidence) -> str:
    distance = abs(evidence.a - 0.5)
    words = ((_SMALL, "negligible"), (_MEDIUM, "small"), (NOT_LARGE[1] - 0.5, "medium"))
    size = next((word for bound, word in words if distance < bound), "large")
    return f"the mutant is {evidence.direction.value} than healthy, with a {size} effect"


def _inside(low: float, high: float) -> bool:
    return NOT_LARGE[0] < low and high < NOT_LARGE[1]


def _advice(evidence: Evidence) -> str:
    """How many more seeds would settle it if the estimates held: for survival or for a kill, what comes first."""
    effect = float(stats.t.isf(evidence.raw / 2, evidence.seeds - 1)) / math.sqrt(evidence.seeds)

    strictness = evidence.strictness

    def settled(seeds: int) -> bool:
        survived = _inside(*newcombe_interval(evidence.a, seeds, seeds, 0.90))
        return survived or (smallest_p_value(seeds) < strictness and paired_power(effect, seeds, strictness) >= 0.8)

    needed = _first(settled, evidence.seeds + 1, _MOST_SEEDS)
    if needed is None:
        return "more seeds alone are unlikely to settle it"
    more = needed - evidence.seeds
    return f"about {more} more {'seed' if more == 1 else 'seeds'} would settle it if the estimates held"


def _first(condition: Callable[[int], bool], low: int, high: int) -> int | None:
    """The smallest number in [low, high] for which a condition holds that stays true once it is true."""
    if low > high or not condition(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if condition(middle) else (middle + 1, high)
    return low
