"""The three explicit tables of scheduling: agent kinds, rewards, explorations. A custom part has an import path.

Each line is ``name: (module, class)``. The module is imported when the name is used: a heuristic needs no torch.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from agents.scheduling.agent import SchedulingAgent
from agents.scheduling.explorer import Exploration
from agents.scheduling.reward import Reward
from agents.scheduling.settings import AgentSettings
from envsearch.errors import InputError, unknown_name
from envsearch.extras import missing_extra
from envsearch.import_path import is_import_path, load_object

Table = dict[str, tuple[str, str]]

AGENT_KINDS: Table = {
    "random": ("agents.scheduling.kinds.random_order", "RandomOrder"),
    "file_order": ("agents.scheduling.kinds.file_order", "FileOrder"),
    "shortest_first": ("agents.scheduling.kinds.shortest_first", "ShortestFirst"),
    "last_failed_first": ("agents.scheduling.kinds.last_failed_first", "LastFailedFirst"),
    "failure_rate": ("agents.scheduling.kinds.failure_rate", "FailureRate"),
    "failure_rate_per_second": ("agents.scheduling.kinds.failure_rate_per_second", "FailureRatePerSecond"),
    "failure_model": ("agents.scheduling.kinds.failure_model", "FailureModel"),
    "network": ("agents.scheduling.kinds.network", "Network"),
    "tableau": ("agents.scheduling.kinds.tableau", "Tableau"),
    "bandit": ("agents.scheduling.kinds.bandit", "Bandit"),
    "ppo": ("agents.scheduling.kinds.sb3_agent", "Ppo"),
    "a2c": ("agents.scheduling.kinds.sb3_agent", "A2c"),
    "dqn": ("agents.scheduling.kinds.sb3_agent", "Dqn"),
}
"""Each class derives from `SchedulingAgent` and is made as ``Class(hyperparameters, seed)``."""

REWARDS: Table = {
    "failure_count": ("agents.scheduling.rewards.failure_count", "FailureCount"),
    "test_case_failure": ("agents.scheduling.rewards.test_case_failure", "TestCaseFailure"),
    "time_ranked": ("agents.scheduling.rewards.time_ranked", "TimeRanked"),
    "infrastructure_aware": ("agents.scheduling.rewards.infrastructure_aware", "InfrastructureAware"),
    "verdict": ("agents.scheduling.rewards.verdict", "OwnVerdict"),
    "apfdc": ("agents.scheduling.rewards.apfdc", "Apfdc"),
}
"""Each class derives from `agents.scheduling.reward.Reward` and is made without arguments."""

EXPLORATIONS: Table = {
    "none": ("agents.scheduling.exploration.no_exploration", "NoExploration"),
    "epsilon_greedy": ("agents.scheduling.exploration.epsilon_greedy", "EpsilonGreedy"),
    "gaussian": ("agents.scheduling.exploration.gaussian", "Gaussian"),
}
"""Each class derives from `agents.scheduling.explorer.Exploration` and is made as ``Class(settings)``."""


def agent_kind(name: str, field: str = "kind") -> type[SchedulingAgent]:
    """The class of an agent kind: a name in the table, or an import path ``module:Class``.

    Raises:
        InputError: no such kind, or its library is not installed.
    """
    return cast(type[SchedulingAgent], _class_named("agent kind", name, AGENT_KINDS, SchedulingAgent, field))


def make_agent(name: str, hyperparameters: Mapping[str, Any], seed: int, field: str = "kind") -> SchedulingAgent:
    """A new agent of a kind.

    Raises:
        InputError: no such kind, or a wrong hyper-parameter.
    """
    return agent_kind(name, field)(hyperparameters, seed)


def reward_class(name: str, field: str = "reward") -> type[Reward]:
    """The class of a reward: a name in the table, or an import path ``module:Class``.

    Raises:
        InputError: no such reward.
    """
    return cast(type[Reward], _class_named("reward", name, REWARDS, Reward, field))


def reward(name: str, field: str = "reward") -> Reward:
    """A reward; raises as `reward_class` does."""
    return reward_class(name, field)()


def exploration_class(name: str, field: str = "exploration") -> type[Exploration]:
    """The class of an exploration: a name in the table, or an import path ``module:Class``.

    Raises:
        InputError: no such exploration.
    """
    return cast(type[Exploration], _class_named("exploration", name, EXPLORATIONS, Exploration, field))


def exploration(name: str, settings: Mapping[str, Any], field: str = "exploration") -> Exploration:
    """A new exploration.

    Raises:
        InputError: no such exploration, or a wrong setting.
    """
    return exploration_class(name, field)(settings)


def import_paths(settings: AgentSettings) -> dict[str, str]:
    """Those of kind, reward and exploration that are import paths, by field: to use them runs the code they name."""
    names = {"kind": settings.kind, "reward": settings.reward, "exploration": settings.exploration}
    return {field: name for field, name in names.items() if is_import_path(name)}


def _class_named(what: str, name: str, table: Table, base: type[Any], field: str) -> type[Any]:
    if is_import_path(name):
        return _imported(what, name, base, field)
    if name not in table:
        raise unknown_name(what, name, table, field=field)
    module, class_name = table[name]
    try:
        listed: type[Any] = getattr(import_module(module), class_name)
    except ModuleNotFoundError as error:
        raise missing_extra(f"{what} {name!r}", error.name or "a library", field) from error
    return listed


def _imported(what: str, path: str, base: type[Any], field: str) -> type[Any]:
    part: type[Any] = load_object(path, field)
    if not (inspect.isclass(part) and issubclass(part, base)):
        expected = f"a subclass of {base.__module__}.{base.__name__}"
        raise InputError(f"{path!r} is not a class for the {what}", field, expected)
    if inspect.isabstract(part):
        missing = ", ".join(sorted(getattr(part, "__abstractmethods__", ())))
        raise InputError(f"{path!r} lacks {missing}", field, f"every abstract method of {base.__name__}")
    return part
