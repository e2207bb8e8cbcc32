"""The returns site, on-policy: a rollout buffer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.buffers import RolloutBuffer

from agents.deeprl.recipe import ReturnsSite


class FaultyRolloutBuffer(RolloutBuffer):
    """A rollout buffer whose returns may be computed wrongly.

    With nothing striking it is Stable-Baselines3's buffer, bit for bit.

    Args:
        returns: the returns site.
        returns_rng: the site's own generator.
    """

    def __init__(self, *args: Any, returns: ReturnsSite, returns_rng: np.random.Generator, **kwargs: Any) -> None:
        self._returns_site = returns
        self._returns_rng = returns_rng
        self._pending_loss: NDArray[np.bool_] | None = None
        super().__init__(*args, **kwargs)

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: NDArray[Any]) -> None:
        """Advantages and returns of the rollout, as the returns site says."""
        site = self._returns_site
        own_gamma, own_lambda = self.gamma, self.gae_lambda
        undiscounted = site.undiscounted > 0.0 and self._returns_rng.random() < site.undiscounted
        forward = site.forward > 0.0 and self._returns_rng.random() < site.forward
        try:
            self.gamma = 1.0 if undiscounted else own_gamma if site.gamma is None else site.gamma
            self.gae_lambda = own_lambda if site.gae_lambda is None else site.gae_lambda
            if forward:
                self._compute_forward(last_values, dones)
            else:
                super().compute_returns_and_advantage(last_values, dones)
        finally:
            self.gamma, self.gae_lambda = own_gamma, own_lambda

    def _compute_forward(self, last_values: torch.Tensor, dones: NDArray[Any]) -> None:
        """A_t = delta_t + gamma lambda nt_{t+1} A_{t-1}, A_{-1} = 0: the recursion in the wrong direction."""
        last = last_values.clone().cpu().numpy().reshape(1, -1)
        next_values = np.concatenate([self.values[1:], last])
        final = 1.0 - np.asarray(dones, dtype=np.float32).reshape(1, -1)
        next_non_terminal = np.concatenate([1.0 - self.episode_starts[1:], final])
        deltas = self.rewards + self.gamma * next_values * next_non_terminal - self.values
        accumulated = np.zeros_like(deltas[0])
        for step in range(self.buffer_size):
            accumulated = deltas[step] + self.gamma * self.gae_lambda * next_non_terminal[step] * accumulated
            self.advantages[step] = accumulated
        self.returns = self.advantages + self.values
