"""The fleet engine: trains a block of seeds of one recipe in lockstep."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agents.deeprl.engines.base import AgentSelection, Checkpoints, TrainedAgent
from agents.deeprl.engines.fleet.capability import lanes_of, objection
from agents.deeprl.engines.fleet.resuming import keep, resumed
from agents.deeprl.engines.fleet.training import Training
from agents.deeprl.recipe import TrainingRecipe
from agents.deeprl.threads import one_thread
from envsearch.errors import InputError

BLOCK_SIZE = 20
"""Agents trained at once. More gain little (the update is bound by arithmetic) and make a lost task more expensive."""


class FleetEngine:
    """PPO, A2C and DQN with multi-layer perceptrons; compiled worlds are stepped inside the compiled program."""

    name = "fleet"

    def objection(self, recipe: TrainingRecipe) -> str | None:
        """Why this engine cannot train the recipe, or None if it can."""
        return objection(recipe)

    def side_by_side(self, recipe: TrainingRecipe) -> int:
        """The agents of a group; a block is filled up to whole groups."""
        return lanes_of(recipe)

    def block_size(self, recipe: TrainingRecipe) -> int:
        """How many agents one call of `train` should train."""
        return BLOCK_SIZE

    def train(
        self,
        recipe: TrainingRecipe,
        seeds: Sequence[int],
        selection: AgentSelection | None = None,
        progress: Callable[[int], None] | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> list[TrainedAgent]:
        """Train one agent per seed, all of them together, with one thread.

        An agent's result depends on its own seed and not on which others are trained with it.

        Args:
            recipe, seeds, selection: what is trained.
            progress: receives the agent-steps done, at the beginning and after every compiled call.
            checkpoints: where a training in a compiled world is saved and resumed from: the agents are the same, bit
                for bit, as without an interruption. The state of hosted environments cannot be read, so trainings in
                them ignore the checkpoints.

        Raises:
            InputError: `objection` names a reason.
        """
        reason = self.objection(recipe)
        if reason is not None:
            raise InputError(reason, "engine", "sb3")
        with one_thread():
            return _train(Training(recipe, tuple(seeds), selection or AgentSelection()), progress, checkpoints)


def _train(
    training: Training, progress: Callable[[int], None] | None, checkpoints: Checkpoints | None
) -> list[TrainedAgent]:
    kept = checkpoints if training.resumable else None
    if kept is not None:
        training = resumed(training, kept)
    if progress is not None:
        progress(training.agent_steps)
    while not training.complete:
        training.advance()
        if progress is not None:
            progress(training.agent_steps)
        if kept is not None and not training.complete and kept.due():
            keep(training, kept)
    return training.agents()
