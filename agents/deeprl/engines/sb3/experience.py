"""The experience site: a gymnasium wrapper that shows the learner something else than what happened."""

from __future__ import annotations

from collections import deque
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from agents.deeprl.recipe import ExperienceSite

Observation = NDArray[Any]
Transition = tuple[Observation, float]


class FaultyExperience(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Replaces observation and reward of a step, and adds noise to the reward, as an `ExperienceSite` says.

    The first observation after a reset is never replaced and is not a transition. A step without an
    earlier transition in the memory is shown as it is: the first of a training, and, where the memory is cleared, the
    first of each episode.

    Args:
        env: the true environment (inside a Monitor when the true reward is to be logged).
        site: the fault.
        rng: the fault's own generator; nothing else draws from it.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], site: ExperienceSite, rng: np.random.Generator) -> None:
        super().__init__(env)
        self._site = site
        self._rng = rng
        self._memory: deque[Transition] = deque(maxlen=site.memory)
        self._shown: Transition | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset the true environment; forget the last episode unless the site keeps it."""
        if not self._site.across_episodes:
            self._memory.clear()
            self._shown = None
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """One true step, shown as the site says; `terminated`, `truncated` and `info` stay the true ones."""
        observation, true_reward, terminated, truncated, info = self.env.step(action)
        reward = float(true_reward)
        if self._site.replacement != "none":
            self._memory.append((observation, reward))
            if self._rng.random() < self._site.probability:
                observation, reward = self._replaced(observation, reward)
            self._shown = (observation, reward)
        if self._site.noise_probability > 0.0 and self._rng.random() < self._site.noise_probability:
            reward += self._site.noise_scale * abs(reward) * self._rng.standard_normal()
        return observation, reward, terminated, truncated, info

    def _replaced(self, observation: Observation, reward: float) -> Transition:
        memory = self._memory
        if self._site.replacement == "random":
            return memory[int(self._rng.integers(len(memory)))]
        if len(memory) < 2:
            return observation, reward
        if self._site.replacement == "repeat":
            return self._shown if self._site.frozen and self._shown is not None else memory[-2]
        pool = self._rng.choice(len(memory), size=min(self._site.mangle_pool, len(memory)), replace=False)
        shown_observation, shown_reward = self._rng.choice(pool, size=2)
        return memory[int(shown_observation)][0], memory[int(shown_reward)][1]
