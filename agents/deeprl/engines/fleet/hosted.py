"""Environments that run on the host: one plain gymnasium environment per agent, stepped in turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from agents.deeprl.engines.fleet.stepping import StepResult
from agents.deeprl.engines.sb3.build import shown_environment
from agents.deeprl.recipe import TrainingRecipe


class HostedWorlds:
    """The environments of a block of agents, with the experience site of the sb3 engine in each.

    Args:
        recipe: what the agents are trained in.
        seeds: one per agent; they seed the environments and the sites' generators as in the sb3 engine.
    """

    def __init__(self, recipe: TrainingRecipe, seeds: Sequence[int]) -> None:
        self._envs: list[gymnasium.Env[Any, Any]] = [shown_environment(recipe, seed) for seed in seeds]
        self._seeds = tuple(seeds)
        self._told_of_time_limits = not recipe.terminal.time_limit_is_terminal
        self.observations = int(np.prod(self._envs[0].observation_space.shape or (1,)))
        self.actions = int(self._envs[0].action_space.n)  # type: ignore[attr-defined]

    def start(self) -> NDArray[np.float32]:
        """Begin a training: the first observations, shape (agents, observations)."""
        first = [env.reset(seed=seed)[0] for env, seed in zip(self._envs, self._seeds, strict=True)]
        return np.asarray(first, np.float32)

    def step(self, actions: NDArray[np.int32]) -> StepResult:
        """One step of each; NumPy arrays with the agents as first axis."""
        agents = len(self._envs)
        observations = np.empty((agents, self.observations), np.float32)
        final = np.empty_like(observations)
        rewards, finished = np.empty(agents, np.float32), np.full(agents, np.nan, np.float32)
        done, timed_out = np.zeros(agents, np.bool_), np.zeros(agents, np.bool_)
        for agent, (env, action) in enumerate(zip(self._envs, actions.tolist(), strict=True)):
            seen, reward, terminated, truncated, info = env.step(action)
            rewards[agent], final[agent] = reward, seen
            if terminated or truncated:
                done[agent] = True
                timed_out[agent] = truncated and not terminated and self._told_of_time_limits
                finished[agent] = info["episode"]["r"]
                seen, _ = env.reset()
            observations[agent] = seen
        return StepResult(observations, rewards, done, timed_out, final, finished)  # type: ignore[arg-type]

    def close(self) -> None:
        """Close all environments."""
        for env in self._envs:
            env.close()
