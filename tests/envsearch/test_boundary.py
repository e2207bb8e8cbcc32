"""The boundary search against oracles whose answers are known."""

from __future__ import annotations

import csv
import itertools
import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from envsearch.bisection import halvings
from envsearch.boundary import SCAN, BoundaryResult, BoundarySearch
from envsearch.boundary_answer import Point
from envsearch.boundary_ray import Scaling
from envsearch.errors import InputError
from envsearch.registry import ENVIRONMENTS
from envsearch.spec import Parameter

Oracle = Callable[[Point], bool]

CARTPOLE = ENVIRONMENTS["CartPole-v1"].parameters
LUNARLANDER = ENVIRONMENTS["LunarLander-v3"].parameters

# (algorithm, test): cart mass, pole mass, corner; the number of calls; all as published.
PUBLISHED = {
    ("ppo", "reward_distribution"): (7.234375, 11.177148437500001, (4.31201171875, 5.984735107421876), 23),
    ("ppo", "distance_distribution"): (6.046875, 9.039453125, (3.68115234375, 4.84908447265625), 23),
    ("a2c", "reward_distribution"): (6.046875, 10.3609375, (3.5234375, 5.23046875), 23),
    ("a2c", "distance_distribution"): (1.59375, 1.6158203125000001, (1.4453125, 1.2368652343750002), 20),
    ("dqn", "reward_distribution"): (2.1875, 2.1599609375, (1.59375, 1.1299804687500001), 21),
    ("dqn", "distance_distribution"): (1.59375, 0.799609375, (1.296875, 0.44980468749999997), 19),
}


def run(search: BoundarySearch, oracle: Oracle, rng: random.Random | None = None) -> tuple[BoundaryResult, int]:
    """Answer until done, each round in the order asked or shuffled; gives the number of rounds too."""
    rounds = 0
    while points := search.ask():
        assert not search.done
        rounds += 1
        if rng is not None:
            rng.shuffle(points)
        for point in points:
            search.tell(point, oracle(point))
    assert search.done
    return search.result(), rounds


def threshold(cart: float, pole: float, corner: tuple[float, float]) -> Oracle:
    """Accepts what lies up to the two bounds and, off the axes, up to the corner's share of them."""

    def accepts(point: Point) -> bool:
        mass, length = (value for _, value in point)
        if mass > 1.0 and length > 0.1:
            return mass <= corner[0]
        return mass <= cart and length <= pole

    return accepts


@pytest.mark.parametrize("published", PUBLISHED.values(), ids=["-".join(key) for key in PUBLISHED])
def test_published_points_are_reached_exactly_with_the_published_number_of_calls(
    published: tuple[float, float, tuple[float, float], int],
) -> None:
    cart, pole, corner, calls = published
    search = BoundarySearch(CARTPOLE, ask_initial=False, scaling="published")
    result, _ = run(search, threshold(cart, pole, corner))
    assert [tuple(value for _, value in entry.point) for entry in result.environments] == [
        (1.0, 0.1),
        (cart, 0.1),
        (1.0, pole),
        corner,
    ]
    assert [entry.kind for entry in result.environments] == ["initial", "axis", "axis", "corner"]
    assert len(result.probes) == calls
    assert result.warnings == ()


def test_published_figures_are_those_of_the_published_kill_matrices(proctor_data: Path) -> None:
    with (proctor_data / "published" / "cartpole_kill_matrices.csv").open() as file:
        rows = {
            (row["algorithm"], row["kill_test"], float(row["parameter_1"]), float(row["parameter_2"]))
            for row in csv.DictReader(file)
        }
    expected = {
        (*key, *point)
        for key, (cart, pole, corner, _) in PUBLISHED.items()
        for point in ((1.0, 0.1), (cart, 0.1), (1.0, pole), corner)
    }
    assert rows == expected


def test_axis_ends_are_asked_together_and_the_limits_first() -> None:
    search = BoundarySearch(LUNARLANDER, scan=1)
    assert [tuple(value for _, value in point) for point in search.ask()] == [
        (-10.0, 0.6),
        (0.0, 0.6),
        (-20.0, 0.6),
        (-10.0, 5.0),
        (-10.0, 0.0),
    ]


