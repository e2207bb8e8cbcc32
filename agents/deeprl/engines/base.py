"""What an engine is: recipe + seeds -> trained agents."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from agents.deeprl.recipe import TrainingRecipe

ROUNDING = 1e-9
"""Relative difference of two mean returns below which they are equal."""


@dataclass(frozen=True, slots=True)
class AgentSelection:
    """Which agent of a training is judged.

    Attributes:
        kind: ``final`` model, or ``best`` checkpoint by evaluation on the true environment; the latest of equally good
            ones, so that a training that has reached the highest return is not cut short.
        every: steps between two evaluations (``best`` only).
        episodes: deterministic episodes per evaluation (``best`` only).
        seed: reset seed of the first of them; they are not the episodes that verdicts are computed from.
    """

    kind: Literal["final", "best"] = "final"
    every: int = 10_000
    episodes: int = 5
    seed: int = 1_000_000


def at_least_as_good(mean: float, best: float) -> bool:
    """Whether a mean return equals or exceeds the best so far; a difference of rounding counts as equal."""
    return mean >= best - ROUNDING * max(1.0, abs(best)) if math.isfinite(best) else mean >= best


@dataclass(frozen=True, slots=True)
class TrainedAgent:
    """One trained agent.

    Attributes:
        seed: the seed it was trained with.
        checkpoint: an ordinary Stable-Baselines3 zip file, as bytes.
        weights_digest: SHA-256 over the policy's parameters (names, shapes, values), for liveness and bit equality.
        episode_steps: environment step at which each training episode ended, shape (episodes,).
        episode_returns: return of each training episode (the true reward unless the recipe logs the mutated one).
        selected_step: step at which the selected model was taken.
        train_seconds: wall time of the training; of one that trains many agents at once, this agent's share.
        dead: whether its weights are not finite. Such an agent has no behaviour, and no later step would cure it.
        cpu_seconds: CPU time of the training, like `train_seconds`; None where it was not measured.
    """

    seed: int
    checkpoint: bytes
    weights_digest: str
    episode_steps: tuple[int, ...]
    episode_returns: tuple[float, ...]
    selected_step: int
    train_seconds: float
    dead: bool = False
    cpu_seconds: float | None = None


class Checkpoints(Protocol):
    """Where the state of one training is kept, so that it can resume after its process has ended.

    Its owner decides how often and where; the engine decides what the bytes mean.
    """

    def load(self) -> bytes | None:
        """The last saved state, or None."""
        ...

    def refuse(self, reason: str) -> None:
        """The loaded bytes are unusable (damaged, or of another version); the training starts again."""
        ...

    def due(self) -> bool:
        """Whether it is time to save."""
        ...

    def save(self, state: bytes) -> None:
        """Replace the saved state."""
        ...


class Engine(Protocol):
    """Trains agents from recipes. Same recipe, seed and machine type: same bits.

    An engine whose trainings can be resumed has one more keyword in `train`, ``checkpoints: Checkpoints | None``. It
    loads from them before it begins, reports to `progress` first where it continues, and saves when they are due.
    See `train_watched`.
    """

    name: str

    def block_size(self, recipe: TrainingRecipe) -> int:
        """How many agents of the recipe one call of `train` should train; 1 where batches bring nothing.

        An engine that has no such method trains one agent at a time; see `agents_together`.
        """
        ...

    def objection(self, recipe: TrainingRecipe) -> str | None:
        """Why this engine cannot train the recipe, or None if it can."""
        ...

    def train(
        self,
        recipe: TrainingRecipe,
        seeds: Sequence[int],
        selection: AgentSelection,
        progress: Callable[[int], None] | None = None,
    ) -> list[TrainedAgent]:
        """Train one agent per seed, in the order of `seeds`; `progress` receives the agent-steps done so far."""
        ...


def agents_together(engine: Engine, recipe: TrainingRecipe) -> int:
    """How many agents of a recipe to give to an engine at once."""
    block_size = getattr(engine, "block_size", None)
    return max(1, int(block_size(recipe))) if block_size is not None else 1


def agents_side_by_side(engine: Engine, recipe: TrainingRecipe) -> int:
    """How many agents cost an engine as much as one: it fills up a group. Its method `side_by_side`, 1 without."""
    side_by_side = getattr(engine, "side_by_side", None)
    return max(1, int(side_by_side(recipe))) if side_by_side is not None else 1


def train_watched(
    engine: Engine,
    recipe: TrainingRecipe,
    seeds: Sequence[int],
    selection: AgentSelection,
    progress: Callable[[int], None],
    checkpoints: Checkpoints,
) -> list[TrainedAgent]:
    """`Engine.train` with `progress` and `checkpoints` where the engine accepts them."""
    known = inspect.signature(engine.train).parameters
    offered: dict[str, Any] = {"progress": progress, "checkpoints": checkpoints}
    return engine.train(recipe, seeds, selection, **{name: offered[name] for name in offered if name in known})
