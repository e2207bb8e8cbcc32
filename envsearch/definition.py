"""What a parameterised environment is: its parameters, and how one point of their space becomes an environment."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium

from envsearch.errors import InputError, unknown_name
from envsearch.spec import EnvironmentSpec, Parameter

Build = Callable[[Mapping[str, float]], gymnasium.Env[Any, Any]]
"""Parameter values -> a plain gymnasium environment with its time limit, without Monitor."""

LIMIT_SETTINGS = ("initial", "low", "high", "precision")
"""What a campaign may change of a parameter that an environment declares."""


@dataclass(frozen=True, slots=True)
class PhysicalLimit:
    """A lower limit that physics sets and no specification may cross (a mass is positive)."""

    parameter: str
    low: float
    inclusive: bool

    def allows(self, value: float) -> bool:
        """Whether a value is physically possible."""
        return value > self.low or (self.inclusive and value == self.low)

    def __str__(self) -> str:
        return f"a value {'>=' if self.inclusive else '>'} {self.low:g}"


@dataclass(frozen=True)
class EnvironmentDefinition:
    """One parameterised environment.

    Attributes:
        name: canonical table name, gymnasium id or import path.
        summary: one line for ``proctor environments``.
        parameters: what a boundary search may move, in the order of every point's coordinates.
        build: gets the value of every parameter. For an environment with `open_parameters` it gets whatever values
            are named; the rest keep the environment's own default.
        aliases: other names that are accepted for it.
        source: where the environment and its limits come from.
        reward_threshold: mean return that counts as solved, where there is one.
        max_episode_steps: time limit, in steps.
        physical_limits: values that are refused wherever they are given.
        open_parameters: whether the user declares the parameters (a gymnasium id or a callable).
    """

    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    build: Build
    aliases: tuple[str, ...] = ()
    source: str = ""
    reward_threshold: float | None = None
    max_episode_steps: int | None = None
    physical_limits: tuple[PhysicalLimit, ...] = ()
    open_parameters: bool = False

    def __post_init__(self) -> None:
        names = [parameter.name for parameter in self.parameters]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InputError(f"parameter {twice!r} is declared twice", f"{self.name}.parameters", "distinct names")
        for parameter in self.parameters:
            for setting in ("low", "high", "initial"):
                self._check_physical(parameter.name, getattr(parameter, setting), f"{parameter.name}.{setting}")

    def parameter(self, name: str, field: str = "") -> Parameter:
        """One parameter by name.

        Raises:
            InputError: there is none of this name.
        """
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        if not self.parameters:
            raise InputError(f"{self.name} declares no parameter {name!r}", field, "declared parameters")
        raise unknown_name(f"parameter of {self.name}", name, (known.name for known in self.parameters), field)

    def values(self, chosen: Sequence[tuple[str, float]], field: str = "") -> dict[str, float]:
        """The value of every parameter: the chosen one, else the initial one. Open parameters: the chosen ones only.

        Raises:
            InputError: a name is unknown or comes twice, a value is not finite or physically impossible.
        """
        point = {} if self.open_parameters else {known.name: known.initial for known in self.parameters}
        seen: set[str] = set()
        for name, value in chosen:
            if not self.open_parameters:
                self.parameter(name, field)
            if name in seen:
                raise InputError(f"parameter {name!r} has two values", field, "one value per parameter")
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise InputError(f"{value!r} is not a finite number", _at(field, name), "a finite number")
            self._check_physical(name, value, _at(field, name))
            seen.add(name)
            point[name] = float(value)
        return point

    def _check_physical(self, name: str, value: float, field: str) -> None:
        for limit in self.physical_limits:
            if limit.parameter == name and not limit.allows(value):
                raise InputError(f"{value:g} is physically impossible", field, str(limit))


def initial_spec(definition: EnvironmentDefinition) -> EnvironmentSpec:
    """The environment in which agents are trained: every parameter named, at its initial value."""
    return EnvironmentSpec(definition.name, tuple((known.name, known.initial) for known in definition.parameters))


def with_limits(
    definition: EnvironmentDefinition, overrides: Mapping[str, Mapping[str, float]], field: str = "parameters"
) -> EnvironmentDefinition:
    """The same environment with other search limits, precision or initial values.

    Args:
        overrides: parameter name -> some of ``initial``, ``low``, ``high``, ``precision``.

    Raises:
        InputError: a parameter or a setting is unknown, or the changed parameter makes no sense.
    """
    changed = {known.name: known for known in definition.parameters}
    for name, settings in overrides.items():
        known = definition.parameter(name, _at(field, name))
        for setting in settings:
            if setting not in LIMIT_SETTINGS:
                raise unknown_name("setting", setting, LIMIT_SETTINGS, _at(field, name))
        changed[name] = _changed(known, settings, field)
    try:
        return dataclasses.replace(definition, parameters=tuple(changed.values()))
    except InputError as error:
        raise InputError(error.problem, _at(field, error.field), error.expected) from error


def _changed(known: Parameter, settings: Mapping[str, float], field: str) -> Parameter:
    kept = {setting: getattr(known, setting) for setting in LIMIT_SETTINGS}
    try:
        return Parameter(known.name, **{**kept, **settings}, unit=known.unit)
    except InputError as error:
        raise InputError(error.problem, _at(field, error.field), error.expected) from error


def _at(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name
