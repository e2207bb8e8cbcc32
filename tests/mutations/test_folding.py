"""Folding: healthy is the empty fold, order does not matter, and what makes no mutant is refused with its reason."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.deeprl.recipe import ExperienceSite, ReturnsSite
from envsearch.errors import InputError, MutationRefusedError
from mutations.folding import in_effect, mutate, objection, written_fields
from mutations.mutant import Mutant, Mutation
from mutations.operator_checks import short_recipes
from mutations.parsing import parse_mutant, parse_mutation
from mutations.registry import published_mutations

RECIPES = {recipe.algorithm: recipe for recipe in short_recipes()}


def with_hyperparameters(recipe, **changes):
    return recipe.replace(hyperparameters=tuple((dict(recipe.hyperparameters) | changes).items()))


def with_policy(recipe, **changes):
    return recipe.replace(policy=dataclasses.replace(recipe.policy, **changes))


@pytest.mark.parametrize("algorithm", list(RECIPES))
def test_healthy_is_the_recipe_itself(algorithm):
    assert mutate(RECIPES[algorithm], Mutant()) is RECIPES[algorithm]


@pytest.mark.parametrize(
    ("algorithm", "mutant", "reason"),
    [
        ("dqn", "NR", "NR does not apply: dqn stores transitions and computes no returns over a rollout"),
        ("dqn", "NDF-NR", "NR does not apply: dqn stores transitions and computes no returns over a rollout"),
        ("dqn", "PAC_ReLU", "PAC_ReLU would change nothing: policy.activation is already 'ReLU'"),
        ("ppo", "PAC_Tanh", "PAC_Tanh would change nothing: policy.activation is already 'Tanh'"),
        ("ppo", "POC_Adam", "POC_Adam would change nothing: policy.optimizer is already 'Adam'"),
        ("a2c", "POC_Adam", "POC_Adam would change nothing: policy.optimizer is already 'Adam'"),
        ("dqn", "POC_Adam", "POC_Adam would change nothing: policy.optimizer is already 'Adam'"),
        ("ppo", "Ra_0.5-R_1.0", "Ra_0.5 and R_1.0 both set experience.replacement, so only one of them could act"),
        ("ppo", "M_1.0-R_1.0", "M_1.0 and R_1.0 both set experience.replacement, so only one of them could act"),
        ("ppo", "PAC_ReLU-PAC_Sigmoid", "PAC_ReLU and PAC_Sigmoid both set policy.activation"),
        ("ppo", "NR_0.5-NR", "NR and NR_0.5 both set returns.forward"),
        ("ppo", "ILF-ILF", "ILF and ILF are one operator twice, which is one fault or none"),
        ("ppo", "MTS-MTS[published]", "MTS and MTS[published] are one operator twice, which is one fault or none"),
        ("dqn", "NDF-NDF[published]", "NDF and NDF[published] are one operator twice, which is one fault or none"),
        ("ppo", "R_1.0[published,semantics=freeze]", "the published code delays and never freezes"),
        ("ppo", "M_1.0[published,memory=cleared]", "the published code never clears its memory"),
        ("ppo", "MTS_0.5[published]", "leaves out every bootstrap at time limits, not some"),
    ],
)
def test_refused_with_the_reason(algorithm, mutant, reason):
    parsed = parse_mutant(mutant)
    assert reason in objection(RECIPES[algorithm], parsed)
    with pytest.raises(MutationRefusedError) as caught:
        mutate(RECIPES[algorithm], parsed)
    assert reason in caught.value.problem


@pytest.mark.parametrize(
    ("algorithm", "changes", "mutant", "reason"),
    [
        ("ppo", {"gamma": 1.0}, "NDF", "gamma is already 1, so there is no discount to leave out"),
        ("dqn", {"gamma": 1}, "NDF", "gamma is already 1"),
        ("ppo", {"gae_lambda": 0.0}, "NR", "gae_lambda is 0"),
        ("a2c", {"n_steps": 1}, "NR", "n_steps is 1"),
        ("ppo", {"gamma": 0.0}, "NR", "gamma is 0"),
        ("ppo", {"gamma": 0.0}, "MTS", "gamma is 0"),
        ("dqn", {"gamma": 0.0}, "MTS", "gamma is 0"),
        ("dqn", {"gamma": 0.0}, "MSU", "gamma is 0"),
        ("dqn", {"gamma": 0.0}, "ILF", "gamma is 0"),
    ],
)
def test_faults_that_hyperparameters_leave_no_room_for(algorithm, changes, mutant, reason):
    assert reason in objection(with_hyperparameters(RECIPES[algorithm], **changes), parse_mutant(mutant))


@pytest.mark.parametrize(("algorithm", "mutant"), [("ppo", "MSU"), ("ppo", "ILF"), ("ppo", "NDF"), ("dqn", "NDF")])
def test_faults_that_act_without_a_discounted_future(algorithm, mutant):
    assert objection(with_hyperparameters(RECIPES[algorithm], gamma=0.0), parse_mutant(mutant)) is None


def test_no_op_depends_on_the_agent_and_not_on_the_algorithm():
    rmsprop = with_policy(RECIPES["a2c"], optimizer="RMSprop", optimizer_kwargs=(("alpha", 0.99), ("eps", 1e-5)))
    assert objection(rmsprop, parse_mutant("POC_Adam")) is None
    assert "policy.optimizer is already 'RMSprop'" in objection(rmsprop, parse_mutant("POC_RMSprop"))
    tanh = with_policy(RECIPES["dqn"], activation="Tanh")
    assert objection(tanh, parse_mutant("PAC_ReLU")) is None
    assert "no hidden layer" in objection(with_policy(RECIPES["dqn"], net_arch=()), parse_mutant("PAC_Sigmoid"))


def test_probability_zero_is_the_healthy_agent():
    with pytest.raises(MutationRefusedError, match="probability 0 of RN is the healthy agent") as caught:
        mutate(RECIPES["ppo"], Mutant((Mutation("RN", 0.0),)))
    assert caught.value.field == "magnitude"


def test_unknown_operators_are_an_input_error():
    for function in (mutate, objection):
        with pytest.raises(InputError, match="unknown operator 'XX'"):
            function(RECIPES["ppo"], Mutant((Mutation("XX"),)))


@pytest.mark.parametrize(
    ("algorithm", "mutant"),
    [
        *itertools.product(RECIPES, ["RN_1.0-R_1.0", "RN_0.2[published]-M_1.0[published]", "NDF-MTS", "NDF-ILF"]),
        *itertools.product(RECIPES, ["MSU-ILF", "Ra_1.0-MSU", "R_1.0-MSU", "PAC_Sigmoid-POC_SGD", "MTS-MSU-ILF"]),
        *itertools.product(("ppo", "a2c"), ["NDF-NR", "NDF[published]-NR[published]", "NDF-NR[published]", "MTS-NR"]),
    ],
)
def test_combinations_of_faults_at_different_sites_are_allowed(algorithm, mutant):
    healthy, parsed = RECIPES[algorithm], parse_mutant(mutant)
    assert objection(healthy, parsed) is None
    alone = [written_fields(healthy, mutate(healthy, Mutant((mutation,)))) for mutation in parsed.mutations]
    together = written_fields(healthy, mutate(healthy, parsed))
    assert together == {name: value for fields in alone for name, value in fields.items()}


def test_published_higher_order_mutants_fold(proctor_data):
    for line in (proctor_data / "published" / "cartpole_higher_order.csv").read_text().splitlines()[1:]:
        algorithm, mutant = line.split(",")[1], line.split(",")[3]
        assert mutate(RECIPES[algorithm], parse_mutant(mutant)) != RECIPES[algorithm]


@given(
    algorithm=st.sampled_from(sorted(RECIPES)),
    chosen=st.lists(st.integers(0, 9), min_size=2, max_size=4, unique=True),
    shuffled=st.randoms(use_true_random=False),
)
def test_the_order_of_mutations_does_not_matter(algorithm, chosen, shuffled):
    mutations = [published_mutations(algorithm)[index] for index in chosen]
    other = list(mutations)
    shuffled.shuffle(other)
    first, second = Mutant(tuple(mutations)), Mutant(tuple(other))
    assert objection(RECIPES[algorithm], first) == objection(RECIPES[algorithm], second)
    if objection(RECIPES[algorithm], first) is None:
        assert mutate(RECIPES[algorithm], first) == mutate(RECIPES[algorithm], second)


@given(probability=st.floats(1e-6, 1.0), name=st.sampled_from(["RN", "M", "Ra", "R", "NDF", "MTS", "MSU", "ILF"]))
def test_every_probability_reaches_the_recipe(probability, name):
    healthy = RECIPES["dqn"]
    written = written_fields(healthy, mutate(healthy, Mutant((Mutation(name, probability),))))
    assert probability in written.values()


def test_spellings_of_one_fault_give_one_recipe():
    spelled = [Mutation("no_discount_factor", 1), Mutation("ndf"), Mutation("NDF", 1.0)]
    assert len({mutate(RECIPES["ppo"], Mutant((mutation,))).address for mutation in spelled}) == 1


USERS_OPERATORS = """
import dataclasses
from agents.deeprl.recipe import TrainingRecipe
from mutations.magnitude import choice
from mutations.operator import ChoiceMagnitude, MutationOperator

