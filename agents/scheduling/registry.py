"""The three explicit tables of scheduling: agent kinds, rewards, explorations.

Each line is ``name: (module, class)`` and is imported when the name is used, so that a heuristic needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from agents.scheduling.agent import SchedulingAgent
from agents.scheduling.explorer import Exploration
from agents.scheduling.reward import Reward
from envsearch.errors import unknown_name

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
    """The class of that agent kind.

    Raises:
        InputError: no such kind.
    """
    return cast(type[SchedulingAgent], _look_up("agent kind", name, AGENT_KINDS, field))


def make_agent(name: str, hyperparameters: Mapping[str, Any], seed: int, field: str = "kind") -> SchedulingAgent:
    """A new agent of that kind.

    Raises:
        InputError: no such kind, or a wrong hyper-parameter.
    """
    return agent_kind(name, field)(hyperparameters, seed)


def reward(name: str, field: str = "reward") -> Reward:
    """The reward of that name.

    Raises:
        InputError: no such reward.
    """
    return cast(Reward, _look_up("reward", name, REWARDS, field)())


def exploration(name: str, settings: Mapping[str, Any], field: str = "exploration") -> Exploration:
    """A new exploration of that name.

    Raises:
        InputError: no such exploration, or a wrong setting.
    """
    return cast(Exploration, _look_up("exploration", name, EXPLORATIONS, field)(settings))


def _look_up(what: str, name: str, table: Table, field: str) -> Any:
    if name not in table:
        raise unknown_name(what, name, table, field=field)
    module, class_name = table[name]
    return getattr(import_module(module), class_name)
