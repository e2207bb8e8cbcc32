"""Properties of higher-order mutants by hand and by law, their candidates, and the reading of their ids."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envsearch.errors import InputError
from mutations.higher_order import (
    Classification,
    Kills,
    Property,
    candidates,
    classify_kills,
    constituents_of,
    operator_of,
)
from mutations.kill_matrix import KillMatrix
from mutations.kill_table import read_kill_table
from mutations.killing.kill_test import Outcome

STRONG, WEAK, APART, NOT = (
    Property.STRONGLY_COUPLED,
    Property.WEAKLY_COUPLED,
    Property.WEAKLY_DECOUPLED,
    Property.NON_SUBSUMING,
)


def kills(text: str) -> Kills:
    return np.array([mark == "x" for mark in text])


@pytest.mark.parametrize(
    ("higher", "constituents", "published", "strict"),
    [
        # two constituents
        ("x...", ["xx..", "x.x."], STRONG, STRONG),  # within the intersection
        ("xx..", ["xxx.", "xx.."], STRONG, STRONG),  # the intersection itself, smaller than the union
        (".x..", ["xx..", "x.x."], WEAK, WEAK),  # in the union, outside the intersection
        ("x..x", ["xx..", "x.x."], WEAK, WEAK),  # one inside, one outside the union
        ("...x", ["xx..", "x.x."], APART, APART),  # outside the union
        ("xxx.", ["xx..", "x.x."], NOT, NOT),  # as many as the union, constituents differ
        ("xxxx", ["xx..", "x.x."], NOT, NOT),  # more than the union
        ("....", ["xx..", "x.x."], NOT, NOT),  # never killed
        ("x...", ["....", "...."], NOT, NOT),  # constituents never killed
        ("....", ["....", "...."], NOT, NOT),
        ("xx..", ["xx..", "xx.."], STRONG, NOT),  # exactly the constituents' kills: the extension
        ("x.x.", ["xx..", "xx.."], WEAK, NOT),
        ("..xx", ["xx..", "xx.."], APART, NOT),
        ("x...", ["x...", "...."], NOT, NOT),  # |Th| = |U|, but U is not I
        ("x...", ["xx..", "...."], WEAK, WEAK),  # empty intersection: never strong
        # three constituents
        ("x...", ["xx..", "x.x.", "xxxx"], STRONG, STRONG),
        (".x..", ["xx..", "xxx.", "x.x."], WEAK, WEAK),
        ("...x", ["xx..", "xx..", "x.x."], APART, APART),
        ("xxx.", ["x...", ".x..", "..x."], NOT, NOT),
        ("xx..", ["x...", ".x..", "..x."], WEAK, WEAK),
        ("xx..", ["xx..", "xx..", "xx.."], STRONG, NOT),
        ("....", ["xx..", "xx..", "xx.."], NOT, NOT),
    ],
)
def test_by_hand(higher: str, constituents: list[str], published: Property, strict: Property) -> None:
    classification = classify_kills(kills(higher), [kills(text) for text in constituents])
    assert (classification.published, classification.strict) == (published, strict)


def test_counts() -> None:
    classification = classify_kills(kills("x..x"), [kills("xx.."), kills("x.x.")])
    assert classification == Classification(WEAK, WEAK, kills=2, union=3, intersection=1)


def test_integers_mean_the_same_as_booleans() -> None:
    """The sums of the definition are logical: 1 + 1 is still one environment."""
    classification = classify_kills(np.array([1, 0, 0]), [np.array([1, 1, 0]), np.array([1, 0, 0])])
    assert (classification.strict, classification.union, classification.intersection) == (STRONG, 2, 1)


def test_shapes_and_numbers_are_checked() -> None:
    with pytest.raises(InputError, match="at least two"):
        classify_kills(kills("x"), [kills("x")])
    with pytest.raises(InputError, match="same environments"):
        classify_kills(kills("x"), [kills("x"), kills("xx")])


@st.composite
def cases(draw: st.DrawFn) -> tuple[Kills, list[Kills]]:
    environments = draw(st.integers(1, 6))
    row = st.lists(st.booleans(), min_size=environments, max_size=environments).map(np.array)
    return draw(row), draw(st.lists(row, min_size=2, max_size=4))


@given(cases())
def test_order_of_constituents_and_environments_does_not_matter(case: tuple[Kills, list[Kills]]) -> None:
    higher, constituents = case
    classification = classify_kills(higher, constituents)
    assert classification == classify_kills(higher, constituents[::-1])
    assert classification == classify_kills(higher[::-1], [row[::-1] for row in constituents])
    assert classification == classify_kills(higher, [*constituents, constituents[0]])


@given(cases())
def test_strict_implies_published(case: tuple[Kills, list[Kills]]) -> None:
    classification = classify_kills(*case)
    assert classification.strict in (classification.published, NOT)
    if classification.strict is not classification.published:
        assert classification.kills == classification.union == classification.intersection > 0


@given(cases())
def test_what_each_property_guarantees(case: tuple[Kills, list[Kills]]) -> None:
    higher, constituents = case
    union, intersection = np.any(constituents, axis=0), np.all(constituents, axis=0)
    classification = classify_kills(higher, constituents)
    assert (classification.kills, classification.union, classification.intersection) == (
        higher.sum(),
        union.sum(),
        intersection.sum(),
    )
    if not higher.any() or higher.sum() > union.sum():
        assert classification.strict is classification.published is NOT
    if classification.published is STRONG:
        assert all(np.all(row[higher]) for row in constituents)
    if classification.published is APART:
        assert not np.any(higher & union)
    if classification.published is WEAK:
        assert np.any(higher & union)
        assert np.any(higher & ~intersection)


@given(cases())
def test_an_environment_that_kills_nothing_changes_nothing(case: tuple[Kills, list[Kills]]) -> None:
    higher, constituents = case
    wider = classify_kills(np.append(higher, False), [np.append(row, False) for row in constituents])
    assert wider == classify_kills(higher, constituents)


@given(cases())
def test_an_environment_that_kills_all_couples_and_keeps_strength(case: tuple[Kills, list[Kills]]) -> None:
    higher, constituents = case
    before = classify_kills(higher, constituents)
    after = classify_kills(np.append(higher, True), [np.append(row, True) for row in constituents])
    assert after.kills - after.union == before.kills - before.union
    assert after.strict is not APART
    if before.kills > 0 and before.strict is not APART:
        assert after.strict is before.strict


def matrix_of(**rows: str) -> KillMatrix:
    marks = {"x": Outcome.KILLED, ".": Outcome.SURVIVED, "?": Outcome.INCONCLUSIVE}
    return KillMatrix.from_cells(
        (name, (("e", float(column)),), marks[mark]) for name, row in rows.items() for column, mark in enumerate(row)
    )


def test_candidates_are_partly_killed_and_of_different_operators() -> None:
    matrix = matrix_of(ILF="xxx", NDF="x..", MTS=".x?", NR="??.", PAC_ReLU="xx.", PAC_Sigmoid="..x", R_1="...")
    pairs = candidates(matrix)
    assert set(pairs) == set(itertools.combinations(("NDF", "MTS", "PAC_ReLU", "PAC_Sigmoid"), 2)) - {
        ("PAC_ReLU", "PAC_Sigmoid")
    }
    assert candidates(matrix, order=3) == (("NDF", "MTS", "PAC_ReLU"), ("NDF", "MTS", "PAC_Sigmoid"))
    assert candidates(matrix, order=4) == ()
    assert candidates(matrix, operator=lambda mutant: mutant) == tuple(
        itertools.combinations(("NDF", "MTS", "PAC_ReLU", "PAC_Sigmoid"), 2)
    )


def test_candidates_are_the_published_pairs(proctor_data: Path) -> None:
    first = read_kill_table(proctor_data / "published" / "cartpole_kill_matrices.csv")
    higher = read_kill_table(proctor_data / "published" / "cartpole_higher_order.csv")
    for group, matrix in first.matrices.items():
        expected = (
            {frozenset(name.split("-")) for name in higher.matrices[group].mutants}
            if group in higher.matrices
            else set()
        )
        assert {frozenset(pair) for pair in candidates(matrix)} == expected, group


def test_candidates_need_an_order_of_two() -> None:
    with pytest.raises(InputError, match="order 1"):
        candidates(matrix_of(NDF="x."), order=1)


@pytest.mark.parametrize(
    ("mutant", "operator"),
    [
        ("NDF", "NDF"),
        ("PAC_ReLU", "PAC"),
        ("RN_1.0", "RN"),
        ("R_0.5[published,semantics=freeze_it]", "R"),
        ("NR[published]", "NR"),
        ("my.faults:sticky_action_0.5", "my.faults:sticky_action"),
        ("my.faults:sticky_action_1e-05", "my.faults:sticky_action"),
        ("my.faults:sticky_action", "my.faults:sticky_action"),
    ],
)
def test_operator_of_an_id(mutant: str, operator: str) -> None:
    assert operator_of(mutant) == operator


@pytest.mark.parametrize(
    "constituents",
    [
        ("NDF", "MTS"),
        ("RN_1.0", "PAC_ReLU"),
        ("NDF", "MTS", "ILF"),
        ("R_1e-05", "X_-0.5"),
        ("R_0.5[published,semantics=a-b]", "NDF"),
        ("X_leaky-relu", "NDF"),
        ("NDF", "X_leaky-relu", "MTS"),
    ],
)
def test_constituents_of_an_id(constituents: tuple[str, ...]) -> None:
    assert constituents_of("-".join(constituents), ["MTS", "ILF", *constituents]) == constituents


@pytest.mark.parametrize(
    ("mutant", "message"),
    [
        ("NDF", "no constituents"),
        ("R_1e-05", "no constituents"),
        ("NDF-NR", "'NR' of 'NDF-NR' is not in the kill matrix"),
        ("NDF-NDF", "twice"),
    ],
)
def test_wrong_ids_are_named(mutant: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        constituents_of(mutant, ["NDF", "R_1e-05"])
