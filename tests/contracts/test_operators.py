"""Every operator of the table passes the contract, in training too; broken ones are found out."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from agents.deeprl.engines.base import AgentSelection
from agents.deeprl.engines.registry import engine
from envsearch.spec import EnvironmentSpec
from mutations.folding import mutate
from mutations.operator_checks import check_operator, short_recipes
from mutations.parsing import parse_mutant
from mutations.registry import OPERATORS, operator

RECIPES = {recipe.algorithm: recipe for recipe in short_recipes()}


def failed(checks):
    return {check.name: check.detail for check in checks if not check.passed}


@pytest.mark.parametrize("acronym", list(OPERATORS))
def test_the_contract_without_training(acronym):
    checks = check_operator(OPERATORS[acronym])
    assert not failed(checks)
    assert len(checks) >= 7


@pytest.mark.slow
@pytest.mark.parametrize("acronym", list(OPERATORS))
def test_every_operator_is_live_and_neutral_at_probability_zero(acronym):
    checks = check_operator(OPERATORS[acronym], engine=engine("sb3"))
    assert not failed(checks)
    live = {check.name for check in checks if check.name.startswith("it is live in")}
    algorithms = ("ppo", "a2c") if acronym == "NR" else ("ppo", "a2c", "dqn")
    assert live == {f"it is live in {algorithm}" for algorithm in algorithms}


def digest(recipe):
    return engine("sb3").train(recipe, [0], AgentSelection())[0].weights_digest


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "dqn"])
@pytest.mark.parametrize(
    "text",
    ["RN_0.2", "R_0.2[semantics=freeze]", "R_1.0[published]", "Ra_1.0[published]", "M_1.0[published]", "PAC_Sigmoid"],
)
def test_other_settings_are_live(algorithm, text):
    healthy = RECIPES[algorithm]
    assert digest(mutate(healthy, parse_mutant(text))) != digest(healthy)


@pytest.mark.slow
def test_published_confounds_are_other_mutants_than_the_defined_faults():
    healthy = RECIPES["ppo"]
    for text in ("NR", "NDF"):
        defined, published = (mutate(healthy, parse_mutant(f"{text}{variant}")) for variant in ("", "[published]"))
        assert len({digest(healthy), digest(defined), digest(published)}) == 3


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["ppo", "a2c"])
def test_the_published_mts_is_live_where_episodes_time_out_only(algorithm):
    cartpole = RECIPES[algorithm]
    pendulum = cartpole.replace(environment=EnvironmentSpec("Pendulum-v1"))
    published = parse_mutant("MTS[published]")
    assert digest(mutate(pendulum, published)) != digest(pendulum)
    assert digest(mutate(cartpole, published)) == digest(cartpole)


BROKEN = """
import dataclasses
from mutations.magnitude import probability
from mutations.operator import ProbabilityMagnitude, MutationOperator

class Good(MutationOperator):
    acronym, name, level = "XX", "missing_terminal_flags", "agent"
    definition, source = "terminal flags are lost", "this test"
    magnitude = ProbabilityMagnitude("step", required=True)
    sites = ("terminal.missed",)
    def objection(self, recipe):
        return None
    def apply(self, recipe, mutation):
        return recipe.replace(terminal=dataclasses.replace(recipe.terminal, missed=probability(self, mutation)))

class Undescribed(Good):
    definition = " "

class Nameless(MutationOperator):
    def objection(self, recipe):
        return None
    def apply(self, recipe, mutation):
        return recipe

class NeverApplies(Good):
    def objection(self, recipe):
        return "never"

class NoOp(Good):
    def apply(self, recipe, mutation):
        probability(self, mutation)
        return recipe

class Impure(Good):
    def apply(self, recipe, mutation):
        object.__setattr__(recipe, "total_steps", recipe.total_steps + 1)
        return Good.apply(self, recipe, mutation)

class Fickle(Good):
    calls = 0
    def apply(self, recipe, mutation):
        Fickle.calls += 1
        return Good.apply(self, recipe, mutation).replace(total_steps=Fickle.calls)

class WritesMore(Good):
    def apply(self, recipe, mutation):
        return Good.apply(self, recipe, mutation).replace(total_steps=7)