class Discount(MutationOperator):
    acronym, name, level = "SDF", "suboptimal_discount_factor", "agent"
    definition, source = "gamma has another value", "muPRL"
    magnitude = ChoiceMagnitude(("0.45", "0.9", "1.0"))
    sites = ("hyperparameters",)
    def objection(self, recipe):
        return None
    def apply(self, recipe, mutation):
        changed = dict(recipe.hyperparameters) | {"gamma": float(choice(self, mutation))}
        return recipe.replace(hyperparameters=tuple(changed.items()))

class Undo(Discount):
    magnitude = ChoiceMagnitude(("back", "again"))
    def apply(self, recipe, mutation):
        if choice(self, mutation) == "again":
            return recipe.replace(loss=dataclasses.replace(recipe.loss, inverted=1.0))
        flipped = 1.0 - recipe.loss.inverted
        return recipe.replace(loss=dataclasses.replace(recipe.loss, inverted=flipped))
"""


@pytest.fixture
def users_operators(tmp_path, monkeypatch):
    (tmp_path / "own_folding_parts.py").write_text(USERS_OPERATORS)
    monkeypatch.syspath_prepend(tmp_path)
    return "own_folding_parts"


def test_users_operators_are_held_to_the_same_rules(users_operators):
    ppo, dqn = RECIPES["ppo"], RECIPES["dqn"]
    discount, undo = Mutation(f"{users_operators}:Discount", "0.9"), Mutation(f"{users_operators}:Undo", "back")
    again, ilf, ndf = Mutation(f"{users_operators}:Undo", "again"), Mutation("ILF"), Mutation("NDF")
    assert mutate(ppo, Mutant((discount,))).hyperparameter("gamma") == 0.9
    assert objection(ppo, Mutant((discount, ndf))) is None
    assert "would change nothing together with NDF" in objection(dqn, Mutant((discount, ndf)))
    none_left = Mutation(f"{users_operators}:Discount", "1.0")
    assert "NDF does not apply together with" in objection(ppo, Mutant((none_left, ndf)))
    assert "cancel each other" in objection(ppo, Mutant((ilf, undo)))
    assert "would change nothing together with" in objection(ppo, Mutant((ilf, again)))


@pytest.mark.parametrize(
    "changes",
    [
        {"experience": ExperienceSite("mangled", 0.0, across_episodes=True, log_mutated_reward=True)},
        {"experience": ExperienceSite(probability=0.5, noise_scale=3.0)},
        {"experience": ExperienceSite(noise_probability=0.5, noise_scale=0.0)},
        {"returns": ReturnsSite(gamma=0.99)},
    ],
)
def test_sites_that_cannot_act_are_healthy_in_effect(changes):
    healthy = RECIPES["ppo"]
    assert healthy.replace(**changes) != healthy
    assert in_effect(healthy.replace(**changes)) == in_effect(healthy)


@pytest.mark.parametrize("text", ["RN_0.1", "R_0.1", "NR", "NDF", "NR[published]", "M_0.1[published]"])
def test_sites_that_act_are_not_healthy_in_effect(text):
    healthy = RECIPES["ppo"]
    assert in_effect(mutate(healthy, Mutant((parse_mutation(text),)))) != in_effect(healthy)
