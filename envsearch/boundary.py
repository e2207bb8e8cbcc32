"""Boundary search: at which values of an environment's parameters do healthy agents start to behave differently?

Ask and tell, with no agents in it: `BoundarySearch.ask` gives points, the caller compares the healthy agents there with
themselves in the initial environment, and `BoundarySearch.tell` takes the answer.

Source: Tambon et al., "Mutation Testing of Deep Reinforcement Learning Based on Real Faults", ICST 2023: axis ends
first, then a corner for every pair of them, each by bisection from the initial environment. What Proctor does
otherwise is described in docs/boundary-search.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from envsearch.boundary_answer import Answer, Behaviour, Point, Probe, contradictions, text_of
from envsearch.boundary_ray import Ray, RayKind, Scaling, axis_rays, corner_rays
from envsearch.errors import InputError, unknown_name
from envsearch.spec import Parameter

Kind = Literal["initial", "axis", "corner"]
SCAN = 40
"""Points of the first round on every axis, at most 1/32 of the axis apart (they lie on its grid of 2^n cells)."""

CORNER_SCAN = 4
"""A diagonal, most of which lies inside two bounds, gets one point where an axis gets this many."""


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
class SearchedSegment:
    """What the search learnt along one segment.

    Attributes:
        label: ``cart_mass upper``; for a corner both.
        initial, limit: its ends.
        answers: (share of the segment, answer) of every point that the search queried on it, outwards; the initial
            point is not among them.
        accepted_until: share of the segment up to the furthest accepted point before the edge; 0 if there is none.
        rejected_from: share of the segment up to the nearest rejected point; None if there is none.
    """

    kind: RayKind
    label: str
    initial: Point
    limit: Point
    answers: tuple[tuple[float, Probe], ...]
    accepted_until: float
    rejected_from: float | None


@dataclass(frozen=True, slots=True)
class BoundaryResult:
    """What the search found.

    Attributes:
        environments: the initial one, then axis ends (by parameter, upper before lower), then corners; no two equal.
        probes: every answer, in the order of the requests.
        segments: the same answers by segment: axes, then corners.
        warnings: one sentence each: sides without an environment, answers that contradict monotonicity.
    """

    environments: tuple[BoundaryPoint, ...]
    probes: tuple[Probe, ...]
    segments: tuple[SearchedSegment, ...]
    warnings: tuple[str, ...]


class BoundarySearch:
    """The boundary search over any number of parameters.

    Args:
        parameters: initial value, limits and precision of each axis.
        batch: how many points the caller can answer at once. Every open segment asks for at least one point per round
            whatever the batch; a larger batch is spent on several interior points per segment, for fewer rounds.
        ask_initial: ask about the initial point too (in the first round). If it is not accepted the search stops: then
            healthy agents are not shown to behave as they do themselves, and every other answer means nothing.
        scaling: when a corner's bisection stops. ``per_axis``: each coordinate is divided by its own precision, and the
            bracket is at most sqrt(2) long. ``published``: norm of the bracket <= norm of the two precisions, which
            adds up different units.
        scan: points of the first round on every axis, evenly spread, whatever the batch, so that an island of accepted
            points beyond a rejection is noticed. 1: the limit only, as published. By default `SCAN`, and 1 with the
            published scaling.

    Raises:
        InputError: no parameters, a name twice, a precision too fine for its limits, a batch or scan below 1.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        batch: int = 1,
        ask_initial: bool = True,
        scaling: Scaling = "per_axis",
        scan: int | None = None,
    ) -> None:
        chosen_scan = scan_of(scaling) if scan is None else scan
        _check(parameters, batch, scaling, chosen_scan)
        self._parameters = tuple(parameters)
        self._batch = batch
        self._scaling = scaling
        self._initial = tuple(parameter.initial for parameter in parameters)
        self._scan = chosen_scan
        self._answers: dict[Point, Answer] = {}
        self._asked: dict[Point, None] = {}  # ordered sets
        self._open: dict[Point, None] = {}
        self._rays = axis_rays(self._parameters, chosen_scan)
        self._corners_made = False
        self._round: list[tuple[Ray, dict[int, Point]]] = []
        self._initial_rejected = False
        if ask_initial:
            self._request([self._named(self._initial)])
        self._advance()

    def ask(self) -> list[Point]:
        """The points whose answers are needed now: all of the round that are not answered yet. Empty when done."""
        return [] if self.done else self._waiting()

    def tell(self, point: Iterable[tuple[str, float]], answer: Answer | bool) -> None:
        """Take one answer, in any order. True: accepted, False: rejected.

        The published study counts an inconclusive test as accepted; a caller that follows it gives True.

        Raises:
            InputError: the point was not requested, or already has another answer.
        """
        key, full = self._key(point), answer if isinstance(answer, Answer) else Answer.certain(bool(answer))
        if self._answers.setdefault(key, full) != full:
            raise InputError(f"two different answers for {text_of(key)}", "tell", "one answer per point")
        self._open.pop(key, None)
        if key == self._named(self._initial) and full.behaviour is not Behaviour.ACCEPTED:
            self._initial_rejected = True
        elif not self._initial_rejected and not self._open:
            self._advance()

    @property
    def done(self) -> bool:
        """Whether no further answer is needed."""
        return self._initial_rejected or not self._open

    @property
    def initial_rejected(self) -> bool:
        """Whether the healthy agents are not shown to behave like themselves in the initial environment."""
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
        doubts = [doubt for ray in self._rays if (doubt := _doubt(ray))]
        doubts += contradictions(self._named(self._initial), probes)
        segments = tuple(self._segment(ray) for ray in self._rays)
        return BoundaryResult(tuple(self._environments()), probes, segments, tuple(doubts))

    def _environments(self) -> list[BoundaryPoint]:
        points = {self._named(self._initial): BoundaryPoint("initial", self._named(self._initial), "initial")}
        for ray in self._rays:
            point = self._named(ray.segment.point(ray.accepted))
            beyond = " (limit)" if ray.kind == "axis" and ray.open_ended else ""
            points.setdefault(point, BoundaryPoint(ray.kind, point, ray.label + beyond))
        return list(points.values())

    def _segment(self, ray: Ray) -> SearchedSegment:
        cells = ray.segment.cells
        return SearchedSegment(
            kind=ray.kind,
            label=ray.label,
            initial=self._named(ray.segment.start),
            limit=self._named(ray.segment.end),
            answers=tuple(
                (index / cells, Probe(self._named(ray.segment.point(index)), ray.answers[index]))
                for index in sorted(ray.answers)
            ),
            accepted_until=ray.accepted / cells,
            rejected_from=None if ray.rejected is None else ray.rejected / cells,
        )

    def _waiting(self) -> list[Point]:
        return list(self._open)

    def _advance(self) -> None:
        """Close rounds that are fully answered and open the next one, until something is left to ask."""
        while True:
            for ray, points in self._round:
                ray.absorb({index: self._answers[point] for index, point in points.items()})
            self._round = []
            if not self._corners_made and all(ray.edge_known for ray in self._rays):
                self._corners_made = True
                scan = max(1, self._scan // CORNER_SCAN)
                self._rays += corner_rays(self._parameters, self._rays, self._scaling, scan)
            still_open = [ray for ray in self._rays if not ray.done]
            if not still_open:
                return
            self._open_round(still_open)
            if self._open:
                return

    def _open_round(self, rays: Sequence[Ray]) -> None:
        share, extra = divmod(self._batch, len(rays))
        for position, ray in enumerate(rays):
            width = max(1, share + (position < extra))
            points = {index: self._named(ray.segment.point(index)) for index in ray.proposals(width)}
            self._round.append((ray, points))
            self._request(points.values())

    def _request(self, points: Iterable[Point]) -> None:
        new = [point for point in points if point not in self._asked]
        self._asked.update(dict.fromkeys(new))
        self._open.update(dict.fromkeys(new))

    def _named(self, coordinates: tuple[float, ...]) -> Point:
        return tuple((known.name, value) for known, value in zip(self._parameters, coordinates, strict=True))

    def _key(self, point: Iterable[tuple[str, float]]) -> Point:
        pairs = tuple(point)
        values = dict(pairs)
        if set(values) == {known.name for known in self._parameters}:
            key = tuple((known.name, float(values[known.name])) for known in self._parameters)
            if key in self._asked:
                return key
        raise InputError(f"{text_of(pairs)} was not requested", "tell", "a point that ask() gave")


def scan_of(scaling: str) -> int:
    """Points of the first round on every axis, unless the caller says how many."""
    return 1 if scaling == "published" else SCAN


def _check(parameters: Sequence[Parameter], batch: int, scaling: str, scan: int) -> None:
    if not parameters:
        raise InputError(
            "the environment declares no parameters, so there is no boundary to search",
            "parameters",
            "at least one parameter with initial value, limits and precision",
        )
    names = [parameter.name for parameter in parameters]
    if len(set(names)) < len(names):
        raise InputError("two parameters have the same name", "parameters", "distinct names")
    for field, number in (("batch", batch), ("scan", scan)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise InputError(f"{number!r} is out of range", field, "a positive whole number")
    if scaling not in get_args(Scaling):
        raise unknown_name("scaling", scaling, get_args(Scaling), "scaling")


def _doubt(ray: Ray) -> str:
    """Why a direction gives no environment, or why its environment may not be at the edge; empty if neither."""
    if ray.accepted:
        return ""
    if not ray.within:
        first = ", ".join(f"{value:g}" for value in ray.segment.point(1))
        return (
            f"{ray.label}: behaviour already differs one step from the initial environment (at {first}), so this"
            " direction gives no environment; a finer precision may find one."
        )
    return f"{ray.label}: the same behaviour is shown at no point, so this direction gives no environment."
