"""Adjusted p-values against statsmodels, and the level that is in force for each comparison."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from envsearch.errors import InputError
from mutations.killing.error_control import ERROR_CONTROLS, adjust, error_control

REFERENCE = {"false_discovery": "fdr_bh", "familywise": "holm", "false_discovery_any_dependence": "fdr_by"}
families = st.lists(st.sampled_from([0.0, 1e-4, 0.001, 0.004, 0.01, 0.02, 0.03, 0.05, 0.2, 0.5, 1.0]), max_size=12)


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        ("false_discovery", [0.04, 0.04, 0.5, 0.04]),
        ("familywise", [0.06, 0.04, 0.5, 0.06]),
        ("false_discovery_any_dependence", [1 / 12, 1 / 12, 1.0, 1 / 12]),
    ],
)
def test_by_hand(control: str, expected: list[float]) -> None:
    assert adjust([0.03, 0.01, 0.5, 0.02], control) == pytest.approx(expected)


def test_the_default_controls_false_discoveries() -> None:
    assert adjust([0.03, 0.01, 0.5, 0.02]) == adjust([0.03, 0.01, 0.5, 0.02], "false_discovery")


@pytest.mark.parametrize("control", ERROR_CONTROLS)
@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_against_statsmodels(control: str, p_values: list[float]) -> None:
    assert adjust(p_values, control) == pytest.approx(list(multipletests(p_values, method=REFERENCE[control])[1]))


@pytest.mark.parametrize("control", ERROR_CONTROLS)
def test_families_of_none_and_of_one(control: str) -> None:
    assert adjust([], control) == []
    assert adjust([0.03], control) == [0.03]
    assert error_control(control).levels(np.empty(0), 0.05).size == 0
    assert error_control(control).levels(np.array([0.5]), 0.05) == pytest.approx([0.05])


@pytest.mark.parametrize("control", ERROR_CONTROLS)
def test_rows_are_families_of_their_own(control: str) -> None:
    rows = np.random.default_rng(0).random((5, 7)) ** 3
    together = error_control(control).adjust(rows)
    assert [list(row) for row in together] == [pytest.approx(adjust(list(row), control)) for row in rows]


@pytest.mark.parametrize("control", ERROR_CONTROLS)
@settings(deadline=None, max_examples=50)
@given(families)
def test_a_comparison_is_rejected_up_to_its_level_and_not_beyond(control: str, p_values: list[float]) -> None:
    levels = error_control(control).levels(np.array(p_values), 0.05)
    for position, level in enumerate(levels):
        for p_value, rejected in ((level * (1 - 1e-9), True), (level * (1 + 1e-6), False)):
            changed = [*p_values[:position], float(p_value), *p_values[position + 1 :]]
            assert (adjust(changed, control)[position] <= 0.05) is rejected


def test_levels_by_hand() -> None:
    p_values = np.array([0.001, 0.002, 0.9, 0.9])
    assert error_control("false_discovery").levels(p_values, 0.04) == pytest.approx([0.02, 0.02, 0.03, 0.03])
    assert error_control("familywise").levels(p_values, 0.04) == pytest.approx([0.04 / 3, 0.04 / 3, 0.02, 0.02])


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_what_is_not_a_p_value_is_refused(bad: float) -> None:
    with pytest.raises(InputError, match="is not a p-value"):
        adjust([0.5, bad])


def test_an_unknown_control_is_refused() -> None:
    with pytest.raises(InputError, match="familywise"):
        adjust([0.5], "family_wise")
