"""What a boundary search learns about one point, and what its answers say together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

Point = tuple[tuple[str, float], ...]
"""(parameter, value) pairs, every parameter named, in the order of the definition."""


class Behaviour(StrEnum):
    """Healthy agents at a point, compared with themselves in the initial environment."""

    ACCEPTED = "accepted"
    """The same behaviour is shown: any difference is smaller than the margin."""
    UNKNOWN = "unknown"
    """Neither is shown."""
    REJECTED = "rejected"
    """Another behaviour is shown: the difference exceeds the margin."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        within: whether the difference, as estimated, is within the margin. Bisection follows it, so that the edge
            does not depend on how much evidence there is.
        behaviour: what is shown. A test environment must be accepted.
    """

    within: bool
    behaviour: Behaviour

    @staticmethod
    def certain(accepted: bool) -> Answer:
        """The answer of a caller that knows no third possibility."""
        return Answer(accepted, Behaviour.ACCEPTED if accepted else Behaviour.REJECTED)


@dataclass(frozen=True, slots=True)
class Probe:
    """A point and its answer."""

    point: Point
    answer: Answer

    @property
    def accepted(self) -> bool:
        """Whether the same behaviour is shown."""
        return self.answer.behaviour is Behaviour.ACCEPTED

    @property
    def rejected(self) -> bool:
        """Whether another behaviour is shown."""
        return self.answer.behaviour is Behaviour.REJECTED


def contradictions(initial: Point, probes: Sequence[Probe]) -> list[str]:
    """A sentence for every accepted point that has a rejected point between itself and the initial one, on every axis.

    Several rejections share a sentence if the furthest accepted point beyond them is the same.
    """
    start = tuple(value for _, value in initial)
    accepted = [probe.point for probe in probes if probe.accepted]
    islands: dict[Point, list[Point]] = {}
    for rejected in (probe.point for probe in probes if probe.rejected):
        beyond = [point for point in accepted if _between(start, rejected, point)]
        if beyond:
            islands.setdefault(max(beyond, key=lambda point: _distance(start, point)), []).append(rejected)
    return [_island(start, points, further) for further, points in islands.items()]


def _island(start: tuple[float, ...], rejected: list[Point], further: Point) -> str:
    nearest = min(rejected, key=lambda point: _distance(start, point))
    others = len(rejected) - 1
    more = f" (and at {others} more {'point' if others == 1 else 'points'})" if others else ""
    return (
        f"Not monotone: behaviour differs at {text_of(nearest)}{more} but not at {text_of(further)}, which is further"
        " out; the edge nearest to the initial environment was taken."
    )


def _distance(start: tuple[float, ...], point: Point) -> float:
    return sum(abs(value - origin) for origin, (_, value) in zip(start, point, strict=True))


def _between(start: tuple[float, ...], inner: Point, outer: Point) -> bool:
    triples = zip(start, inner, outer, strict=True)
    return all(min(a, outer_) <= inner_ <= max(a, outer_) for a, (_, inner_), (_, outer_) in triples)


def text_of(point: Iterable[tuple[str, float]]) -> str:
    """For messages: ``(cart_mass 1, pole_mass 0.1)``."""
    return "(" + ", ".join(f"{name} {value:g}" for name, value in point) + ")"
