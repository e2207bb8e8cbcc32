"""The loss site, on-policy: the sign of the policy loss, without a copy of any training loop.

PPO's and A2C's policy losses reach the weights through the log-probabilities of the taken actions and through
nothing else; entropy and value losses do not use them. Reversing the gradient of the log-probabilities, and leaving
their values alone, therefore gives exactly the gradient of the policy loss with the opposite sign.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm


class InvertedPolicyLoss:
    """Inverts the policy loss of an algorithm in some of its updates.

    Args:
        probability: per update (one rollout), that the sign is wrong.
        rng: the site's own generator.
    """

    def __init__(self, probability: float, rng: np.random.Generator) -> None:
        self._probability = probability
        self._rng = rng
        self._strikes = False

    def install(self, model: OnPolicyAlgorithm) -> None:
        """Put the fault between the policy and the training loop of `model`."""
        evaluate, train = model.policy.evaluate_actions, model.train

        def evaluate_actions(obs: Any, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
            values, log_prob, entropy = evaluate(obs, actions)
            if not self._strikes:
                return values, log_prob, entropy
            if entropy is None:  # the algorithms then estimate it from log_prob, whose sign must stay
                entropy = -log_prob
            return values, 2.0 * log_prob.detach() - log_prob, entropy

        def train_once() -> None:
            self._strikes = bool(self._rng.random() < self._probability)
            train()

        model.policy.evaluate_actions = evaluate_actions  # type: ignore[method-assign]
        model.train = train_once  # type: ignore[method-assign]
