"""The fleet engine: trains a block of seeds of one recipe in lockstep."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from agents.deeprl.engines.base import Selection, TrainedAgent
from agents.deeprl.engines.fleet.capability import lanes_of, learner_of, why_not
from agents.deeprl.engines.fleet.choice import Best
from agents.deeprl.engines.fleet.episodes import Episodes
from agents.deeprl.engines.fleet.policies import first_parameters, saved, untrained
from agents.deeprl.recipe import TrainingRecipe
from agents.deeprl.threads import one_thread
from envsearch.errors import InputError

BLOCK_SIZE = 20
"""Agents trained at once. More add little (the update is bound by arithmetic) and make a lost task dearer."""


class FleetEngine:
    """PPO, A2C and DQN with multi-layer perceptrons; CartPole is stepped inside the compiled program."""

    name = "fleet"

    def declines(self, recipe: TrainingRecipe) -> str | None:
        """Why this engine cannot train the recipe, or None if it can."""
        return why_not(recipe)

    def block_size(self, recipe: TrainingRecipe) -> int:
        """How many agents one call of `train` should be given."""
        return BLOCK_SIZE

    def train(
        self,
        recipe: TrainingRecipe,
        seeds: Sequence[int],
        selection: Selection | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[TrainedAgent]:
        """Train one agent per seed, all of them together, with one thread.

        An agent's result depends on its own seed and not on which others are trained with it.

        Raises:
            InputError: `declines` names a reason.
        """
        reason = self.declines(recipe)
        if reason is not None:
            raise InputError(reason, "engine", "sb3")
        with one_thread():
            return _train(recipe, tuple(seeds), selection or Selection(), progress)


def _train(
    recipe: TrainingRecipe,
    seeds: tuple[int, ...],
    selection: Selection,
    progress: Callable[[int], None] | None,
) -> list[TrainedAgent]:
    started = time.perf_counter()
    fillers = [seeds[-1]] * (-len(seeds) % lanes_of(recipe))  # trained and thrown away
    learner = learner_of(recipe, (*seeds, *fillers))
    models = [untrained(recipe, seed) for seed in seeds]
    keys = jax.vmap(jax.random.key)(jnp.asarray((*seeds, *fillers), jnp.uint64))
    first = first_parameters([*models, *models[-1:] * len(fillers)], learner.networks, len(recipe.policy.net_arch))
    state = learner.start(keys, first)
    episodes = Episodes(len(seeds))
    best = Best(recipe, selection, len(seeds)) if selection.kind == "best" else None
    iterations = -(-recipe.total_steps // learner.iteration_steps)
    done = 0
    while done < iterations:
        count = min(iterations - done, learner.block_iterations - done % learner.block_iterations)
        if best is not None:
            count = best.until_next(done, count, learner.iteration_steps, partial(learner.parameters, state))
        state, finished = learner.run(state, done, count)
        window = np.asarray(finished)[: len(seeds), : count * learner.iteration_steps]
        episodes.add(window, done * learner.iteration_steps)
        done += count
        if progress is not None:
            progress(min(done * learner.iteration_steps, recipe.total_steps) * len(seeds))
    steps = iterations * learner.iteration_steps
    parameters: Any = jax.tree.map(np.asarray, learner.parameters(state))
    selected = [steps] * len(seeds)
    if best is not None:
        best.consider(parameters, steps)
        parameters, selected = best.parameters, best.steps
    seconds = (time.perf_counter() - started) / len(seeds)
    agents = []
    for index, (seed, model) in enumerate(zip(seeds, models, strict=True)):
        checkpoint, digest = saved(model, parameters, index, selected[index])
        at, returns = episodes.of(index)
        agents.append(TrainedAgent(seed, checkpoint, digest, at, returns, selected[index], seconds))
    return agents
