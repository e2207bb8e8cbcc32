"""The table of operators, names that lead to them, and the published mutants."""

from __future__ import annotations

import csv

import pytest

from envsearch.errors import InputError
from mutations.mutant import Mutation
from mutations.operator import MutationOperator
from mutations.operators.repeat import Repeat
from mutations.registry import OPERATORS, canonical_name, in_canonical_order, operator, published_mutations


def test_acronyms_are_keys_and_the_order_is_the_canonical_one():
    assert list(OPERATORS) == ["RN", "M", "Ra", "R", "NDF", "MTS", "NR", "MSU", "ILF", "PAC", "POC"]
    assert all(known.acronym == acronym for acronym, known in OPERATORS.items())
    assert [known.level for known in OPERATORS.values()] == ["environment"] * 4 + ["agent"] * 7


@pytest.mark.parametrize("acronym", list(OPERATORS))
def test_acronym_and_long_name_in_any_case(acronym):
    known = OPERATORS[acronym]
    for name in (acronym, acronym.lower(), known.name, known.name.upper()):
        assert operator(name) is known
        assert canonical_name(name) == acronym


def test_import_path_of_a_class_or_of_an_instance():
    assert isinstance(operator("mutations.operators.repeat:Repeat"), Repeat)
    assert canonical_name("mutations.operators.repeat:Repeat") == "R"


def test_a_users_operator_keeps_its_path(tmp_path, monkeypatch):
    (tmp_path / "own_operator_parts.py").write_text(
        "from mutations.operators.repeat import Repeat\nclass Mine(Repeat): pass\nmine = Mine()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("own_operator_parts:Mine", "own_operator_parts:mine"):
        assert canonical_name(name) == name
        assert isinstance(operator(name), MutationOperator)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("NDFF", r"field: unknown operator 'NDFF' \(did you mean 'NDF'\?\); expected one of ILF, M, "),
        ("no_revers", "did you mean 'no_reverse'"),
        ("json:loads", "'json:loads' is not a mutation operator; expected a MutationOperator instance"),
        ("mutations.operator:MutationOperator", "cannot be created"),
        ("mutations.operators.repeat:Repet", "has no 'Repet'"),
        ("no_such_module:Mine", "cannot import 'no_such_module'"),
    ],
)
def test_unknown_operators_are_one_clear_line(name, text):
    with pytest.raises(InputError, match=text) as caught:
        operator(name, "field")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "dqn"])
def test_published_mutants_are_those_of_the_published_table(algorithm, proctor_data):
    with (proctor_data / "published" / "cartpole_verdicts.csv").open(encoding="utf-8", newline="") as table:
        published = {row["mutant"] for row in csv.DictReader(table) if row["algorithm"] == algorithm}
    assert {mutation.id for mutation in published_mutations(algorithm)} == published


def test_published_mutants_in_the_published_order():
    ids = [mutation.id for mutation in published_mutations("ppo")]
    assert " ".join(ids) == "ILF NDF NR MSU MTS PAC_ReLU PAC_Sigmoid POC_SGD M_1.0 R_1.0 Ra_1.0 RN_1.0"
    assert [each for each in ids if each not in ("NR", "PAC_ReLU")] == [
        mutation.id for mutation in published_mutations("DQN")
    ]


def test_canonical_order_puts_import_paths_last():
    mutant = in_canonical_order([Mutation("a.b:C"), Mutation("PAC", "ReLU"), Mutation("MTS"), Mutation("RN", 1.0)])
    assert mutant.id == "RN_1.0-MTS-PAC_ReLU-a.b:C"
