"""The contract of environments, over the table."""

from __future__ import annotations

import pickle

import pytest

from envsearch.definition import EnvironmentDefinition, initial_spec
from envsearch.environment_checks import check_environment
from envsearch.registry import ENVIRONMENTS, environment, make
from envsearch.spec import EnvironmentSpec

tables = pytest.mark.parametrize("definition", ENVIRONMENTS.values(), ids=ENVIRONMENTS)


@tables
def test_it_passes_every_check(definition: EnvironmentDefinition) -> None:
    checks = check_environment(definition)
    assert len(checks) == 6 + 2 * len(definition.parameters)
    assert [check for check in checks if not check.passed] == []


@tables
def test_it_is_described(definition: EnvironmentDefinition) -> None:
    assert ENVIRONMENTS[definition.name] is definition
    assert definition.summary
    assert definition.source
    assert definition.parameters
    assert definition.reward_threshold is not None
    assert not definition.open_parameters


@tables
def test_its_time_limit_is_in_force(definition: EnvironmentDefinition) -> None:
    env = make(initial_spec(definition))
    assert env.spec is not None
    assert env.spec.max_episode_steps == definition.max_episode_steps
    assert env.spec.reward_threshold == definition.reward_threshold
    env.close()


@tables
def test_its_description_and_its_build_survive_pickling(definition: EnvironmentDefinition) -> None:
    spec = initial_spec(definition)
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert pickle.loads(pickle.dumps(definition)) == definition


@tables
def test_aliases_lead_to_it(definition: EnvironmentDefinition) -> None:
    for alias in definition.aliases:
        assert alias not in ENVIRONMENTS
        assert environment(alias) == definition
        assert make(EnvironmentSpec(alias)).unwrapped.__class__ is make(initial_spec(definition)).unwrapped.__class__
