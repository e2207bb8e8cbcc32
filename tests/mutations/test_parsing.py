"""Mutations as users write them: ids, mappings and words, and one clear line for what is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envsearch.errors import InputError, MutationRefusedError
from mutations.folding import objection
from mutations.magnitude import canonical
from mutations.mutant import Mutant, Mutation
from mutations.operator import ChoiceMagnitude
from mutations.operator_checks import short_recipes
from mutations.parsing import parse_mutant, parse_mutation, parse_operators
from mutations.registry import OPERATORS, in_canonical_order, operator, published_mutations

RECIPES = {recipe.algorithm: recipe for recipe in short_recipes()}


@st.composite
def mutations(draw, names=tuple(OPERATORS)):
    """Any mutation of the table, in canonical form."""
    fault = OPERATORS[draw(st.sampled_from(names))]
    if isinstance(fault.magnitude, ChoiceMagnitude):
        magnitude = draw(st.sampled_from(fault.magnitude.choices))
    else:
        magnitude = draw(st.floats(0.0, 1.0, exclude_min=True))
    options = tuple(sorted((name, draw(st.sampled_from(values))) for name, values in fault.options))
    mutation = Mutation(fault.acronym, magnitude, draw(st.sampled_from(fault.variants)), options)
    return canonical(fault, mutation)


@given(mutations())
def test_the_id_is_read_back(mutation):
    assert parse_mutation(mutation.id) == mutation


@given(st.lists(mutations(), min_size=1, max_size=4))
def test_the_id_of_a_mutant_is_read_back(some):
    mutant = in_canonical_order(some)
    assert parse_mutant(mutant.id) == mutant
    assert parse_mutant("-".join(mutation.id for mutation in reversed(some))) == mutant


@given(mutations())
def test_mapping_and_id_are_read_alike(mutation):
    recipe = RECIPES["a2c"]
    if objection(recipe, Mutant((mutation,))) is not None:
        return
    entry = {"operator": mutation.operator, "variant": mutation.variant, **dict(mutation.options)}
    if mutation.magnitude is not None:
        entry["magnitude"] = mutation.magnitude
    assert parse_operators([entry], recipe) == parse_operators([mutation.id], recipe) == (mutation,)


@given(st.text(alphabet="RNMTSaPOC_-[],=.:0159e+ published", max_size=24))
def test_any_text_is_read_or_refused(text):
    try:
        mutant = parse_mutant(text)
    except InputError as error:
        assert str(error)
    else:
        assert parse_mutant(mutant.id) == mutant


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("RN_1", "RN_1.0"),
        ("rn_.2", "RN_0.2"),
        (" RN_0.20 ", "RN_0.2"),
        ("reward_noise_0.2", "RN_0.2"),
        ("M_1e-5", "M_1e-05"),
        ("NDF_1.0", "NDF"),
        ("no_discount_factor", "NDF"),
        ("NDF_0.5", "NDF_0.5"),
        ("PAC_relu", "PAC_ReLU"),
        ("POC_RMSProp", "POC_RMSprop"),
        ("NR[defined]", "NR"),
        ("NR_1[published]", "NR[published]"),
        ("R_1.0[semantics=delay]", "R_1.0"),
        ("R_1.0[ semantics = freeze ]", "R_1.0[semantics=freeze]"),
    ],
)
def test_one_fault_has_one_id(text, spelled):
    assert parse_mutation(text).id == spelled


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("Healthy", "Healthy"),
        ("MTS-NDF", "NDF-MTS"),
        ("PAC_Sigmoid-MTS", "MTS-PAC_Sigmoid"),
        ("MTS-RN_1e-05", "RN_1e-05-MTS"),
        ("MTS[published]-R_1[semantics=freeze]-ILF_0.5", "R_1.0[semantics=freeze]-MTS[published]-ILF_0.5"),
    ],
)
def test_mutants_in_canonical_order(text, spelled):
    assert parse_mutant(text).id == spelled


@pytest.mark.parametrize(
    ("entry", "error", "text"),
    [
        ("NDFF", InputError, "operators[1]: unknown operator 'NDFF' (did you mean 'NDF'?); expected one of "),
        ("", InputError, "operators[1]: '' is not a mutation"),
        ("NDF[", InputError, "operators[1]: 'NDF[' is not a mutation"),
        ("RN_", InputError, "operators[1]: 'RN_' is not a mutation"),
        ("NR[]", InputError, "operators[1]: '[]' is malformed"),
        ("NR[published,defined]", InputError, "operators[1]: '[published,defined]' is malformed"),
        ("R_1[semantics=delay,semantics=freeze]", InputError, "operators[1]: option 'semantics' appears twice"),
        ("NDF-MTS", InputError, "operators[1]: unknown operator 'NDF-MTS'"),
        ("RN", MutationRefusedError, "operators[1]: RN needs a magnitude; expected a probability in (0, 1]"),
        ("RN_1.5", MutationRefusedError, "operators[1]: 1.5 is out of range; expected a probability in (0, 1]"),
        ("RN_-0.5", MutationRefusedError, "operators[1]: -0.5 is out of range"),
        ("RN_0", MutationRefusedError, "operators[1]: probability 0 of RN is the healthy agent"),
        ("RN_nan", MutationRefusedError, "operators[1]: nan is out of range"),
        ("RN_inf", MutationRefusedError, "operators[1]: inf is out of range"),
        ("RN_high", MutationRefusedError, "operators[1]: 'high' is not a number; RN has a probability"),
        ("PAC", MutationRefusedError, "operators[1]: PAC needs a magnitude; expected one of ReLU, Sigmoid"),
        (
            "PAC_Sigmoidd",
            MutationRefusedError,
            "operators[1]: unknown magnitude of PAC 'Sigmoidd' (did you mean ",
        ),
        ("ILF[published]", MutationRefusedError, "operators[1]: ILF has no published variant"),
        ("NR[publishd]", MutationRefusedError, "operators[1]: unknown variant of NR 'publishd' (did you mean "),
        ("NR[semantics=freeze]", MutationRefusedError, "operators[1]: NR has no option 'semantics'"),
        ("NR", MutationRefusedError, "operators[1]: NR does not apply: dqn stores transitions"),
        ("ILF", InputError, "operators[1]: ILF appears twice, also in operators[0]"),
        ("no_module:Op_1.0", InputError, "operators[1]: 'no_module:Op': cannot import 'no_module'"),
        (7, InputError, "operators[1]: 7 is not an operator"),
        (None, InputError, "operators[1]: None is not an operator"),
        ({}, InputError, "operators[1].operator: the key 'operator' is missing"),
        ({"operator": 5}, InputError, "operators[1].operator: 5 is not a name"),
        ({"operator": "NRR"}, InputError, "operators[1].operator: unknown operator 'NRR'"),
        (
            {"operator": "RN", "magnitud": 1},
            InputError,
            "operators[1].magnitud: unknown key 'magnitud' (did you",
        ),
        ({"operator": "RN", "semantics": "x"}, InputError, "operators[1].semantics: unknown key 'semantics'"),
        ({"operator": "RN"}, MutationRefusedError, "operators[1].magnitude: RN needs a magnitude"),
        ({"operator": "RN", "magnitude": 1.5}, MutationRefusedError, "operators[1].magnitude: 1.5 is out of range"),
        ({"operator": "RN", "magnitude": 0}, MutationRefusedError, "operators[1].magnitude: probability 0 of RN"),
        ({"operator": "RN", "magnitude": True}, MutationRefusedError, "operators[1].magnitude: True is not a number"),
        ({"operator": "RN", "magnitude": "1"}, MutationRefusedError, "operators[1].magnitude: '1' is not a number"),
        ({"operator": "RN", "magnitude": float("nan")}, MutationRefusedError, "operators[1].magnitude: nan is out"),
        ({"operator": "RN", "magnitude": [1]}, MutationRefusedError, "operators[1].magnitude: [1] is not a number"),
        ({"operator": "RN", "magnitudes": []}, InputError, "operators[1].magnitudes: [] is not a list of magnitudes"),
        ({"operator": "RN", "magnitudes": 1}, InputError, "operators[1].magnitudes: 1 is not a list of magnitudes"),
        (
            {"operator": "RN", "magnitudes": [0.1, 2]},
            MutationRefusedError,
            "operators[1].magnitudes[1]: 2 is out of range",
        ),
        (
            {"operator": "RN", "magnitudes": [0.1, 0.1]},
            InputError,
            "operators[1].magnitudes[1]: RN_0.1 appears twice, also in operators[1].magnitudes[0]",
        ),
        (
            {"operator": "RN", "magnitude": 1, "magnitudes": [1]},
            InputError,
            "operators[1].magnitudes: magnitude and magnitudes are both set",
        ),
        ({"operator": "PAC", "magnitude": 0.5}, MutationRefusedError, "operators[1].magnitude: 0.5 is not a name"),
        ({"operator": "R", "magnitude": 1, "variant": 3}, InputError, "operators[1].variant: 3 is not a name"),
        (
            {"operator": "R", "magnitude": 1, "semantics": "freez"},
            MutationRefusedError,
            "operators[1].semantics: unknown semantics of R 'freez' (did you mean 'freeze'?)",
        ),
        (
            {"operator": "R", "magnitude": 1, "semantics": "freeze", "variant": "published"},
            MutationRefusedError,
            "operators[1].semantics: the published code delays and never freezes",
        ),
        ({"operator": "NR", "magnitude": 0.5}, MutationRefusedError, "operators[1]: NR_0.5 does not apply: dqn"),
        ({"operator": "all", "magnitude": 1}, InputError, "operators[1].magnitude: unknown key 'magnitude'"),
    ],
)
def test_wrong_entries_name_their_field(entry, error, text):
    with pytest.raises(InputError) as caught:
        parse_operators(["ILF", entry], RECIPES["dqn"])
    assert str(caught.value).startswith(text)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("entries", ["NDF", {"operator": "NDF"}, 3])
def test_operators_must_be_a_list(entries):
    with pytest.raises(InputError, match=r"operators: .* is not a list"):
        parse_operators(entries, RECIPES["ppo"])


def test_entries_in_their_order_with_magnitudes_spread_out():
    entries = ["NDF", {"operator": "RN", "magnitudes": [0.05, 0.1, 1]}, {"operator": "PAC", "magnitude": "relu"}]
    parsed = parse_operators(entries, RECIPES["ppo"])
    assert [mutation.id for mutation in parsed] == ["NDF", "RN_0.05", "RN_0.1", "RN_1.0", "PAC_ReLU"]


@pytest.mark.parametrize("algorithm", list(RECIPES))
@pytest.mark.parametrize("entries", [None, ["published"], ["All"], [{"operator": "all"}]])
def test_words_stand_for_the_published_mutants(algorithm, entries):
    assert parse_operators(entries, RECIPES[algorithm]) == published_mutations(algorithm)


def test_words_leave_out_what_changes_nothing_and_what_is_listed():
    relu = RECIPES["ppo"].replace(policy=RECIPES["dqn"].policy)
    parsed = parse_operators(["RN_1.0", "published", "RN_0.2"], relu)
    assert [mutation.id for mutation in parsed][:2] == ["RN_1.0", "ILF"]
    assert len(parsed) == 12
    assert "PAC_ReLU" not in {mutation.id for mutation in parsed}


def test_a_word_in_its_published_variant():
    parsed = parse_operators([{"operator": "published", "variant": "published"}], RECIPES["ppo"])
    assert [mutation.id for mutation in parsed[:6]] == [
        "ILF", "NDF[published]", "NR[published]", "MSU", "MTS[published]", "PAC_ReLU"
    ]  # fmt: skip


def test_no_entries_are_no_mutants():
    assert parse_operators([], RECIPES["ppo"]) == ()


USERS_OPERATORS = """
from mutations.operator import ChoiceMagnitude
from mutations.operators.policy_activation_change import PolicyActivationChange
from mutations.operators.repeat import Repeat

class My_Own_1(Repeat): pass

class Dashed(PolicyActivationChange):
    magnitude = ChoiceMagnitude(("leaky-relu", "two_words", "a-NDF"))
"""


@pytest.fixture
def users_module(tmp_path, monkeypatch):
    (tmp_path / "own_parsing_parts.py").write_text(USERS_OPERATORS)
    monkeypatch.syspath_prepend(tmp_path)
    return "own_parsing_parts"


@pytest.mark.parametrize(
    ("name", "magnitude"),
    [("My_Own_1", 0.5), ("My_Own_1", 1e-7), ("Dashed", "leaky-relu"), ("Dashed", "two_words"), ("Dashed", "a-NDF")],
)
def test_ids_of_users_operators_are_read_back(users_module, name, magnitude):
    mutation = Mutation(f"{users_module}:{name}", magnitude)
    assert parse_mutation(mutation.id) == mutation
    pair = in_canonical_order([mutation, Mutation("MTS")])
    assert parse_mutant(pair.id) == pair
    assert operator(mutation.operator).acronym in ("R", "PAC")
