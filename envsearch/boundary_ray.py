"""The segments of a boundary search: from the initial environment along an axis, or to a corner of two bounds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from envsearch.bisection import Bracket, Segment, halvings
from envsearch.boundary_answer import Answer, Behaviour
from envsearch.spec import Parameter

RayKind = Literal["axis", "corner"]
Scaling = Literal["per_axis", "published"]
SIDES = ("upper", "lower")


class Ray:
    """One segment from the initial point outwards, searched twice on one grid.

    First the edge: the first grid cell across which the estimated difference leaves the margin. Then, inside of it, the
    furthest accepted point. Where every point within the margin is accepted the second search has nothing to ask.
    Beyond the edge at least half as many points as in the first round are queried, where the grid has as many.

    Args:
        kind: along an axis, or to a corner.
        label: ``cart_mass upper``; for a corner both.
        segment: with its grid.
        scan: points of the first round, evenly spread over the whole segment, the end among them.
    """

    def __init__(self, kind: RayKind, label: str, segment: Segment, scan: int) -> None:
        self.kind = kind
        self.label = label
        self.segment = segment
        self.answers: dict[int, Answer] = {}
        self._scan = scan
        self._edge = Bracket(segment.cells)
        self._shown: Bracket | None = None
        self._beyond: list[int] = []

    @property
    def edge_known(self) -> bool:
        """Whether the edge is bracketed by one cell, or lies beyond the segment."""
        return self._edge.done

    @property
    def done(self) -> bool:
        """Whether the furthest accepted point and the points beyond the edge are known too."""
        return self._shown is not None and self._shown.done and all(index in self.answers for index in self._beyond)

    @property
    def within(self) -> int:
        """Grid index of the last point before the edge; 0 is the initial environment."""
        return self._edge.accepted

    @property
    def accepted(self) -> int:
        """Grid index of the furthest accepted point before the edge; 0 if there is none."""
        return self._shown.accepted if self._shown is not None else 0

    @property
    def rejected(self) -> int | None:
        """Grid index of the nearest rejected point."""
        indices = [index for index, answer in self.answers.items() if answer.behaviour is Behaviour.REJECTED]
        return min(indices, default=None)

    @property
    def open_ended(self) -> bool:
        """Whether the end of the segment was accepted, with no edge before it."""
        return self._edge.rejected is None and self.accepted == self.segment.cells

    def proposals(self, width: int) -> list[int]:
        """Grid indices to ask about in the next round."""
        if not self._edge.done:
            return self._edge.proposals(width if self.answers else max(width, self._scan))
        inside = [] if self._shown is None else self._shown.proposals(width)
        return inside + [index for index in self._beyond if index not in self.answers]

    def absorb(self, answers: Mapping[int, Answer]) -> None:
        """Take all answers of a round."""
        self.answers.update(answers)
        if not self._edge.done:
            self._edge.absorb({index: answer.within for index, answer in answers.items()})
        elif self._shown is not None:
            inside = {index: answer for index, answer in answers.items() if index <= self._edge.accepted}
            self._shown.absorb({index: _shows(answer) for index, answer in inside.items()})
        if self._edge.done and self._shown is None:
            self._shown, self._beyond = self._inner_bracket(), self._points_beyond()

    def _inner_bracket(self) -> Bracket:
        """From the furthest accepted point so far to the next queried point, or to the edge."""
        inside = sorted(index for index in self.answers if index <= self._edge.accepted)
        accepted = max((index for index in inside if _shows(self.answers[index])), default=0)
        beyond = [index for index in inside if index > accepted]
        if not beyond:
            return Bracket(self.segment.cells, accepted, self._edge.rejected)
        return Bracket(self.segment.cells, accepted, beyond[0])

    def _points_beyond(self) -> list[int]:
        """Points that halve the widest gaps between the queried ones beyond the edge, the nearest gap first."""
        if self._edge.rejected is None:
            return []
        asked, chosen = sorted(index for index in self.answers if index >= self._edge.rejected), []
        while len(asked) <= self._scan // 2:
            width, start = max(((b - a, -a) for a, b in itertools.pairwise(asked)), default=(0, 0))
            if width < 2:
                break
            chosen.append(-start + width // 2)
            asked = sorted((*asked, chosen[-1]))
        return chosen


def _shows(answer: Answer) -> bool:
    return answer.behaviour is Behaviour.ACCEPTED


def axis_rays(parameters: Sequence[Parameter], scan: int) -> list[Ray]:
    """One ray per parameter and side on which the limit differs from the initial value; order: upper, lower."""
    initial = tuple(parameter.initial for parameter in parameters)
    rays = []
    for axis, parameter in enumerate(parameters):
        for side, limit in zip(SIDES, (parameter.high, parameter.low), strict=True):
            if limit != parameter.initial:
                levels = halvings(abs(limit - parameter.initial), parameter.precision, f"{parameter.name}.precision")
                segment = Segment(initial, (*initial[:axis], limit, *initial[axis + 1 :]), levels)
                rays.append(Ray("axis", f"{parameter.name} {side}", segment, scan))
    return rays


def corner_rays(parameters: Sequence[Parameter], axes: Iterable[Ray], scaling: Scaling, scan: int) -> list[Ray]:
    """One ray per pair of axes and combination of sides whose two bounds both differ from the initial values."""
    initial = tuple(parameter.initial for parameter in parameters)
    ends: Mapping[str, tuple[float, ...]] = {ray.label: ray.segment.point(ray.within) for ray in axes}
    rays = []
    for first, second in itertools.combinations(range(len(parameters)), 2):
        for sides in itertools.product(SIDES, repeat=2):
            labels = [f"{parameters[axis].name} {side}" for axis, side in zip((first, second), sides, strict=True)]
            bounds = [ends.get(label, initial) for label in labels]
            if bounds[0][first] == initial[first] or bounds[1][second] == initial[second]:
                continue
            corner = list(initial)
            corner[first], corner[second] = bounds[0][first], bounds[1][second]
            pair = (parameters[first], parameters[second])
            lengths = [abs(corner[axis] - initial[axis]) for axis in (first, second)]
            levels = corner_levels(pair, lengths, scaling)
            rays.append(Ray("corner", ", ".join(labels), Segment(initial, tuple(corner), levels), scan))
    return rays


def corner_levels(pair: tuple[Parameter, Parameter], lengths: Sequence[float], scaling: Scaling) -> int:
    """How often the diagonal to a corner is halved; `lengths` of its two sides."""
    if scaling == "published":
        return halvings(math.hypot(*lengths), math.hypot(*(parameter.precision for parameter in pair)))
    scaled = [length / parameter.precision for length, parameter in zip(lengths, pair, strict=True)]
    return halvings(math.hypot(*scaled), math.sqrt(2.0))
