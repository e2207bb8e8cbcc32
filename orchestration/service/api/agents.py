"""Agents: create, read, change, list; their versions."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from agents.scheduling.episode import Budget
from agents.scheduling.settings import DEFAULT_KIND, DEFAULT_REWARD, AgentSettings
from orchestration.service.api import limits
from orchestration.service.api.fields import (
    AgentName,
    Body,
    CheckedTestId,
    Count,
    ExplorationName,
    Fill,
    KindName,
    Objective,
    RewardName,
    Seconds,
    Settings,
    Text,
)
from orchestration.service.errors import TooLargeError
from orchestration.service.store.codec import settings_text


class AgentBudget(Body, frozen=True):
    """How much of a job is run where a recommendation names no budget. Without seconds and share: everything."""

    seconds: Seconds | None = None
    share: (
        Annotated[float, Meta(ge=0, le=1, description="Of the summed expected durations, instead of seconds.")] | None
    ) = None
    fill: Annotated[
        Fill,
        Meta(description="greedy: a later, shorter test may still fit; prefix: cut at the first that does not."),
    ] = "greedy"
    must_run: Annotated[tuple[CheckedTestId, ...], Meta(max_length=limits.TESTS)] = ()
    new_tests_in: Annotated[bool, Meta(description="Tests that never ran are always selected.")] = False

    def budget(self) -> Budget:
        """As the library takes it.

        Raises:
            InputError: both seconds and share are set.
        """
        return Budget(self.seconds, self.share, self.fill, self.must_run, self.new_tests_in)

    @classmethod
    def of(cls, budget: Budget) -> AgentBudget:
        """The inverse of `budget`."""
        fill: Fill = "prefix" if budget.fill == "prefix" else "greedy"
        return cls(budget.seconds, budget.share, fill, budget.must_run, budget.new_tests_in)


class CreateAgent(Body, frozen=True):
    """A new agent. The same call again answers the same; a different agent of the same name is a conflict."""

    name: AgentName
    kind: KindName = DEFAULT_KIND
    reward: RewardName = DEFAULT_REWARD
    objective: Annotated[
        Objective | None,
        Meta(description="Rank failures early by count or by time; a hyperparameter of kinds with both."),
    ] = None
    exploration: ExplorationName = "none"
    hyperparameters: Settings = msgspec.field(default_factory=dict)
    exploration_settings: Settings = msgspec.field(default_factory=dict)
    history_length: Annotated[int, Meta(ge=1, le=1000, description="Executions kept per test.")] = 10
    seed: Count = 0
    budget: AgentBudget | None = None
    description: Text = ""

    def settings(self) -> AgentSettings:
        """As the library takes them.

        Raises:
            InputError: the settings contradict each other.
        """
        hyperparameters = dict(self.hyperparameters)
        if self.objective is not None:
            hyperparameters["objective"] = self.objective
        return AgentSettings(
            kind=self.kind,
            reward=self.reward,
            exploration=self.exploration,
            hyperparameters=tuple(sorted(hyperparameters.items())),
            exploration_settings=tuple(sorted(self.exploration_settings.items())),
            history_length=self.history_length,
            seed=self.seed,
            budget=Budget() if self.budget is None else self.budget.budget(),
        )


def checked_settings_text(settings: AgentSettings, before: str = "") -> str:
    """The settings as they are stored.

    Args:
        before: what they replace; settings that an earlier version accepted may stay as long as they are.

    Raises:
        TooLargeError: they are longer than a listing can carry.
    """
    text = settings_text(settings)
    if len(text) > max(limits.AGENT_TEXT, len(before)):
        problem = f"the settings have {len(text)} characters; expected at most {limits.AGENT_TEXT}"
        raise TooLargeError(problem, "budget.must_run" if settings.budget.must_run else "")
    return text


class PatchAgent(Body, frozen=True):
    """What may change; a field that is left out stays. Kind, hyper-parameters, history length and seed never do."""

    description: Text | None = None
    reward: RewardName | None = None
    exploration: ExplorationName | None = None
    exploration_settings: Settings | None = None
    budget: AgentBudget | None = None


class AgentInfo(msgspec.Struct, frozen=True):
    """An agent. `version` grows by one with every reward and every restore."""

    name: str
    kind: str
    reward: str
    exploration: str
    hyperparameters: dict[str, bool | int | float | str]
    exploration_settings: dict[str, bool | int | float | str]
    history_length: int
    seed: int
    budget: AgentBudget
    description: str
    version: int
    episodes: int
    created_at: float
    updated_at: float


class AgentsPage(msgspec.Struct, frozen=True):
    """A page of agents, by name."""

    agents: list[AgentInfo]
    next_cursor: str | None


class VersionInfo(msgspec.Struct, frozen=True):
    """A version that can be restored. `episode_id`: whose reward made it; empty for version 0 and for a restore."""

    version: int
    episode_id: str
    restored_from: int | None
    made_at: float


class VersionsPage(msgspec.Struct, frozen=True):
    """A page of versions, the newest first."""

    versions: list[VersionInfo]
    next_cursor: str | None


class RestoreRequest(Body, frozen=True):
    """The version to restore."""

    version: Count


class RestoreAnswer(msgspec.Struct, frozen=True):
    """The state of version `restored` is the agent's state again, under the new number `agent_version`."""

    agent_version: int
    restored: int