class WritesLess(Good):
    sites = ("terminal.missed", "loss.inverted")

class Careless(Good):
    def apply(self, recipe, mutation):
        value = mutation.magnitude if isinstance(mutation.magnitude, float) and 0 <= mutation.magnitude <= 1 else 1.0
        return recipe.replace(terminal=dataclasses.replace(recipe.terminal, missed=value))

class NotNeutral(Good):
    sites = ("terminal.missed", "loss.inverted")
    def apply(self, recipe, mutation):
        return Good.apply(self, recipe, mutation).replace(loss=dataclasses.replace(recipe.loss, inverted=1.0))

class NotARecipe(Good):
    def apply(self, recipe, mutation):
        return Good.apply(self, recipe, mutation).to_plain()

class Raises(Good):
    def apply(self, recipe, mutation):
        raise ZeroDivisionError("on purpose")
"""


@pytest.fixture
def check(tmp_path, monkeypatch):
    (tmp_path / "own_contract_parts.py").write_text(BROKEN)
    monkeypatch.syspath_prepend(tmp_path)

    def run(name, trainer=None):
        path = f"own_contract_parts:{name}"
        return failed(check_operator(operator(path), list(RECIPES.values())[:1], trainer, name=path))

    return run


def test_a_users_operator_passes(check):
    assert not check("Good")


@pytest.mark.parametrize(
    ("name", "clause", "detail"),
    [
        ("Undescribed", "its metadata are complete", "definition: no text"),
        ("Nameless", "its metadata are complete", "acronym, name, definition, source: no text"),
        ("NeverApplies", "it applies to a recipe", "ppo: never"),
        ("NoOp", "it applies to a recipe", "would change nothing"),
        ("Impure", "it leaves the recipe unchanged and gives the same result twice", "changed the ppo recipe"),
        ("Fickle", "it leaves the recipe unchanged and gives the same result twice", "gives two recipes"),
        ("WritesMore", "it writes the sites it declares, and no others", "writes total_steps, which is not in sites"),
        ("WritesLess", "it writes the sites it declares, and no others", "no setting writes loss.inverted"),
        ("Careless", "it refuses wrong settings", "no MutationRefusedError for "),
        ("NotNeutral", "probability 0 is the healthy recipe in effect", "still sets loss.inverted (ppo)"),
        ("NotARecipe", "the mutated recipe survives JSON and pickling", "gives dict, not a TrainingRecipe"),
        ("Raises", "it refuses wrong settings", "raised ZeroDivisionError: on purpose"),
    ],
)
def test_a_broken_operator_is_found_out(check, name, clause, detail):
    assert detail in check(name)[clause]


@pytest.mark.slow
def test_training_finds_an_operator_that_is_not_neutral(check):
    assert "differ from the healthy" in check("NotNeutral", engine("sb3"))["probability 0 trains the healthy ppo agent"]


def test_training_finds_an_operator_that_is_not_live(check):
    class Deaf:
        name = "deaf"

        def train(self, recipe, seeds, selection, progress=None):
            return [type("Agent", (), {"weights_digest": "always the same"})]

    assert "trains the healthy agent, bit for bit" in check("Good", Deaf())["it is live in ppo"]


def test_the_operator_in_the_docs_passes(tmp_path, monkeypatch):
    text = (Path(__file__).parents[2] / "docs" / "operators.md").read_text(encoding="utf-8")
    example = text[text.index("    from mutations.magnitude") : text.index("Name it as")]
    (tmp_path / "own_documented_parts.py").write_text(textwrap.dedent(example))
    monkeypatch.syspath_prepend(tmp_path)
    path = "own_documented_parts:SuboptimalDiscount"
    assert not failed(check_operator(operator(path), name=path))


def test_the_docs_list_every_operator():
    text = (Path(__file__).parents[2] / "docs" / "operators.md").read_text(encoding="utf-8")
    rows = [line.split(" | ")[:2] for line in text.splitlines() if line.startswith("| ")]
    listed = {cells[0].removeprefix("| "): cells[1] for cells in rows if len(cells) == 2}
    assert {acronym: listed.get(acronym) for acronym in OPERATORS} == {a: known.name for a, known in OPERATORS.items()}
