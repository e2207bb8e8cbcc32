"""Any other environment: a gymnasium id or a user's own callable, with parameters that the user declares.

A declared parameter is handed to the constructor as a keyword if the constructor takes it (by name, or by
``**keywords``); otherwise it is set as an attribute of the bare environment, which must already have a number there;
otherwise it is refused. An attribute takes effect only if the environment reads it after construction: the contract
of `envsearch.environment_checks` looks whether it does.
"""

from __future__ import annotations

import inspect
import numbers
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from envsearch.definition import EnvironmentDefinition
from envsearch.errors import InputError
from envsearch.import_path import is_import_path, load_object
from envsearch.spec import Parameter

_VERSIONED_ID = re.compile(r"-v\d+$")


def gymnasium_spec(name: str) -> EnvSpec | None:
    """gymnasium's entry for an id (``Acrobot-v1``, or ``package:Name-v0`` for one that a package registers).

    None where there is none: an id must carry its version, since one without names another environment next year.
    """
    if not _VERSIONED_ID.search(name):
        return None
    try:
        return gymnasium.spec(name) if ":" not in name else _spec_of_package(name)
    except gymnasium.error.Error:
        return None


def _spec_of_package(name: str) -> EnvSpec | None:
    package, _, env_id = name.partition(":")
    try:  # importing it registers the package's environments, as gymnasium.make does
        load_object(f"{package}:__name__")
    except InputError as error:
        cause = error.__cause__ or error
        raise InputError(f"{name!r}: cannot import {package!r} ({type(cause).__name__}: {cause})") from error
    return gymnasium.spec(env_id)


def gymnasium_definition(
    name: str, spec: EnvSpec, parameters: Sequence[Parameter], field: str = ""
) -> EnvironmentDefinition:
    """A gymnasium id with the user's parameters."""
    return EnvironmentDefinition(
        name=name,
        summary=f"gymnasium's {name}",
        parameters=tuple(parameters),
        build=partial(_build_gymnasium, name, field),
        source="gymnasium",
        reward_threshold=spec.reward_threshold,
        max_episode_steps=spec.max_episode_steps,
        open_parameters=True,
    )


def imported_definition(path: str, parameters: Sequence[Parameter], field: str = "") -> EnvironmentDefinition:
    """A user's callable that returns an environment, with the user's parameters."""
    creator = load_object(path, field)
    if not callable(creator):
        raise InputError(
            f"{path!r} is a {type(creator).__name__}",
            field,
            "an EnvironmentDefinition or a callable that returns one gymnasium environment",
        )
    return EnvironmentDefinition(
        name=path,
        summary=f"the user's own {path}",
        parameters=tuple(parameters),
        build=partial(_build_imported, path, field),
        source=path,
        open_parameters=True,
    )


def _build_gymnasium(name: str, field: str, values: Mapping[str, float]) -> gymnasium.Env[Any, Any]:
    spec = gymnasium_spec(name)
    if spec is None:
        raise InputError(f"gymnasium has no environment {name!r}", field)
    creator = _creator_of(spec, name, field)
    return _build(name, field, creator, partial(gymnasium.make, spec, disable_env_checker=True), values)


def _creator_of(spec: EnvSpec, name: str, field: str) -> Callable[..., Any]:
    if isinstance(spec.entry_point, str):
        creator: Callable[..., Any] = load_object(spec.entry_point, field)
        return creator
    if spec.entry_point is None:
        raise InputError(f"gymnasium lists {name!r} without a constructor", field)
    return spec.entry_point


def _build_imported(path: str, field: str, values: Mapping[str, float]) -> gymnasium.Env[Any, Any]:
    creator = load_object(path, field)
    return _build(path, field, creator, creator, values)


def _build(
    name: str,
    field: str,
    creator: Callable[..., Any],
    make: Callable[..., Any],
    values: Mapping[str, float],
) -> gymnasium.Env[Any, Any]:
    """`creator` has the signature with the keywords, `make` is called with them."""
    keywords = {key: value for key, value in values.items() if _takes(creator, key)}
    try:  # a user's constructor may fail in any way
        env = make(**keywords)
    except InputError:
        raise
    except Exception as error:
        shown = ", ".join(f"{key}={value:g}" for key, value in keywords.items())
        raise InputError(f"{name}({shown}) cannot be built ({type(error).__name__}: {error})", field) from error
    if not isinstance(env, gymnasium.Env):
        raise InputError(f"{name} returned a {type(env).__name__}", field, "a gymnasium environment")
    for key, value in values.items():
        if key not in keywords:
            _set_attribute(name, field, env, key, value)
    return env


def _takes(creator: Callable[..., Any], keyword: str) -> bool:
    try:
        parameters = inspect.signature(creator).parameters
    except (TypeError, ValueError):  # a constructor written in C may have no signature
        return False
    if keyword in parameters:
        return parameters[keyword].kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())


def _set_attribute(name: str, field: str, env: gymnasium.Env[Any, Any], key: str, value: float) -> None:
    bare = env.unwrapped
    present = getattr(bare, key, None)
    if isinstance(present, bool) or not isinstance(present, numbers.Real):
        raise InputError(
            f"{name} has no parameter {key!r}", field, "a keyword of its constructor or a number among its attributes"
        )
    setattr(bare, key, value)


def is_user_path(name: str) -> bool:
    """Whether a name is ``module:object`` and not ``package:Name-v0``."""
    return is_import_path(name) and not _VERSIONED_ID.search(name)
