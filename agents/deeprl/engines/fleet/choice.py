"""The best checkpoint of each agent of a block, by evaluation in the true environment during training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from agents.deeprl.engines.base import AgentSelection, at_least_as_good
from agents.deeprl.engines.fleet.evaluation import evaluate_policies
from agents.deeprl.engines.fleet.evaluation_policies import Policy
from agents.deeprl.engines.fleet.networks import Parameters
from agents.deeprl.recipe import TrainingRecipe


class Best:
    """Keeps, per agent, the parameters with the highest mean return; the latest of equally good ones.

    Args:
        recipe: what is trained.
        selection: how often, and over which episodes, agents are evaluated.
        agents: number of agents.
    """

    def __init__(self, recipe: TrainingRecipe, selection: AgentSelection, agents: int) -> None:
        self._recipe, self._selection = recipe, selection
        self._next = selection.every
        self._means = [-np.inf] * agents
        self._kept: list[Any] = [None] * agents
        self.steps = [0] * agents

    def until_next(self, done: int, count: int, iteration_steps: int, parameters: Callable[[], Parameters]) -> int:
        """How many of `count` iterations can be done before the next evaluation; runs an evaluation that is due.

        The library evaluates in the middle of a rollout, where the parameters are those of its beginning.
        """
        while (self._next - 1) // iteration_steps <= done:
            self.consider(parameters(), self._next)
            self._next += self._selection.every
        return min(count, (self._next - 1) // iteration_steps - done)

    def consider(self, parameters: Parameters, step: int) -> None:
        """Evaluate all agents, and keep the parameters of those that were never better before."""
        arrays: Any = jax.tree.map(np.asarray, parameters)
        acting = next(name for name in ("actor", "q") if name in arrays)
        own = [jax.tree.map(lambda leaf: leaf[agent], arrays) for agent in range(len(self.steps))]  # noqa: B023
        policies = [Policy(self._recipe.policy.activation, each[acting]) for each in own]
        chosen = self._selection
        outcomes = evaluate_policies(policies, self._recipe.environment, chosen.episodes, chosen.seed)
        for agent, returns in enumerate(outcomes):
            mean = sum(returns) / len(returns)
            alive = np.isfinite(mean) and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(own[agent]))
            if self._kept[agent] is None or (alive and at_least_as_good(mean, self._means[agent])):
                self._means[agent] = max(mean, self._means[agent]) if alive else -np.inf
                self._kept[agent], self.steps[agent] = own[agent], step

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The whole state, for `restore`."""
        arrays: dict[str, NDArray[Any]] = {
            "next": np.array(self._next, np.int64),
            "means": np.array(self._means, np.float64),
            "steps": np.array(self.steps, np.int64),
        }
        if self._considered:
            arrays |= {f"kept_{place}": leaf for place, leaf in enumerate(jax.tree.leaves(self.parameters))}
        return arrays

    def restore(self, arrays: Mapping[str, NDArray[Any]], parameters: Parameters) -> None:
        """Restore the state that `arrays` returned; `parameters` have the shape of the kept ones."""
        self._next = int(arrays["next"])
        self._means = [float(mean) for mean in arrays["means"]]
        self.steps = [int(step) for step in arrays["steps"]]
        self._kept = [None] * len(self.steps)
        if "kept_0" in arrays:
            leaves, shape = jax.tree.flatten(parameters)
            kept = [arrays[f"kept_{place}"] for place in range(len(leaves))]
            self._kept = [jax.tree.unflatten(shape, [leaf[agent] for leaf in kept]) for agent in range(len(self.steps))]

    @property
    def _considered(self) -> bool:
        """Agents are considered together, so all are kept or none."""
        return all(each is not None for each in self._kept)

    @property
    def parameters(self) -> Any:
        """The kept parameters, NumPy arrays with the agents as first axis."""
        return jax.tree.map(lambda *leaves: np.stack(leaves), *self._kept)