def test_rejected_sides_take_the_published_numbers_of_calls() -> None:
    """LunarLander: 6 and 6 for gravity, 8 and 5 for the side engines; no bound, so no corner."""
    result, _ = run(BoundarySearch(LUNARLANDER, ask_initial=False, scan=1), lambda _: False)
    moved = [tuple(value for _, value in probe.point) for probe in result.probes]
    assert len([g for g, _ in moved if g > -10]) == 6
    assert len([g for g, _ in moved if g < -10]) == 6
    assert len([power for _, power in moved if power > 0.6]) == 8
    assert len([power for _, power in moved if power < 0.6]) == 5
    assert len(result.warnings) == 4


def test_accepted_limits_end_a_side_at_once_and_give_every_corner() -> None:
    result, rounds = run(BoundarySearch(LUNARLANDER, scan=1), lambda _: True)
    assert rounds == 2
    assert len(result.probes) == 1 + 4 + 4
    assert len(result.environments) == 9
    assert [entry.label for entry in result.environments] == [
        "initial",
        "gravity upper (limit)",
        "gravity lower (limit)",
        "side_engine_power upper (limit)",
        "side_engine_power lower (limit)",
        "gravity upper, side_engine_power upper",
        "gravity upper, side_engine_power lower",
        "gravity lower, side_engine_power upper",
        "gravity lower, side_engine_power lower",
    ]


def test_where_nothing_but_the_initial_point_is_accepted_only_that_remains_with_a_warning_per_side() -> None:
    search = BoundarySearch(CARTPOLE)
    result, _ = run(search, lambda point: point == (("cart_mass", 1.0), ("pole_mass", 0.1)))
    assert [entry.kind for entry in result.environments] == ["initial"]
    assert [warning.split(":")[0] for warning in result.warnings] == ["cart_mass upper", "pole_mass upper"]


def test_a_collapsed_diagonal_vanishes_with_a_warning() -> None:
    result, _ = run(BoundarySearch(CARTPOLE), lambda point: point[0][1] == 1.0 or point[1][1] == 0.1)
    assert [entry.kind for entry in result.environments] == ["initial", "axis", "axis"]
    assert len(result.warnings) == 1
    assert result.warnings[0].startswith("cart_mass upper, pole_mass upper: behaviour already differs")


def test_a_rejected_initial_point_stops_the_search() -> None:
    search = BoundarySearch(CARTPOLE)
    initial, limit = search.ask()[:2]
    search.tell(initial, False)
    assert search.done
    assert search.initial_rejected
    assert search.ask() == []
    search.tell(limit, True)  # an answer that was under way
    with pytest.raises(InputError, match="distinguished from themselves in the initial environment"):
        search.result()


def test_an_accepted_point_beyond_a_rejected_one_is_told() -> None:
    axis = Parameter("x", 0.0, 0.0, 64.0, 1.0)
    search = BoundarySearch([axis], batch=4)
    result, _ = run(search, lambda point: not 20 <= point[0][1] <= 40)
    assert result.environments[-1].point == (("x", 19.0),)
    (warning,) = result.warnings
    assert warning.startswith("Not monotone: behaviour differs at (x 20) (and at ")
    assert "more points) but not at (x 64), which is further out" in warning


def test_wider_batches_take_fewer_rounds() -> None:
    oracle = threshold(*PUBLISHED["ppo", "reward_distribution"][:3])
    rounds = [run(BoundarySearch(CARTPOLE, batch=batch, scan=1), oracle)[1] for batch in (1, 4, 16)]
    assert rounds[0] > rounds[1] > rounds[2]


def test_ask_repeats_what_is_not_answered_yet() -> None:
    search = BoundarySearch(CARTPOLE, scan=1)
    first = search.ask()
    assert search.ask() == first
    search.tell(first[1], False)
    assert search.ask() == [first[0], first[2]]


