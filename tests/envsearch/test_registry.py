"""Names to environments, and environments from plain data alone."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from envsearch.definition import EnvironmentDefinition, PhysicalLimit, initial_spec
from envsearch.errors import InputError
from envsearch.registry import ENVIRONMENTS, environment, make, resolve_name, with_limits
from envsearch.spec import EnvironmentSpec, Parameter

USER_MODULE = """
import dataclasses
import gymnasium
from envsearch.registry import ENVIRONMENTS

def swing(g=10.0):
    return gymnasium.make("Pendulum-v1", g=g)

def anything(**settings):
    return gymnasium.make("Pendulum-v1", **settings)

def nothing():
    return 3

heavy = dataclasses.replace(ENVIRONMENTS["CartPole-v1"], name="heavy", summary="a heavy cart")
number = 7
gymnasium.register("Mine-v0", entry_point="gymnasium.envs.classic_control.pendulum:PendulumEnv", max_episode_steps=9)
"""


@pytest.fixture(scope="module")
def user_module(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("user")
    (folder / "my_environments.py").write_text(USER_MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield folder
    gymnasium.registry.pop("Mine-v0", None)


def test_names_of_the_table_need_no_note() -> None:
    assert resolve_name("CartPole-v1") == ("CartPole-v1", None)
    assert resolve_name("Acrobot-v1") == ("Acrobot-v1", None)


def test_an_alias_comes_with_a_note() -> None:
    name, note = resolve_name("LunarLander-v2")
    assert name == "LunarLander-v3"
    assert note == "LunarLander-v2 is no longer in gymnasium; LunarLander-v3 was used instead."
    assert environment("LunarLander-v2").name == "LunarLander-v3"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("CartPol-v1", "did you mean 'CartPole-v1'"),
        ("cartpole-v1", "did you mean 'CartPole-v1'"),
        ("Acrobt-v1", "did you mean 'Acrobot-v1'"),
        ("LunarLander", "did you mean 'LunarLander-v3'"),
        ("Pendulum", "Pendulum-v1"),
        ("nonsense", "any other gymnasium id, or module:object"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        environment(name, field="environment.name")
    assert str(caught.value).startswith(f"environment.name: unknown environment {name!r}")
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


# --- from plain data -------------------------------------------------------------------------------------------------


def masses(spec: EnvironmentSpec) -> tuple[float, float]:
    bare: Any = make(spec).unwrapped
    return bare.masscart, bare.masspole


def test_values_not_named_keep_the_initial_one() -> None:
    assert masses(EnvironmentSpec("CartPole-v1")) == (1.0, 0.1)
    assert masses(EnvironmentSpec("CartPole-v1", (("pole_mass", 2.0),))) == (1.0, 2.0)
    assert masses(EnvironmentSpec("CartPole-v1", (("pole_mass", 2.0), ("cart_mass", 3)))) == (3.0, 2.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((("mass", 2.0),), "unknown parameter of CartPole-v1 'mass'"),
        ((("cart_mas", 2.0),), "did you mean 'cart_mass'"),
        ((("cart_mass", 0.0),), r"CartPole-v1.cart_mass: 0 is physically impossible; expected a value > 0"),
        ((("pole_mass", -1.0),), "-1 is physically impossible"),
        ((("cart_mass", float("nan")),), "nan is not a finite number"),
        ((("cart_mass", "heavy"),), "'heavy' is not a finite number"),
        ((("cart_mass", 1.0), ("cart_mass", 2.0)), "'cart_mass' has two values"),
    ],
)
def test_wrong_values_are_refused(values: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(EnvironmentSpec("CartPole-v1", values))


def test_values_beyond_the_limits_of_the_search_are_possible() -> None:
    assert masses(EnvironmentSpec("CartPole-v1", (("cart_mass", 0.5),))) == (0.5, 0.1)


def test_a_spec_is_all_that_another_process_needs(tmp_path: Path) -> None:
    spec = EnvironmentSpec("Pendulum-v1", (("g", 3.0),))
    (tmp_path / "spec").write_bytes(pickle.dumps(spec))
    program = (
        "import pickle, sys; from envsearch.registry import make;"
        "print(make(pickle.load(open(sys.argv[1], 'rb'))).unwrapped.g)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "spec")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "3.0"


# --- gymnasium ids and the user's own ---------------------------------------------------------------------------------


def test_a_gymnasium_id_takes_threshold_and_time_limit_from_gymnasium() -> None:
    definition = environment("Acrobot-v1")
    assert definition.parameters == ()
    assert definition.reward_threshold == -100.0
    assert definition.max_episode_steps == 500
    assert make(initial_spec(definition)).spec == gymnasium.make("Acrobot-v1", disable_env_checker=True).spec


def test_a_declared_parameter_goes_to_the_constructor_or_else_to_an_attribute() -> None:
    parameters = (Parameter("g", 10, 1, 20, 0.5), Parameter("m", 1, 0.5, 2, 0.1))
    definition = environment("Pendulum-v1", parameters)
    assert definition.parameters == parameters
    assert initial_spec(definition) == EnvironmentSpec("Pendulum-v1", (("g", 10.0), ("m", 1.0)))
    bare: Any = make(EnvironmentSpec("Pendulum-v1", (("g", 3.0), ("m", 1.5)))).unwrapped
    assert (bare.g, bare.m) == (3.0, 1.5)
    assert bare.spec.kwargs["g"] == 3.0


@pytest.mark.parametrize("name", ["mass", "step", "render_mode", "metadata", "spec"])
def test_a_parameter_that_the_environment_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"no parameter '{name}'|cannot be built"):
        make(EnvironmentSpec("MountainCar-v0", ((name, 1.0),)))


def test_a_constructor_that_refuses_a_value_is_told_in_one_line() -> None:
    with pytest.raises(InputError, match=r"LunarLanderContinuous-v3\(gravity=-20\) cannot be built \(AssertionError"):
        make(EnvironmentSpec("LunarLanderContinuous-v3", (("gravity", -20.0),)))


def test_a_users_callable(user_module: Path) -> None:
    definition = environment("my_environments:swing", (Parameter("g", 10, 1, 20, 0.5),))
    spec = initial_spec(definition).with_values({"g": 4.0})
    assert spec.name == "my_environments:swing"
    bare: Any = make(spec).unwrapped
    assert bare.g == 4.0
    other: Any = make(EnvironmentSpec("my_environments:anything", (("g", 2.0),))).unwrapped
    assert other.g == 2.0


def test_a_users_definition_is_known_by_its_path(user_module: Path) -> None:
    definition = environment("my_environments:heavy")
    assert definition.name == "my_environments:heavy"
    assert definition.summary == "a heavy cart"
    assert masses(initial_spec(definition).with_values({"cart_mass": 9.0})) == (9.0, 0.1)
    with pytest.raises(InputError, match="unknown parameter of my_environments:heavy 'g'"):
        make(EnvironmentSpec("my_environments:heavy", (("g", 1.0),)))


def test_an_id_that_a_users_package_registers(user_module: Path) -> None:
    definition = environment("my_environments:Mine-v0")
    assert definition.max_episode_steps == 9
    assert make(initial_spec(definition)).spec is not None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_environments:number", "is a int; expected an EnvironmentDefinition or a callable"),
        ("my_environments:missing", "has no 'missing'"),
        ("no_such_module:thing", "cannot import 'no_such_module'"),
        ("no_such_module:Thing-v0", "'no_such_module:Thing-v0': cannot import 'no_such_module'"),
        ("my_environments:Theirs-v0", "unknown environment"),
    ],
)
def test_wrong_import_paths_are_refused(user_module: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        environment(name)


def test_a_callable_that_returns_something_else_is_refused(user_module: Path) -> None:
    with pytest.raises(InputError, match="my_environments:nothing returned a int"):
        make(EnvironmentSpec("my_environments:nothing"))


# --- limits ----------------------------------------------------------------------------------------------------------

CARTPOLE = ENVIRONMENTS["CartPole-v1"]


def test_limits_precision_and_initial_values_can_be_changed() -> None:
    changed = with_limits(CARTPOLE, {"pole_mass": {"high": 5, "precision": 0.5}, "cart_mass": {"initial": 2.0}})
    assert changed.parameters == (
        Parameter("cart_mass", 2.0, 1.0, 20.0, 0.5, "kg"),
        Parameter("pole_mass", 0.1, 0.1, 5.0, 0.5, "kg"),
    )
    assert initial_spec(changed).values == (("cart_mass", 2.0), ("pole_mass", 0.1))
    assert CARTPOLE.parameter("cart_mass").initial == 1.0


def test_declared_parameters_replace_those_of_the_table() -> None:
    declared = Parameter("pole_mass", 0.2, 0.1, 1.0, 0.1)
    assert environment("CartPole-v1", [declared]).parameters == (CARTPOLE.parameters[0], declared)
    with pytest.raises(InputError, match="unknown parameter of CartPole-v1 'gravity'"):
        environment("CartPole-v1", [Parameter("gravity", 1, 0, 2, 0.1)])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"mass": {"high": 5}}, "parameters.mass: unknown parameter of CartPole-v1 'mass'"),
        ({"cart_mass": {"hig": 5}}, "parameters.cart_mass: unknown setting 'hig' .did you mean 'high'"),
        ({"cart_mass": {"high": 0.5}}, r"parameters.cart_mass.low: limits \[1, 0.5\] are empty"),
        ({"cart_mass": {"initial": 30}}, "parameters.cart_mass.initial: initial value 30 is outside the limits"),
        ({"cart_mass": {"precision": 0}}, "parameters.cart_mass.precision: 0 is not positive"),
        ({"cart_mass": {"low": "a"}}, "parameters.cart_mass.low: 'a' is not a finite number"),
        ({"cart_mass": {"low": 0}}, "parameters.cart_mass.low: 0 is physically impossible; expected a value > 0"),
    ],
)
def test_impossible_limits_are_refused(overrides: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        with_limits(CARTPOLE, overrides)


def test_an_environment_without_parameters_says_so() -> None:
    with pytest.raises(InputError, match="Acrobot-v1 declares no parameter 'g'"):
        with_limits(environment("Acrobot-v1"), {"g": {"high": 5}})


def test_a_physical_limit_may_include_its_value() -> None:
    assert PhysicalLimit("power", 0.0, inclusive=True).allows(0.0)
    assert not PhysicalLimit("mass", 0.0, inclusive=False).allows(0.0)
    assert not PhysicalLimit("power", 0.0, inclusive=True).allows(-0.1)


def test_a_definition_declares_each_parameter_once() -> None:
    twice = (CARTPOLE.parameters[0],) * 2
    with pytest.raises(InputError, match=r"twice\.parameters: parameter 'cart_mass' is declared twice"):
        EnvironmentDefinition("twice", "", twice, CARTPOLE.build)
