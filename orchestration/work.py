"""Work items: what a task is asked to do and what it answers, as frozen plain data with a content address.

An item's address is a hash of everything its result depends on and of nothing else, so nothing is computed twice:
not after a crash, not by another campaign, not by another kill test.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from agents.deeprl.engines.base import Selection
from agents.deeprl.recipe import TrainingRecipe
from envsearch.canonical import content_address
from envsearch.spec import EnvironmentSpec

SEMANTICS = 1
"""Raised when the meaning of a recipe or an evaluation changes, so that old results are not taken for new ones."""


@dataclass(frozen=True, slots=True)
class AgentKey:
    """One agent: a recipe, a seed, the engine that trains it and which of its models is judged."""

    recipe: TrainingRecipe
    seed: int
    engine: str = "sb3"
    selection: Selection = field(default_factory=Selection)

    def address(self) -> str:
        """Content address of the trained agent."""
        selection = self.selection if self.selection.kind == "best" else None
        return content_address("agent", [SEMANTICS, self.recipe.address, self.seed, self.engine, selection])


@dataclass(frozen=True, slots=True)
class EvaluationKey:
    """One agent in one environment: deterministic policy, episode e reset with seed + e."""

    agent: AgentKey
    environment: EnvironmentSpec
    episodes: int = 10
    seed: int = 420

    def address(self) -> str:
        """Content address of the evaluation's result."""
        return content_address(
            "evaluation", [SEMANTICS, self.agent.address(), self.environment, self.episodes, self.seed]
        )


@dataclass(frozen=True, slots=True)
class TrainBlock:
    """A task: train these agents (same recipe, several seeds)."""

    agents: tuple[AgentKey, ...]


@dataclass(frozen=True, slots=True)
class EvaluateBlock:
    """A task: run these evaluations."""

    evaluations: tuple[EvaluationKey, ...]


WorkBlock = TrainBlock | EvaluateBlock


class JobOutcome(StrEnum):
    """Whether the computation ran: kept apart from what a kill test says about its result."""

    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BlockReport:
    """What came of one task.

    Attributes:
        outcome: whether every item of the block is in the store now.
        seconds: wall time in the worker.
        failed: (address, traceback or reason) of the items that are not in the store; the others are.
        corrupt: one line per stored file that could not be read back, with what to do about it.
    """

    block: WorkBlock
    outcome: JobOutcome
    seconds: float
    failed: tuple[tuple[str, str], ...] = ()
    corrupt: tuple[str, ...] = ()

    @property
    def traceback(self) -> str:
        """The first failure's traceback; empty when done."""
        return self.failed[0][1] if self.failed else ""


def item_addresses(block: WorkBlock) -> tuple[str, ...]:
    """Content addresses of a block's items, in order."""
    items = block.agents if isinstance(block, TrainBlock) else block.evaluations
    return tuple(item.address() for item in items)