def test_wrong_answers_are_refused() -> None:
    search = BoundarySearch(CARTPOLE, scan=1)
    point = search.ask()[1]
    search.tell(point, True)
    search.tell(tuple(reversed(point)), True)  # the same answer again, names in another order
    with pytest.raises(InputError, match="two different answers"):
        search.tell(point, False)
    with pytest.raises(InputError, match=r"\(cart_mass 3, pole_mass 0.1\) was not requested"):
        search.tell((("cart_mass", 3.0), ("pole_mass", 0.1)), True)
    with pytest.raises(InputError, match="was not requested"):
        search.tell((("cart_mass", 20.0),), True)
    with pytest.raises(InputError, match="still waiting for 2 answers"):
        search.result()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"parameters": ()}, "declares no parameters"),
        ({"parameters": (CARTPOLE[0], CARTPOLE[0])}, "two parameters have the same name"),
        ({"parameters": CARTPOLE, "batch": 0}, "batch: 0 is out of range"),
        ({"parameters": CARTPOLE, "scan": 0}, "scan: 0 is out of range"),
        ({"parameters": CARTPOLE, "scaling": "per-axis"}, "did you mean 'per_axis'"),
        ({"parameters": (Parameter("x", 0, 0, 1, 1e-15),)}, r"x\.precision: 1e-15 is too fine"),
    ],
)
def test_impossible_searches_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BoundarySearch(**arguments)  # type: ignore[arg-type]


# --- properties -----------------------------------------------------------------------------------------------------


@st.composite
def spaces(draw: st.DrawFn) -> tuple[Parameter, ...]:
    """One to three parameters, the initial value sometimes on a limit."""
    parameters = []
    for axis in range(draw(st.integers(1, 3))):
        low, below, above = draw(st.integers(-50, 50)), draw(st.integers(0, 30)), draw(st.integers(0, 30))
        assume(below + above > 0)
        precision = draw(st.sampled_from([0.05, 0.3, 0.5, 1.0, 7.0]))
        parameters.append(Parameter(f"p{axis}", low + below, low, low + below + above, precision))
    return tuple(parameters)


def ball(parameters: tuple[Parameter, ...], edges: list[float], power: float) -> Oracle:
    """Accepts an ellipsoid-like body around the initial point, `edges` per (axis, side), in real units: monotone."""

    def accepts(point: Point) -> bool:
        total = 0.0
        for axis, (parameter, (_, value)) in enumerate(zip(parameters, point, strict=True)):
            offset = value - parameter.initial
            edge = edges[2 * axis + (offset < 0)]
            total += (abs(offset) / edge) ** power
        return total <= 1.0

    return accepts


monotone = st.tuples(st.lists(st.floats(0.01, 60.0), min_size=6, max_size=6), st.sampled_from([0.5, 1.0, 2.0, 8.0]))
scalings = st.sampled_from(["per_axis", "published"])


@given(spaces(), monotone, scalings)
def test_bounds_lie_on_the_accepted_side_within_the_precision_of_the_truth(
    parameters: tuple[Parameter, ...], law: tuple[list[float], float], scaling: Scaling
) -> None:
    oracle = ball(parameters, *law)
    result, _ = run(BoundarySearch(parameters, scaling=scaling), oracle)
    assert all(oracle(entry.point) for entry in result.environments)
    assert not any("monotone" in warning for warning in result.warnings)
    by_label = {entry.label.removesuffix(" (limit)"): entry.point for entry in result.environments}
    for axis, parameter in enumerate(parameters):
        for side, limit in enumerate((parameter.high, parameter.low)):
            reach = min(law[0][2 * axis + side], abs(limit - parameter.initial))
            label = f"{parameter.name} {('upper', 'lower')[side]}"
            edge = by_label[label][axis][1] if label in by_label else parameter.initial
            shortfall = reach - abs(edge - parameter.initial)
            assert -1e-9 <= shortfall <= parameter.precision + 1e-9


@given(spaces(), monotone)
def test_corners_lie_within_the_scaled_precision_of_the_edge(
    parameters: tuple[Parameter, ...], law: tuple[list[float], float]
) -> None:
    oracle = ball(parameters, *law)
    result, _ = run(BoundarySearch(parameters), oracle)
    rejected = [probe.point for probe in result.probes if not probe.accepted]
    bounds = {value for entry in result.environments if entry.kind == "axis" for value in entry.point}
    for corner in (entry for entry in result.environments if entry.kind == "corner"):
        moved = [axis for axis, parameter in enumerate(parameters) if corner.point[axis][1] != parameter.initial]
        assert len(moved) == 2
        if all(corner.point[axis] in bounds for axis in moved):
            continue  # the corner itself was accepted
        gaps = [
            math.hypot(*((r[1] - c[1]) / p.precision for r, c, p in zip(point, corner.point, parameters, strict=True)))
            for point in rejected
        ]
        assert min(gaps) <= math.sqrt(2.0) + 1e-9


