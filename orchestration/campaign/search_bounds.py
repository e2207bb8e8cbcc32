"""The most that a boundary search can ask and find, known before it starts.

Source of the published counts: Tambon et al., ICST 2023: per axis side 1 + ceil(log2(length / precision)) evaluations
of the healthy population, per corner the same along the diagonal.
"""

from __future__ import annotations

import itertools
import math

from envsearch.bisection import halvings
from envsearch.boundary import CORNER_SCAN
from envsearch.boundary_ray import corner_levels
from envsearch.spec import Parameter
from orchestration.campaign.result import EQUIVALENCE
from orchestration.campaign.spec.campaign import BoundaryPlan


def _sides(parameter: Parameter) -> list[float]:
    """Lengths of the sides on which there is something to search."""
    return [abs(limit - parameter.initial) for limit in (parameter.high, parameter.low) if limit != parameter.initial]


def most_answers(plan: BoundaryPlan, test: str) -> int:
    """Points that one search asks about, at most (one point per open segment and round after the first)."""
    scan = plan.scan if test == EQUIVALENCE else 1
    levels = [halvings(length, known.precision) for known in plan.parameters for length in _sides(known)]
    answers = 1 + sum(_most_on(level, scan) for level in levels)
    for first, second in itertools.combinations(plan.parameters, 2):
        for length, width in itertools.product(_sides(first), _sides(second)):
            answers += _most_on(
                corner_levels((first, second), (length, width), plan.scaling), max(1, scan // CORNER_SCAN)
            )
    return answers


def _most_on(levels: int, scan: int) -> int:
    """Points on one segment: a first round, halving to the edge and to the furthest accepted point, and beyond."""
    if scan == 1:
        return 1 + levels
    first = min(scan, 1 << levels)
    inside = (math.ceil((1 << levels) / first) - 1).bit_length()
    return min(1 << levels, first + 2 * inside + scan // 2)


def most_environments(plan: BoundaryPlan) -> int:
    """Test environments that one search finds, at most: the initial one, a bound per side, a point per corner."""
    sides = [len(_sides(parameter)) for parameter in plan.parameters]
    return 1 + sum(sides) + sum(first * second for first, second in itertools.combinations(sides, 2))
