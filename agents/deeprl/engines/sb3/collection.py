"""Faults while experience is collected: hidden time limits; on-policy, lost state updates and terminal flags."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn


def losing_state_updates(
    algorithm: type[BaseAlgorithm], probability: float, rng: np.random.Generator
) -> type[BaseAlgorithm]:
    """A subclass whose ``_last_obs <- new_obs`` is lost with this probability per step and environment.

    The first observation of a training is always taken. With probability 1 the learner acts on it, and stores it,
    for the whole training.
    """

    class LosesStateUpdates(algorithm):  # type: ignore[misc, valid-type]
        @property
        def _last_obs(self) -> Any:
            return self.__dict__.get("_acted_on")

        @_last_obs.setter
        def _last_obs(self, value: Any) -> None:
            held = self.__dict__.get("_acted_on")
            if value is not None and held is not None:
                lost = rng.random(len(value)) < probability
                value = np.where(lost.reshape((-1,) + (1,) * (np.ndim(value) - 1)), held, value)
            self.__dict__["_acted_on"] = value

    LosesStateUpdates.__name__ = algorithm.__name__
    return LosesStateUpdates


class HiddenTimeLimits(VecEnvWrapper):
    """Hides that an episode was cut by its time limit, so that a time-out looks terminal to the learner."""

    def reset(self) -> VecEnvObs:
        """Reset all environments."""
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        """The step's results without the mark of a time limit."""
        observations, rewards, dones, infos = self.venv.step_wait()
        for info in infos:
            info.pop("TimeLimit.truncated", None)
        return observations, rewards, dones, infos


class LostTerminalFlags(VecEnvWrapper):
    """Loses the flag of an episode's end: no flag is stored, and a time limit adds no bootstrap of its own.

    The return of the step then continues with the value of the next episode's first observation (on-policy).

    Args:
        venv: the true environments; they reset themselves as before.
        missed: per step and environment, probability that a flag is lost.
        rng: the site's own generator.
    """

    def __init__(self, venv: VecEnv, missed: float, rng: np.random.Generator) -> None:
        super().__init__(venv)
        self._missed = missed
        self._rng = rng

    def reset(self) -> VecEnvObs:
        """Reset all environments."""
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        """The step's results, with the lost flags set to False."""
        observations, rewards, dones, infos = self.venv.step_wait()
        return observations, rewards, dones & (self._rng.random(np.shape(dones)) >= self._missed), infos
