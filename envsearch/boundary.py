"""Boundary search: at which values of an environment's parameters do healthy agents start to behave differently?

Ask and tell, with no agents in it: `BoundarySearch.ask` gives points, the caller finds out whether healthy agents can
be distinguished from those in the initial environment, and `BoundarySearch.tell` takes the answer.

Source: Tambon et al., "Mutation Testing of Deep Reinforcement Learning Based on Real Faults", ICST 2023: axis ends
first, then a corner for every pair of them, each by bisection from the initial environment. What Proctor does
otherwise is described in docs/boundary-search.md.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from envsearch.bisection import Bracket, Segment, halvings
from envsearch.errors import InputError, unknown_name
from envsearch.spec import Parameter

Point = tuple[tuple[str, float], ...]
"""(parameter, value) pairs, every parameter named, in the order of the definition."""

Kind = Literal["initial", "axis", "corner"]
Scaling = Literal["per_axis", "published"]
SIDES = ("upper", "lower")


@dataclass(frozen=True, slots=True)
class BoundaryPoint:
    """One environment at the edge of normal behaviour: the last accepted point of its segment.

    Attributes:
        label: for tables: ``initial``, ``cart_mass upper``, ``cart_mass upper, pole_mass upper``; with ``(limit)``
            where the limit of the search itself was accepted, so that the edge lies further out.
    """

    kind: Kind
    point: Point
    label: str


@dataclass(frozen=True, slots=True)
class Probe:
    """One answer: `accepted` = healthy agents cannot be distinguished there."""

    point: Point
    accepted: bool


@dataclass(frozen=True, slots=True)
class BoundaryResult:
    """What the search found.

    Attributes:
        environments: the initial one, then axis ends (by parameter, upper before lower), then corners; no two equal.
        probes: every answer, in the order of the requests.
        warnings: one sentence each: sides without an environment, answers that contradict monotonicity.
    """

    environments: tuple[BoundaryPoint, ...]
    probes: tuple[Probe, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Ray:
    """One segment from the initial point outwards with its bracket."""

    kind: Kind
    label: str
    segment: Segment
    bracket: Bracket


class BoundarySearch:
    """The boundary search over any number of parameters.

    Args:
        parameters: initial value, limits and precision of each axis.
        batch: how many points the caller can answer at once. Every open segment asks for at least one point per round
            whatever the batch; a larger batch is spent on several interior points per segment, for fewer rounds.
        ask_initial: ask about the initial point too (in the first round). If it is rejected the search stops: then
            the test distinguishes healthy agents from themselves, and every other answer means nothing.
        scaling: when a corner's bisection stops. ``per_axis``: each coordinate is divided by its own precision, and the
            bracket is at most sqrt(2) long. ``published``: norm of the bracket <= norm of the two precisions, which
            adds up different units.

    Raises:
        InputError: no parameters, a name twice, a precision too fine for its limits, a batch below 1.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        batch: int = 1,
        ask_initial: bool = True,
        scaling: Scaling = "per_axis",
    ) -> None:
        _check(parameters, batch, scaling)
        self._parameters = tuple(parameters)
        self._batch = batch
        self._scaling = scaling
        self._initial = tuple(parameter.initial for parameter in parameters)
        self._answers: dict[Point, bool] = {}
        self._asked: dict[Point, None] = {}  # an ordered set
        self._rays = _axis_rays(self._parameters)
        self._corners_made = False
        self._round: list[tuple[_Ray, dict[int, Point]]] = []
        self._initial_rejected = False
        if ask_initial:
            self._asked[self._named(self._initial)] = None
        self._advance()

    def ask(self) -> list[Point]:
        """The points whose answers are needed now: all of the round that are not answered yet. Empty when done."""
        return [] if self.done else self._waiting()

    def tell(self, point: Iterable[tuple[str, float]], accepted: bool) -> None:
        """Take one answer, in any order. `accepted`: healthy agents behave there as in the initial environment.

        The published study counts an inconclusive test as accepted; what to do with it is the caller's choice.

        Raises:
            InputError: the point was not requested, or already has another answer.
        """
        key = self._key(point)
        if self._answers.setdefault(key, bool(accepted)) != bool(accepted):
            raise InputError(f"two different answers for {_text(key)}", "tell", "one answer per point")
        if key == self._named(self._initial) and not accepted:
            self._initial_rejected = True
        elif not self._initial_rejected and not self._waiting():
            self._advance()

    @property
    def done(self) -> bool:
        """Whether no further answer is needed."""
        return self._initial_rejected or not self._waiting()

    @property
    def initial_rejected(self) -> bool:
        """Whether the healthy agents were distinguished from themselves in the initial environment."""
        return self._initial_rejected

    def result(self) -> BoundaryResult:
        """The environments found.

        Raises:
            InputError: the search is not done, or the initial environment was rejected.
        """
        if self._initial_rejected:
            raise InputError(
                "the healthy agents are distinguished from themselves in the initial environment",
                "boundary",
                "a test that accepts the initial environment (more agents or episodes, or another kill test)",
            )
        if not self.done:
            raise InputError(f"the search is still waiting for {len(self._waiting())} answers", "boundary")
        probes = tuple(Probe(point, self._answers[point]) for point in self._asked)
        doubts = [_no_environment(ray) for ray in self._rays if ray.bracket.accepted == 0]
        doubts += contradictions(self._named(self._initial), probes)
        return BoundaryResult(tuple(self._environments()), probes, tuple(doubts))

    def _environments(self) -> list[BoundaryPoint]:
        points = {self._named(self._initial): BoundaryPoint("initial", self._named(self._initial), "initial")}
        for ray in self._rays:
            point = self._named(ray.segment.point(ray.bracket.accepted))
            beyond = " (limit)" if ray.kind == "axis" and ray.bracket.rejected is None else ""
            points.setdefault(point, BoundaryPoint(ray.kind, point, ray.label + beyond))
        return list(points.values())

    def _waiting(self) -> list[Point]:
        return [point for point in self._asked if point not in self._answers]

    def _advance(self) -> None:
        """Close rounds that are fully answered and open the next one, until something is left to ask."""
        while True:
            for ray, points in self._round:
                ray.bracket.absorb({index: self._answers[point] for index, point in points.items()})
            self._round = []
            still_open = [ray for ray in self._rays if not ray.bracket.done]
            if not still_open and not self._corners_made:
                self._corners_made = True
                self._rays += _corner_rays(self._parameters, self._rays, self._scaling)
                continue
            if not still_open:
                return
            self._open_round(still_open)
            if self._waiting():
                return

    def _open_round(self, rays: Sequence[_Ray]) -> None:
        share, extra = divmod(self._batch, len(rays))
        for position, ray in enumerate(rays):
            width = max(1, share + (position < extra))
            points = {index: self._named(ray.segment.point(index)) for index in ray.bracket.proposals(width)}
            self._round.append((ray, points))
            self._asked.update(dict.fromkeys(points.values()))

    def _named(self, coordinates: tuple[float, ...]) -> Point:
        return tuple((known.name, value) for known, value in zip(self._parameters, coordinates, strict=True))

    def _key(self, point: Iterable[tuple[str, float]]) -> Point:
        pairs = tuple(point)
        values = dict(pairs)
        if set(values) == {known.name for known in self._parameters}:
            key = tuple((known.name, float(values[known.name])) for known in self._parameters)
            if key in self._asked:
                return key
        raise InputError(f"{_text(pairs)} was not requested", "tell", "a point that ask() gave")


