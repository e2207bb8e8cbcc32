"""Terminal flag, state, returns and loss sites, off-policy: a replay buffer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize

from agents.deeprl.recipe import TrainingRecipe


class FaultyReplayBuffer(ReplayBuffer):
    """A replay buffer that may lose terminal flags and next states, and discount the bootstrap wrongly.

    The learner's target is r + (1 - d) c max Q with c = gamma; per sampled batch c may become 1 (NDF), -gamma (ILF)
    or -1 (both). With nothing striking it is Stable-Baselines3's buffer, bit for bit.

    Args:
        recipe: whose sites apply.
        gamma: the agent's own discount.
        terminal_rng, state_rng, returns_rng, loss_rng: the sites' own generators.
    """

    def __init__(
        self,
        *args: Any,
        recipe: TrainingRecipe,
        gamma: float,
        terminal_rng: np.random.Generator,
        state_rng: np.random.Generator,
        returns_rng: np.random.Generator,
        loss_rng: np.random.Generator,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._recipe = recipe
        self._gamma = gamma if recipe.returns.gamma is None else recipe.returns.gamma
        self._overridden = recipe.returns.gamma is not None
        self._terminal_rng = terminal_rng
        self._state_rng = state_rng
        self._returns_rng = returns_rng
        self._loss_rng = loss_rng

    def add(
        self,
        obs: NDArray[Any],
        next_obs: NDArray[Any],
        action: NDArray[Any],
        reward: NDArray[Any],
        done: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Store one transition per environment, with what the terminal and state sites lose."""
        missed_terminal, missed_update = self._recipe.terminal.missed, self._recipe.state.missed_update
        if missed_terminal > 0.0:
            done = np.asarray(done) & (self._terminal_rng.random(np.shape(done)) >= missed_terminal)
        if missed_update > 0.0:
            lost = self._state_rng.random(len(next_obs)) < missed_update
            next_obs = np.where(lost.reshape((-1,) + (1,) * (np.ndim(next_obs) - 1)), obs, next_obs)
        super().add(obs, next_obs, action, reward, done, infos)

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> ReplayBufferSamples:
        """One batch, shape (batch_size, ...), with the discount that its targets shall use."""
        batch = super().sample(batch_size, env)
        returns, loss = self._recipe.returns, self._recipe.loss
        undiscounted = returns.undiscounted > 0.0 and self._returns_rng.random() < returns.undiscounted
        inverted = loss.inverted > 0.0 and self._loss_rng.random() < loss.inverted
        if not (undiscounted or inverted or self._overridden):
            return batch
        factor = (1.0 if undiscounted else self._gamma) * (-1.0 if inverted else 1.0)
        return batch._replace(discounts=torch.full_like(batch.rewards, factor))