@given(spaces(), monotone)
def test_every_batch_gives_the_same_environments(
    parameters: tuple[Parameter, ...], law: tuple[list[float], float]
) -> None:
    oracle = ball(parameters, *law)
    results = [run(BoundarySearch(parameters, batch=batch), oracle)[0] for batch in (1, 2, 3, 4, 5, 12)]
    assert all(result.environments == results[0].environments for result in results)


@given(spaces(), monotone, scalings)
def test_the_number_of_calls_is_bounded(
    parameters: tuple[Parameter, ...], law: tuple[list[float], float], scaling: Scaling
) -> None:
    result, rounds = run(BoundarySearch(parameters, scaling=scaling, scan=1), ball(parameters, *law))
    sides = [
        1 + halvings(abs(limit - parameter.initial), parameter.precision)
        for parameter in parameters
        for limit in (parameter.high, parameter.low)
        if limit != parameter.initial
    ]
    pairs = math.comb(len(parameters), 2) * 4
    deepest = max(halvings(parameter.high - parameter.low, parameter.precision) for parameter in parameters)
    assert len(result.probes) <= 1 + sum(sides) + pairs * (2 + deepest)
    assert rounds <= max(sides) + 2 + deepest


@given(spaces(), st.integers(1, 12), st.randoms(use_true_random=False), st.integers(0, 2**32))
def test_any_oracle_terminates_and_the_order_of_answers_does_not_matter(
    parameters: tuple[Parameter, ...], batch: int, shuffler: random.Random, salt: int
) -> None:
    initial = tuple((parameter.name, parameter.initial) for parameter in parameters)

    def moody(point: Point) -> bool:
        return point == initial or random.Random(repr((salt, point))).random() < 0.5

    in_order, _ = run(BoundarySearch(parameters, batch=batch), moody)
    shuffled, _ = run(BoundarySearch(parameters, batch=batch), moody, shuffler)
    assert in_order == shuffled
    assert all(moody(entry.point) for entry in in_order.environments)
    points = [entry.point for entry in in_order.environments]
    assert len(set(points)) == len(points)
    assert len({probe.point for probe in in_order.probes}) == len(in_order.probes)


def test_three_parameters_give_every_pair_of_axes() -> None:
    parameters = [Parameter(name, 0.0, -1.0, 1.0, 0.25) for name in "xyz"]
    result, _ = run(BoundarySearch(parameters), lambda _: True)
    corners = [entry for entry in result.environments if entry.kind == "corner"]
    assert len(corners) == 12
    moved = {tuple(name for name, value in entry.point if value) for entry in corners}
    assert moved == set(itertools.combinations("xyz", 2))


def test_the_example_of_the_documentation_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "boundary-search.md").read_text()
    exec(page.split("```python")[1].split("```")[0], {})
    assert [line.split(" {")[0] for line in capsys.readouterr().out.splitlines()] == [
        "initial",
        "cart_mass upper (limit)",
        "pole_mass upper",
        "cart_mass upper, pole_mass upper",
    ]


@pytest.mark.parametrize(
    ("scan", "batch", "rounds", "calls"),
    [(1, 1, 19, 27), (1, 4, 10, 35), (1, 16, 5, 69), (SCAN, 1, 11, 102), (SCAN, 4, 6, 105), (SCAN, 32, 4, 133)],
)
def test_the_figures_of_the_documentation(scan: int, batch: int, rounds: int, calls: int) -> None:
    oracle = threshold(*PUBLISHED["ppo", "reward_distribution"][:3])
    result, asked = run(BoundarySearch(CARTPOLE, batch=batch, scan=scan), oracle)
    assert (asked, len(result.probes)) == (rounds, calls)
