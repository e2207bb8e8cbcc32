"""Sweeps as users write them: what they expand to, and one clear line for what is wrong."""

from __future__ import annotations

import pytest

from envsearch.errors import InputError
from mutations.magnitude_sweep import DEFAULT_MAGNITUDES, parse_sweeps
from mutations.operator import ChoiceMagnitude
from mutations.operator_checks import short_recipes
from mutations.registry import OPERATORS

RECIPES = {recipe.algorithm: recipe for recipe in short_recipes()}
VALUES = [0.4, 0.1, 0.2]


def ids(entries, values=VALUES, algorithm="ppo"):
    sweeps = parse_sweeps(entries, values, RECIPES[algorithm])
    return {sweep.operator: [mutation.id for mutation in sweep.mutations] for sweep in sweeps}


def test_every_operator_with_a_probability_has_default_magnitudes():
    assert set(DEFAULT_MAGNITUDES) == {
        name for name, known in OPERATORS.items() if not isinstance(known.magnitude, ChoiceMagnitude)
    }
    assert all({0.05, 0.1, 0.2} <= set(values) for values in DEFAULT_MAGNITUDES.values())


def test_a_name_is_swept_over_the_shared_values_in_rising_order():
    assert ids(["RN"]) == {"RN": ["RN_0.1", "RN_0.2", "RN_0.4"]}
    assert ids(["reward_noise"]) == ids(["RN"])


def test_without_values_the_defaults_of_the_operator_are_swept():
    (sweep,) = parse_sweeps(["ILF"], None, RECIPES["ppo"])
    assert sweep.magnitudes == DEFAULT_MAGNITUDES["ILF"]


def test_magnitude_1_has_the_id_that_operators_give_it():
    assert ids(["NDF", "R"], [0.1, 0.5, 1]) == {
        "NDF": ["NDF_0.1", "NDF_0.5", "NDF"],
        "R": ["R_0.1", "R_0.5", "R_1.0"],
    }


def test_variant_and_options():
    frozen = {"R[semantics=freeze]": [f"R_{value}[semantics=freeze]" for value in sorted(VALUES)]}
    assert ids(["R[semantics=freeze]"]) == frozen
    assert ids([{"operator": "R", "semantics": "freeze"}]) == frozen
    assert list(ids(["R", "R[published]"])) == ["R", "R[published]"]
    assert list(ids([{"operator": "R", "variant": "published"}])) == ["R[published]"]


def test_an_entry_may_have_its_own_values():
    assert ids([{"operator": "M", "values": [0.3, 0.6, 0.9]}, "RN"])["M"] == ["M_0.3", "M_0.6", "M_0.9"]


def test_all_means_the_operators_that_apply():
    assert list(ids(["all"])) == list(DEFAULT_MAGNITUDES)
    assert "NR" not in ids(["all"], algorithm="dqn")


@pytest.mark.parametrize(
    ("entries", "values", "message"),
    [
        (
            ["PAC"],
            VALUES,
            "magnitudes.operators[0]: the magnitude of PAC is a name and has no order; expected one of RN",
        ),
        (["RN_0.2"], VALUES, "magnitudes.operators[0]: 'RN_0.2' has a magnitude; expected RN; the magnitudes are in"),
        (["RM"], VALUES, "magnitudes.operators[0]: unknown operator 'RM' (did you mean 'R'?)"),
        (["RN", "reward_noise"], VALUES, "magnitudes.operators[1]: RN appears twice; expected distinct operators"),
        (["RN", "all"], VALUES, "magnitudes.operators[1]: RN appears twice"),
        ([7], VALUES, "magnitudes.operators[0]: 7 is not an operator; expected an operator such as R, or a mapping"),
        ([{}], VALUES, "magnitudes.operators[0].operator: the key 'operator' is missing"),
        ([{"operator": "R", "magnitude": 1}], VALUES, "magnitudes.operators[0].magnitude: unknown key 'magnitude'"),
        ([{"operator": "R", "semantics": "stop"}], VALUES, "magnitudes.operators[0].semantics: unknown semantics of R"),
        ([{"operator": "R", "variant": "new"}], VALUES, "magnitudes.operators[0].variant: unknown variant of R 'new'"),
        (
            ["R[publised]"],
            VALUES,
            "magnitudes.operators[0]: unknown variant of R 'publised' (did you mean 'published'?)",
        ),
        (["R["], VALUES, "magnitudes.operators[0]: 'R[' is not an operator"),
        (
            ["RN"],
            [0.1, 0.2],
            "magnitudes.values: [0.1, 0.2] is too short or not a list; expected at least 3 magnitudes",
        ),
        (["RN"], [0.1, 0.2, 1.5], "magnitudes.values[2]: 1.5 is not a magnitude; expected a probability in (0, 1]"),
        (["RN"], [0.1, 0.2, 0], "magnitudes.values[2]: 0 is not a magnitude"),
        (["RN"], [0.1, 0.2, True], "magnitudes.values[2]: True is not a magnitude"),
        (["RN"], [0.1, 0.2, 0.1], "magnitudes.values[2]: 0.1 appears twice; expected distinct magnitudes"),
        ([{"operator": "R", "values": 3}], None, "magnitudes.operators[0].values: 3 is too short or not a list"),
        (["MTS[published]"], VALUES, "magnitudes.operators[0]: the published fault on-policy leaves out"),
    ],
)
def test_mistakes_are_located(entries, values, message):
    with pytest.raises(InputError) as error:
        parse_sweeps(entries, values, RECIPES["ppo"])
    assert str(error.value).startswith(message)


def test_an_operator_that_does_not_apply_is_refused():
    with pytest.raises(InputError) as error:
        parse_sweeps(["NR"], VALUES, RECIPES["dqn"])
    assert error.value.field == "magnitudes.operators[0]"
