"""Boundary searches with three answers, and islands of normal behaviour beyond an edge."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envsearch.boundary import BoundaryResult, BoundarySearch
from envsearch.boundary_answer import Answer, Behaviour, Point
from envsearch.spec import Parameter

LINE = Parameter("x", 0.0, 0.0, 64.0, 0.5)
ANSWERS = {
    "A": Answer(True, Behaviour.ACCEPTED),
    "w": Answer(True, Behaviour.UNKNOWN),
    "b": Answer(False, Behaviour.UNKNOWN),
    "R": Answer(False, Behaviour.REJECTED),
}


def carried_out(search: BoundarySearch, oracle: Callable[[Point], Answer | bool]) -> BoundaryResult:
    while points := search.ask():
        for point in points:
            search.tell(point, oracle(point))
    return search.result()


def bands(accepted: float, edge: float, rejected: float) -> Callable[[Point], Answer]:
    """Accepted, then unknown on either side of the edge, then rejected."""

    def answer(point: Point) -> Answer:
        distance = sum(abs(value) for _, value in point)
        letter = "A" if distance <= accepted else "w" if distance <= edge else "b" if distance <= rejected else "R"
        return ANSWERS[letter]

    return answer


@given(st.lists(st.floats(0.6, 64.0), min_size=3, max_size=3), st.integers(1, 20))
def test_the_environment_is_the_furthest_accepted_point_and_the_edge_is_the_estimated_one(
    places: list[float], batch: int
) -> None:
    accepted, edge, rejected = sorted(places)
    result = carried_out(BoundarySearch([LINE], batch=batch), bands(accepted, edge, rejected))
    (segment,) = result.segments
    environment = result.environments[-1].point[0][1]
    assert accepted - LINE.precision <= environment <= accepted
    assert segment.accepted_until * 64 == environment
    within = [share * 64 for share, probe in segment.answers if probe.answer.within]
    assert edge - LINE.precision <= max(within) <= edge
    if segment.rejected_from is not None:
        assert segment.rejected_from * 64 > rejected
    assert result.warnings == ()


def test_no_unknown_point_becomes_an_environment() -> None:
    result = carried_out(BoundarySearch([LINE]), bands(0.0, 30.0, 50.0))
    assert [place.kind for place in result.environments] == ["initial"]
    assert result.warnings == (
        "x upper: the same behaviour is shown at no point, so this direction gives no environment.",
    )


def test_a_limit_within_the_margin_that_is_not_shown_is_not_the_limit_of_the_search() -> None:
    result = carried_out(BoundarySearch([LINE]), bands(40.0, 64.0, 64.0))
    assert result.environments[-1].point == (("x", 40.0),)
    assert result.environments[-1].label == "x upper"


def test_an_initial_point_that_is_unknown_stops_the_search() -> None:
    search = BoundarySearch([LINE])
    search.tell(search.ask()[0], ANSWERS["w"])
    assert search.initial_rejected


def test_corners_are_searched_from_the_edges_and_give_accepted_points() -> None:
    plane = [LINE, Parameter("y", 0.0, 0.0, 64.0, 0.5)]
    result = carried_out(BoundarySearch(plane), bands(20.0, 32.0, 40.0))
    (corner,) = (place for place in result.environments if place.kind == "corner")
    assert 19 <= sum(value for _, value in corner.point) <= 20


@given(st.integers(0, 2**32), st.integers(1, 12))
def test_any_answers_end_and_every_environment_is_accepted(salt: int, batch: int) -> None:
    def moody(point: Point) -> Answer:
        letter = random.Random(repr((salt, point))).choice("AwbR")
        return ANSWERS["A" if point == (("x", 0.0),) else letter]

    result = carried_out(BoundarySearch([LINE], batch=batch), moody)
    assert all(moody(place.point).behaviour is Behaviour.ACCEPTED for place in result.environments)
    (segment,) = result.segments
    if segment.rejected_from is not None:
        assert segment.accepted_until < segment.rejected_from


@pytest.mark.parametrize("batch", [1, 4, 16])
def test_an_island_is_named_at_every_batch_and_not_entered(batch: int) -> None:
    def accepted(point: Point) -> bool:
        value = point[0][1]
        return value <= 10 or 30 <= value <= 33

    result = carried_out(BoundarySearch([LINE], batch=batch), accepted)
    assert result.environments[-1].point == (("x", 10.0),)
    (warning,) = result.warnings
    assert warning.startswith("Not monotone: behaviour differs at (x 10.5)")
    assert "but not at (x 32" in warning or "but not at (x 33" in warning


@given(st.floats(0.6, 63.0), st.sampled_from([1, 3, 8]))
def test_a_probe_lies_beyond_every_rejection_and_no_gap_is_wide(edge: float, batch: int) -> None:
    result = carried_out(BoundarySearch([LINE], batch=batch), lambda point: point[0][1] <= edge)
    (segment,) = result.segments
    shares = [0.0, *(share for share, _ in segment.answers)]
    assert shares[-1] == 1.0
    assert max(b - a for a, b in itertools.pairwise(shares)) <= 1 / 32


def test_near_the_limit_the_points_beyond_the_edge_are_closer() -> None:
    result = carried_out(BoundarySearch([LINE]), lambda point: point[0][1] <= 60)
    beyond = [share for share, probe in result.segments[0].answers if probe.rejected]
    assert len(beyond) == 8  # all that the grid has between 60 and 64


def test_the_published_rule_has_no_further_points() -> None:
    search = BoundarySearch([LINE], scaling="published")
    assert search.ask() == [(("x", 0.0),), (("x", 64.0),)]
    result = carried_out(search, lambda point: point[0][1] <= 10)
    assert len(result.probes) == 1 + 1 + 7
