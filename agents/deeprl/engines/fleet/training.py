"""One training of a block of agents, step by step: what the engine runs, and what a checkpoint of it holds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from agents.deeprl.engines.base import AgentSelection, TrainedAgent
from agents.deeprl.engines.fleet.capability import lanes_of, learner_of
from agents.deeprl.engines.fleet.choice import Best
from agents.deeprl.engines.fleet.episodes import Episodes
from agents.deeprl.engines.fleet.networks import Parameters
from agents.deeprl.engines.fleet.policies import first_parameters, saved, untrained
from agents.deeprl.engines.fleet.worlds.registry import world_of
from agents.deeprl.recipe import TrainingRecipe
from agents.deeprl.stopwatch import Stopwatch

CALL_SECONDS = 2.0
"""A compiled call cannot be interrupted, so it runs no more iterations than fit in this time (at least one)."""

GROWTH = 8
"""Factor by which the iterations of a call may grow. The first call runs one, because it also compiles."""


class Training:
    """A block of agents in training.

    Args:
        recipe: what is trained; `capability.objection` names nothing against it.
        seeds: one per agent.
        selection: which model of each is returned.

    Attributes:
        done: iterations done.
    """

    def __init__(self, recipe: TrainingRecipe, seeds: tuple[int, ...], selection: AgentSelection) -> None:
        self._stopwatch = Stopwatch()
        self.recipe, self.seeds, self.selection = recipe, seeds, selection
        fillers = [seeds[-1]] * (-len(seeds) % lanes_of(recipe))  # trained and discarded
        self._learner = learner_of(recipe, (*seeds, *fillers))
        self._models = [untrained(recipe, seed) for seed in seeds]
        keys = jax.vmap(jax.random.key)(jnp.asarray((*seeds, *fillers), jnp.uint64))
        models, hidden = [*self._models, *self._models[-1:] * len(fillers)], len(recipe.policy.net_arch)
        self._state = self._learner.start(keys, first_parameters(models, self._learner.program.networks, hidden))
        self._episodes = Episodes(len(seeds))
        self._best = Best(recipe, selection, len(seeds)) if selection.kind == "best" else None
        self._iterations: int = -(-recipe.total_steps // self._learner.program.iteration_steps)
        self._allowed = 1
        self.done = 0

    @property
    def complete(self) -> bool:
        """Whether all iterations are done."""
        return self.done >= self._iterations

    @property
    def agent_steps(self) -> int:
        """Steps done so far, summed over the agents."""
        return min(self.done * self._learner.program.iteration_steps, self.recipe.total_steps) * len(self.seeds)

    def advance(self) -> None:
        """Run one compiled call. Its number of iterations changes no bit of the result."""
        learner, done = self._learner, self.done
        count = min(self._iterations - done, learner.block_iterations - done % learner.block_iterations, self._allowed)
        if self._best is not None:
            count = self._best.until_next(done, count, learner.program.iteration_steps, self._parameters)
        began = time.perf_counter()
        self._state, finished = learner.run(self._state, done, count)
        window = np.asarray(finished)[: len(self.seeds), : count * learner.program.iteration_steps]
        fitting = int(count * CALL_SECONDS / max(time.perf_counter() - began, 1e-6))
        self._allowed = max(1, min(count * GROWTH, fitting))
        self._episodes.add(window, done * learner.program.iteration_steps)
        self.done += count

    def _parameters(self) -> Parameters:
        """The networks as they are now, agents as first axis."""
        parameters: Parameters = self._state.learner.parameters
        return parameters

    def agents(self) -> list[TrainedAgent]:
        """The trained agents, when the training is complete."""
        steps = self._iterations * self._learner.program.iteration_steps
        parameters: Any = jax.tree.map(np.asarray, self._parameters())
        selected = [steps] * len(self.seeds)
        if self._best is not None:
            self._best.consider(parameters, steps)
            parameters, selected = self._best.parameters, self._best.steps
        wall, cpu = self._stopwatch.wall / len(self.seeds), self._stopwatch.cpu / len(self.seeds)
        agents = []
        for index, (seed, model) in enumerate(zip(self.seeds, self._models, strict=True)):
            checkpoint, digest, dead = saved(model, parameters, index, selected[index])
            at, returns = self._episodes.of(index)
            agents.append(TrainedAgent(seed, checkpoint, digest, at, returns, selected[index], wall, dead, cpu))
        return agents

    @property
    def resumable(self) -> bool:
        """Whether the whole state is arrays; the state of a hosted environment is not."""
        return world_of(self.recipe.environment) is not None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that the rest of the training depends on, for `restore`."""
        arrays: dict[str, NDArray[Any]] = {
            "done": np.array(self.done, np.int64),
            "seconds": np.array([self._stopwatch.wall, self._stopwatch.cpu], np.float64),
        }
        arrays |= {f"state/{place}": _plain(leaf) for place, leaf in enumerate(jax.tree.leaves(self._state))}
        arrays |= {f"episodes/{name}": array for name, array in self._episodes.arrays().items()}
        if self._best is not None:
            arrays |= {f"best/{name}": array for name, array in self._best.arrays().items()}
        return arrays

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore the state that `arrays` returned.

        Raises:
            KeyError: one is missing.
            ValueError: one has another shape or type than this training's.
        """
        leaves, shape = jax.tree.flatten(self._state)
        held = [_like(leaf, arrays[f"state/{place}"]) for place, leaf in enumerate(leaves)]
        self._episodes.restore(_under("episodes", arrays))
        if self._best is not None:
            self._best.restore(_under("best", arrays), self._parameters())
        self._state = jax.tree.unflatten(shape, held)
        self.done = int(arrays["done"])
        self._stopwatch = Stopwatch(*arrays["seconds"].tolist())  # with the time before the checkpoint


def _under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(f"{prefix}/"): array for name, array in arrays.items() if name.startswith(f"{prefix}/")}


def _is_key(leaf: jax.Array) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def _plain(leaf: jax.Array) -> NDArray[Any]:
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _like(leaf: jax.Array, array: NDArray[Any]) -> jax.Array:
    """The array in the place of the leaf; copied, because the compiled program overwrites its state."""
    expected = _plain(leaf)
    if (array.shape, array.dtype) != (expected.shape, expected.dtype):
        raise ValueError(f"{array.dtype}{array.shape} in the place of {expected.dtype}{expected.shape}")
    copied = jnp.array(array, copy=True)
    return jax.random.wrap_key_data(copied) if _is_key(leaf) else copied
