"""The table of environments, and how a name becomes one."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence
from typing import Any

import gymnasium

from envsearch.definition import EnvironmentDefinition, initial_spec, with_limits
from envsearch.environments.cartpole import CARTPOLE
from envsearch.environments.gymnasium_id import (
    gymnasium_definition,
    gymnasium_spec,
    imported_definition,
    is_user_path,
)
from envsearch.environments.lunarlander import LUNARLANDER
from envsearch.errors import InputError, unknown_name
from envsearch.import_path import load_object
from envsearch.spec import EnvironmentSpec, Parameter

__all__ = ["ENVIRONMENTS", "environment", "initial_spec", "make", "resolve_name", "with_limits"]

ENVIRONMENTS: dict[str, EnvironmentDefinition] = {
    CARTPOLE.name: CARTPOLE,
    LUNARLANDER.name: LUNARLANDER,
}


def resolve_name(name: str) -> tuple[str, str | None]:
    """The canonical name, and for an alias a sentence that the report must show.

    Names outside the table are returned as they are; `environment` says whether they exist.
    """
    for definition in ENVIRONMENTS.values():
        if name in definition.aliases:
            return definition.name, f"{name} is no longer in gymnasium; {definition.name} was used instead."
    return name, None


def environment(name: str, parameters: Sequence[Parameter] = (), field: str = "") -> EnvironmentDefinition:
    """The environment of a table name, alias, gymnasium id or import path ``module:object``.

    Args:
        parameters: declared by the user. For an environment that declares its own they replace those of the same name.
        field: position of the name, for the error.

    Raises:
        InputError: there is no such environment, or it has no such parameter.
    """
    canonical, _ = resolve_name(name)
    if canonical in ENVIRONMENTS:
        return _with_parameters(ENVIRONMENTS[canonical], parameters, field)
    if is_user_path(canonical):
        loaded = load_object(canonical, field)
        if isinstance(loaded, EnvironmentDefinition):
            return _with_parameters(dataclasses.replace(loaded, name=canonical), parameters, field)
        return imported_definition(canonical, parameters, field)
    spec = gymnasium_spec(canonical)
    if spec is None:
        raise _unknown(name, field)
    return gymnasium_definition(canonical, spec, parameters, field)


def make(spec: EnvironmentSpec) -> gymnasium.Env[Any, Any]:
    """The environment that a spec describes, built from the spec alone, in whatever process.

    A plain gymnasium environment with its time limit and without Monitor. Parameters that the spec does not name keep
    their initial value (a gymnasium id or callable: its own default).

    Raises:
        InputError: the name or a parameter is unknown, or a value is impossible.
    """
    definition = environment(spec.name)
    return definition.build(definition.values(spec.values, spec.name))


def _with_parameters(
    definition: EnvironmentDefinition, parameters: Sequence[Parameter], field: str
) -> EnvironmentDefinition:
    """A definition with some of its parameters replaced by those of the user."""
    if definition.open_parameters and not definition.parameters:
        return dataclasses.replace(definition, parameters=tuple(parameters))
    declared = {known.name: known for known in definition.parameters}
    for parameter in parameters:
        definition.parameter(parameter.name, field)
        declared[parameter.name] = parameter
    return dataclasses.replace(definition, parameters=tuple(declared.values()))


def _unknown(name: str, field: str) -> InputError:
    """Names of the table are listed; of gymnasium's many ids only near ones."""
    known = [*ENVIRONMENTS, *(alias for definition in ENVIRONMENTS.values() for alias in definition.aliases)]
    near = difflib.get_close_matches(name, list(gymnasium.registry), n=2, cutoff=0.6)
    error = unknown_name("environment", name, {*known, *near}, field)
    return InputError(error.problem, field, f"{error.expected}, any other gymnasium id, or module:object")