def contradictions(initial: Point, probes: Sequence[Probe]) -> list[str]:
    """A sentence for every rejected point that lies, on every axis, between the initial point and an accepted one."""
    start = tuple(value for _, value in initial)
    accepted = [probe.point for probe in probes if probe.accepted]
    sentences = []
    for rejected in (probe.point for probe in probes if not probe.accepted):
        further = next((point for point in accepted if _between(start, rejected, point)), None)
        if further is not None:
            sentences.append(
                f"Not monotone: behaviour differs at {_text(rejected)} but not at {_text(further)}, which is"
                " further out; the edge nearest to the initial environment was taken."
            )
    return sentences


def _between(start: tuple[float, ...], inner: Point, outer: Point) -> bool:
    triples = zip(start, inner, outer, strict=True)
    return all(min(a, outer_) <= inner_ <= max(a, outer_) for a, (_, inner_), (_, outer_) in triples)


def _check(parameters: Sequence[Parameter], batch: int, scaling: str) -> None:
    if not parameters:
        raise InputError(
            "the environment declares no parameters, so there is no boundary to search",
            "parameters",
            "at least one parameter with initial value, limits and precision",
        )
    names = [parameter.name for parameter in parameters]
    if len(set(names)) < len(names):
        raise InputError("two parameters have the same name", "parameters", "distinct names")
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise InputError(f"{batch!r} is out of range", "batch", "a positive whole number")
    if scaling not in get_args(Scaling):
        raise unknown_name("scaling", scaling, get_args(Scaling), "scaling")


def _axis_rays(parameters: tuple[Parameter, ...]) -> list[_Ray]:
    """One ray per parameter and side on which the limit differs from the initial value; order: upper, lower."""
    initial = tuple(parameter.initial for parameter in parameters)
    rays = []
    for axis, parameter in enumerate(parameters):
        for side, limit in zip(SIDES, (parameter.high, parameter.low), strict=True):
            if limit != parameter.initial:
                levels = halvings(abs(limit - parameter.initial), parameter.precision, f"{parameter.name}.precision")
                segment = Segment(initial, (*initial[:axis], limit, *initial[axis + 1 :]), levels)
                rays.append(_Ray("axis", f"{parameter.name} {side}", segment, Bracket(segment.cells)))
    return rays


def _corner_rays(parameters: tuple[Parameter, ...], axis_rays: Sequence[_Ray], scaling: Scaling) -> list[_Ray]:
    """One ray per pair of axes and combination of sides whose two bounds both differ from the initial values."""
    initial = tuple(parameter.initial for parameter in parameters)
    ends: Mapping[str, tuple[float, ...]] = {ray.label: ray.segment.point(ray.bracket.accepted) for ray in axis_rays}
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
            levels = _corner_levels(pair, (corner[first], corner[second]), scaling)
            segment = Segment(initial, tuple(corner), levels)
            rays.append(_Ray("corner", ", ".join(labels), segment, Bracket(segment.cells)))
    return rays


def _corner_levels(pair: tuple[Parameter, Parameter], corner: tuple[float, float], scaling: Scaling) -> int:
    lengths = [abs(end - parameter.initial) for parameter, end in zip(pair, corner, strict=True)]
    if scaling == "published":
        return halvings(math.hypot(*lengths), math.hypot(*(parameter.precision for parameter in pair)))
    scaled = [length / parameter.precision for length, parameter in zip(lengths, pair, strict=True)]
    return halvings(math.hypot(*scaled), math.sqrt(2.0))


def _no_environment(ray: _Ray) -> str:
    first = ", ".join(f"{value:g}" for value in ray.segment.point(1))
    return (
        f"{ray.label}: behaviour already differs one step from the initial environment (at {first}), so this direction"
        " gives no environment; a finer precision may find one."
    )


def _text(point: Point) -> str:
    return "(" + ", ".join(f"{name} {value:g}" for name, value in point) + ")"
