"""Agents: create, read, change, list; their versions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from agents.scheduling.episode import Budget
from agents.scheduling.registry import AGENT_KINDS, EXPLORATIONS, REWARDS
from agents.scheduling.settings import DEFAULT_KIND, DEFAULT_REWARD, AgentSettings
from orchestration.service.owners.messages import (
    AgentInfo,
    AgentsPage,
    CreateAgent,
    PatchAgent,
    RestoreAnswer,
    VersionsPage,
)
from serve_app.limits import SETTINGS, TESTS
from serve_app.schemas.common import AgentName, Body, Number, Seconds, ShortText, TestId, Text

Setting = bool | Annotated[int, Field(ge=-(2**53), le=2**53)] | Number | ShortText
SettingsIn = Annotated[dict[ShortText, Setting], Field(max_length=SETTINGS)]
# The tables themselves refuse other names, and name the nearest known one.
KindName = Annotated[ShortText, Field(json_schema_extra={"enum": list(AGENT_KINDS)})]
RewardName = Annotated[ShortText, Field(json_schema_extra={"enum": list(REWARDS)})]
ExplorationName = Annotated[ShortText, Field(json_schema_extra={"enum": list(EXPLORATIONS)})]
SettingsOut = dict[str, bool | int | float | str]


class BudgetIn(Body):
    """How much of a job is run where a recommendation names no budget. Without seconds and share: everything."""

    seconds: Seconds | None = None
    share: Annotated[
        float | None, Field(ge=0, le=1, description="Of the summed expected durations, instead of seconds.")
    ] = None
    fill: Annotated[
        Literal["greedy", "prefix"],
        Field(description="greedy: a later, shorter test may still fit; prefix: cut at the first that does not."),
    ] = "greedy"
    must_run: Annotated[list[TestId], Field(default_factory=list, max_length=TESTS)]
    new_tests_in: Annotated[bool, Field(description="Tests that never ran are always selected.")] = False

    def message(self) -> Budget:
        """For the service."""
        return Budget(self.seconds, self.share, self.fill, tuple(self.must_run), self.new_tests_in)


class AgentIn(Body):
    """A new agent."""

    name: AgentName
    kind: KindName = DEFAULT_KIND
    reward: RewardName = DEFAULT_REWARD
    objective: Annotated[
        Literal["failures_first", "time_first"] | None,
        Field(description="Failures early by count or by time, of kinds that can do both: their hyperparameter."),
    ] = None
    exploration: ExplorationName = "none"
    hyperparameters: Annotated[SettingsIn, Field(default_factory=dict)]
    exploration_settings: Annotated[SettingsIn, Field(default_factory=dict)]
    history_length: Annotated[int, Field(ge=1, le=1000, description="Executions kept per test.")] = 10
    seed: Annotated[int, Field(ge=0, le=2**53)] = 0
    budget: BudgetIn | None = None
    description: Text = ""

    def message(self) -> CreateAgent:
        """For the service.

        Raises:
            InputError: the settings contradict each other.
        """
        hyperparameters = dict(self.hyperparameters)
        if self.objective is not None:
            hyperparameters["objective"] = self.objective
        settings = AgentSettings(
            kind=self.kind,
            reward=self.reward,
            exploration=self.exploration,
            hyperparameters=tuple(sorted(hyperparameters.items())),
            exploration_settings=tuple(sorted(self.exploration_settings.items())),
            history_length=self.history_length,
            seed=self.seed,
            budget=Budget() if self.budget is None else self.budget.message(),
        )
        return CreateAgent(self.name, settings, self.description)


class AgentPatchIn(Body):
    """What may change; a field that is left out stays. Kind, hyper-parameters, history length and seed never do."""

    description: Text | None = None
    reward: RewardName | None = None
    exploration: ExplorationName | None = None
    exploration_settings: SettingsIn | None = None
    budget: BudgetIn | None = None

    def message(self) -> PatchAgent:
        """For the service."""
        settings = self.exploration_settings
        return PatchAgent(
            self.description,
            self.reward,
            self.exploration,
            None if settings is None else tuple(sorted(settings.items())),
            None if self.budget is None else self.budget.message(),
        )


class BudgetOut(TypedDict):
    """See the body of the same name."""

    seconds: float | None
    share: float | None
    fill: str
    must_run: tuple[str, ...]
    new_tests_in: bool


class AgentOut(TypedDict):
    """An agent. `version` grows by one with every reward and every restore."""

    name: str
    kind: str
    reward: str
    exploration: str
    hyperparameters: SettingsOut
    exploration_settings: SettingsOut
    history_length: int
    seed: int
    budget: BudgetOut
    description: str
    version: int
    episodes: int
    created_at: float
    updated_at: float


class AgentsOut(TypedDict):
    """A page of agents, by name."""

    agents: list[AgentOut]
    next_cursor: str | None


def agent_out(info: AgentInfo) -> AgentOut:
    """As JSON has it."""
    settings = info.settings
    return {
        "name": info.name,
        "kind": settings.kind,
        "reward": settings.reward,
        "exploration": settings.exploration,
        "hyperparameters": dict(settings.hyperparameters),
        "exploration_settings": dict(settings.exploration_settings),
        "history_length": settings.history_length,
        "seed": settings.seed,
        "budget": budget_out(settings.budget),
        "description": info.description,
        "version": info.version,
        "episodes": info.episodes,
        "created_at": info.created_at,
        "updated_at": info.updated_at,
    }


def budget_out(budget: Budget) -> BudgetOut:
    """As JSON has it."""
    return {
        "seconds": budget.seconds,
        "share": budget.share,
        "fill": budget.fill,
        "must_run": budget.must_run,
        "new_tests_in": budget.new_tests_in,
    }


def agents_out(page: AgentsPage) -> AgentsOut:
    """As JSON has it."""
    return {"agents": [agent_out(info) for info in page.agents], "next_cursor": page.next_cursor}


class VersionOut(TypedDict):
    """A version that can be restored. `episode_id`: whose reward made it; empty for version 0 and for a restore."""

    version: int
    episode_id: str
    restored_from: int | None
    made_at: float


class VersionsOut(TypedDict):
    """A page of versions, the newest first."""

    versions: list[VersionOut]
    next_cursor: str | None


def versions_out(page: VersionsPage) -> VersionsOut:
    """As JSON has it."""
    return {
        "versions": [
            {
                "version": info.version,
                "episode_id": info.episode_id,
                "restored_from": info.restored_from,
                "made_at": info.made_at,
            }
            for info in page.versions
        ],
        "next_cursor": page.next_cursor,
    }


class RestoreOut(TypedDict):
    """The state of version `restored` is the agent's state again, under the new number `agent_version`."""

    agent_version: int
    restored: int


def restore_out(answer: RestoreAnswer) -> RestoreOut:
    """As JSON has it."""
    return {"agent_version": answer.agent_version, "restored": answer.restored}
