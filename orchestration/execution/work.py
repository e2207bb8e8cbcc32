"""Work items: what a task does and what it reports, as frozen plain data with a content address.

An item's address is a hash of everything its result depends on and of nothing else, so nothing is computed twice:
not after a crash, not by another campaign, not by another kill test.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Literal, TypeVar

from agents.deeprl.engines.base import AgentSelection
from agents.deeprl.recipe import TrainingRecipe
from envsearch.canonical import content_address
from envsearch.spec import EnvironmentSpec

SEMANTICS = 1
"""Raised when the meaning of a recipe or an evaluation changes, so that old results are not mistaken for new ones."""

DEAD = -math.inf
"""Reward of a dead agent in every episode, which is not run: worse than anything that an agent can earn."""

OF_EQUALS = "latest"
"""Which of equally good checkpoints ``best`` keeps, as part of the address: 0.1.0 kept the earliest."""

EvaluationMethod = Literal["fleet", "sb3"]
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class AgentKey:
    """One agent: a recipe, a seed, the engine that trains it and which of its models is judged."""

    recipe: TrainingRecipe
    seed: int
    engine: str = "sb3"
    selection: AgentSelection = field(default_factory=AgentSelection)

    def address(self) -> str:
        """Content address of the trained agent."""
        selection = (self.selection, OF_EQUALS) if self.selection.kind == "best" else None
        world = _world(self.recipe.environment) if self.engine == "fleet" else ()
        return _address("agent", self.recipe.address, self.seed, self.engine, selection, *world)


@dataclass(frozen=True, slots=True)
class EvaluationKey:
    """One agent in one environment: deterministic policy, episode e reset with seed + e.

    Attributes:
        method: ``sb3``, the reference, or ``fleet``, many agents in one batch. Their results differ where two actions
            are equally good to the last bit of float32, so the method is part of the address: a campaign's numbers
            never depend on which of the two another campaign has used. (The reference keeps the address from
            before there was another.)
    """

    agent: AgentKey
    environment: EnvironmentSpec
    episodes: int = 10
    seed: int = 420
    method: EvaluationMethod = "sb3"

    def address(self) -> str:
        """Content address of the evaluation's result."""
        method = () if self.method == "sb3" else (self.method, *_world(self.environment))
        return _address("evaluation", self.agent.address(), self.environment, self.episodes, self.seed, *method)


@lru_cache(maxsize=10_000)
def _world(environment: EnvironmentSpec) -> tuple[str, ...]:
    """What the fleet's way to step an environment adds to an address; imported late, because it needs JAX."""
    from agents.deeprl.engines.fleet.worlds.registry import address_parts

    return address_parts(environment)


def _address(kind: str, *parts: Hashable) -> str:
    return _kept_address(kind, parts, repr(parts))


@lru_cache(maxsize=100_000)
def _kept_address(kind: str, parts: tuple[Hashable, ...], _representation: str) -> str:
    """Cached, because the store needs an item's address at every step; a campaign has thousands of items.

    Equal parts may have different addresses (1 and 1.0); `_representation` keeps them apart.
    """
    return content_address(kind, [SEMANTICS, *parts])


@dataclass(frozen=True, slots=True)
class TrainBlock:
    """A task: train these agents (several seeds of one recipe), together where their engine can."""

    agents: tuple[AgentKey, ...]


@dataclass(frozen=True, slots=True)
class EvaluateBlock:
    """A task: run these evaluations, together where their method can."""

    evaluations: tuple[EvaluationKey, ...]


WorkBlock = TrainBlock | EvaluateBlock


class JobOutcome(StrEnum):
    """Whether the computation ran: kept apart from what a kill test says about its result."""

    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BlockReport:
    """The outcome of one task.

    Attributes:
        outcome: whether every item of the block is in the store now.
        seconds: wall time in the worker.
        failed: (address, traceback or reason) of the items that are not in the store; the others are.
        corrupt: one line per stored file that could not be read back, with what to do about it.
        notes: lines for the log.
    """

    block: WorkBlock
    outcome: JobOutcome
    seconds: float
    failed: tuple[tuple[str, str], ...] = ()
    corrupt: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def traceback(self) -> str:
        """The first failure's traceback; empty when done."""
        return self.failed[0][1] if self.failed else ""


def item_addresses(block: WorkBlock) -> tuple[str, ...]:
    """Content addresses of a block's items, in order."""
    items = block.agents if isinstance(block, TrainBlock) else block.evaluations
    return tuple(item.address() for item in items)


def grouped(keys: Iterable[Key], by: Callable[[Key], object]) -> list[list[Key]]:
    """Keys that belong together, groups and keys in order of appearance."""
    groups: dict[object, list[Key]] = {}
    for key in keys:
        groups.setdefault(by(key), []).append(key)
    return list(groups.values())
