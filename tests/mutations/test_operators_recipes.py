"""What each operator writes into the recipe, per algorithm and variant, and that it writes nothing else."""

from __future__ import annotations

import dataclasses
import pickle

import pytest

from mutations.folding import in_effect, mutate, written_fields
from mutations.mutant import Mutant, Mutation
from mutations.operator_checks import short_recipes
from mutations.parsing import parse_mutation
from mutations.registry import OPERATORS, operator

RECIPES = {recipe.algorithm: recipe for recipe in short_recipes()}
ON_POLICY = ("ppo", "a2c")
EVERY = ("ppo", "a2c", "dqn")
KEPT = {"experience.across_episodes": True}
LEAK = {"experience.across_episodes": True, "experience.log_mutated_reward": True}

CHANGES = [
    ("RN_0.2", EVERY, {"experience.noise_probability": 0.2}),
    ("RN_0.2[published]", EVERY, {"experience.noise_probability": 0.2, "experience.log_mutated_reward": True}),
    ("M_1.0", EVERY, {"experience.replacement": "mangled", "experience.probability": 1.0, **KEPT}),
    ("M_1.0[memory=cleared]", EVERY, {"experience.replacement": "mangled", "experience.probability": 1.0}),
    ("M_1.0[published]", EVERY, {"experience.replacement": "mangled", "experience.probability": 1.0, **LEAK}),
    ("Ra_0.05", EVERY, {"experience.replacement": "random", "experience.probability": 0.05, **KEPT}),
    ("Ra_0.05[memory=cleared]", EVERY, {"experience.replacement": "random", "experience.probability": 0.05}),
    ("Ra_0.05[published]", EVERY, {"experience.replacement": "random", "experience.probability": 0.05, **LEAK}),
    ("R_0.1", EVERY, {"experience.replacement": "repeat", "experience.probability": 0.1}),
    ("R_0.1[published]", EVERY, {"experience.replacement": "repeat", "experience.probability": 0.1, **LEAK}),
    (
        "R_0.1[semantics=freeze]",
        EVERY,
        {"experience.replacement": "repeat", "experience.probability": 0.1, "experience.frozen": True},
    ),
    ("NDF", EVERY, {"returns.undiscounted": 1.0}),
    ("NDF_0.5", EVERY, {"returns.undiscounted": 0.5}),
    ("NDF[published]", ON_POLICY, {"returns.undiscounted": 1.0, "returns.gae_lambda": 1.0}),
    ("NDF[published]", ("dqn",), {"returns.undiscounted": 1.0}),
    ("MTS", EVERY, {"terminal.missed": 1.0}),
    ("MTS_0.25", EVERY, {"terminal.missed": 0.25}),
    ("MTS[published]", ON_POLICY, {"terminal.time_limit_is_terminal": True}),
    ("MTS[published]", ("dqn",), {"terminal.missed": 1.0}),
    ("NR", ON_POLICY, {"returns.forward": 1.0}),
    ("NR_0.5", ON_POLICY, {"returns.forward": 0.5}),
    ("NR[published]", ON_POLICY, {"returns.forward": 1.0, "returns.gamma": 0.99, "returns.gae_lambda": 1.0}),
    ("MSU", EVERY, {"state.missed_update": 1.0}),
    ("ILF", EVERY, {"loss.inverted": 1.0}),
    ("PAC_ReLU", ON_POLICY, {"policy.activation": "ReLU"}),
    ("PAC_Sigmoid", EVERY, {"policy.activation": "Sigmoid"}),
    ("PAC_Tanh", ("dqn",), {"policy.activation": "Tanh"}),
    ("POC_SGD", ON_POLICY, {"policy.optimizer": "SGD", "policy.optimizer_kwargs": ()}),
    ("POC_SGD", ("dqn",), {"policy.optimizer": "SGD"}),
    (
        "POC_RMSprop",
        EVERY,
        {"policy.optimizer": "RMSprop", "policy.optimizer_kwargs": (("alpha", 0.99), ("eps", 1e-5))},
    ),
]
CASES = [(text, algorithm, changes) for text, algorithms, changes in CHANGES for algorithm in algorithms]


@pytest.mark.parametrize(("text", "algorithm", "changes"), CASES)
def test_the_operator_writes_exactly_this(text, algorithm, changes):
    healthy = RECIPES[algorithm]
    before = pickle.dumps(healthy)
    mutated = mutate(healthy, Mutant((parse_mutation(text),)))
    assert written_fields(healthy, mutated) == changes
    assert pickle.dumps(healthy) == before


@pytest.mark.parametrize("algorithm", EVERY)
def test_every_operator_is_covered_for_every_algorithm(algorithm):
    tried = {parse_mutation(text).operator for text, name, _ in CASES if name == algorithm}
    missing = set(OPERATORS) - tried
    assert missing == ({"NR"} if algorithm == "dqn" else set())


@pytest.mark.parametrize(("algorithm", "eps"), [("a2c", (("eps", 1e-5),)), ("dqn", ())])
def test_adam_has_the_epsilon_that_the_library_gives_the_algorithm(algorithm, eps):
    healthy = RECIPES[algorithm]
    other = healthy.replace(policy=dataclasses.replace(healthy.policy, optimizer="RMSprop", optimizer_kwargs=()))
    mutated = mutate(other, Mutant((Mutation("POC", "Adam"),)))
    assert (mutated.policy.optimizer, mutated.policy.optimizer_kwargs) == ("Adam", eps)


def test_an_optimizer_that_is_there_keeps_the_agents_own_arguments():
    healthy = RECIPES["ppo"]
    own = healthy.replace(policy=dataclasses.replace(healthy.policy, optimizer_kwargs=(("eps", 1e-7),)))
    assert operator("POC").apply(own, Mutation("POC", "Adam")) == own


@pytest.mark.parametrize(
    "text", ["NR[published]", "NDF[published]", "MTS[published]", "R_1.0[published]", "RN_1.0[published]"]
)
def test_the_published_confounds_vanish_at_probability_zero(text):
    mutation = dataclasses.replace(parse_mutation(text), magnitude=0.0)
    neutral = operator(mutation.operator).apply(RECIPES["ppo"], mutation)
    assert in_effect(neutral) == in_effect(RECIPES["ppo"])
    if mutation.operator in ("NR", "NDF", "MTS"):
        assert neutral == RECIPES["ppo"]


def test_a_users_algorithm_class_is_mutated_by_its_family():
    on_policy = RECIPES["ppo"].replace(algorithm="stable_baselines3:PPO")
    off_policy = RECIPES["dqn"].replace(algorithm="stable_baselines3:DQN")
    mutant = Mutant((parse_mutation("MTS[published]"),))
    assert mutate(on_policy, mutant).terminal.time_limit_is_terminal
    assert mutate(off_policy, mutant).terminal.missed == 1.0
