"""The settings of a scheduling agent, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.scheduling.episode import Budget
from envsearch.errors import InputError, unknown_name

DEFAULT_KIND = "failure_model"
DEFAULT_REWARD = "verdict"

Setting = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Everything that a scheduler is built from.

    Attributes:
        kind: name in the table of agent kinds, or an import path ``module:Class``.
        reward: name in the table of rewards, or an import path.
        exploration: name in the table of explorations, or an import path ("none" for agents that explore themselves).
        hyperparameters: of the kind, (name, value) pairs.
        exploration_settings: of the exploration, (name, value) pairs.
        history_length: executions kept per test; older ones are truncated after each execution.
        seed: of initial weights, ties, exploration and minibatches.
        budget: of recommendations that have none.
    """

    kind: str
    reward: str = DEFAULT_REWARD
    exploration: str = "none"
    hyperparameters: Setting = ()
    exploration_settings: Setting = ()
    history_length: int = 10
    seed: int = 0
    budget: Budget = field(default_factory=Budget)

    def __post_init__(self) -> None:
        if not 1 <= self.history_length <= 1000:
            raise InputError(f"{self.history_length} is out of range", "history_length", "1 to 1000 executions")
        if self.seed < 0:
            raise InputError(f"{self.seed} is out of range", "seed", "a whole number of at least 0")


def checked_settings(values: Mapping[str, Any], defaults: Mapping[str, Any], what: str, field: str) -> dict[str, Any]:
    """The defaults, overridden by these values.

    Args:
        what: what a name stands for, for the error ("hyper-parameter").
        field: where the mapping is, for the error ("hyperparameters").

    Raises:
        InputError: a name is not among the defaults, or a value is of another type than its default.
    """
    for name, value in values.items():
        if name not in defaults:
            if not defaults:
                raise InputError(f"unknown {what} {name!r}", f"{field}.{name}", f"none, since there is no {what}")
            raise unknown_name(what, name, defaults, field=f"{field}.{name}")
        expected = type(defaults[name])
        number_for_float = expected is float and isinstance(value, int) and not isinstance(value, bool)
        if not (isinstance(value, expected) or number_for_float) or (expected is int and isinstance(value, bool)):
            raise InputError(f"{value!r} is of the wrong type", f"{field}.{name}", expected.__name__)
    return {**defaults, **values}
