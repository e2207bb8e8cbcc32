"""A callback that records episodes, reports progress and keeps the best checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from agents.deeprl.checkpoint import to_bytes, weights_finite
from agents.deeprl.engines.base import AgentSelection, at_least_as_good
from agents.deeprl.evaluation import evaluate_model
from envsearch.spec import EnvironmentSpec


class Recording(BaseCallback):
    """Records training episodes; evaluates on the true environment where the best checkpoint is wanted.

    Args:
        environment: the true environment, for the evaluations.
        selection: which model is judged.
        progress: receives the steps done so far, at most once per 1,000 steps.
    """

    def __init__(
        self, environment: EnvironmentSpec, selection: AgentSelection, progress: Callable[[int], None] | None
    ) -> None:
        super().__init__()
        self.episode_steps: list[int] = []
        self.episode_returns: list[float] = []
        self.best: tuple[float, int, bytes] | None = None
        self._environment = environment
        self._selection = selection
        self._progress = progress
        self._next_progress = 1_000
        self._next_evaluation = selection.every

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            episode = info.get("episode")
            if episode is not None:
                self.episode_steps.append(int(self.num_timesteps))
                self.episode_returns.append(float(episode["r"]))
        if self._progress is not None and self.num_timesteps >= self._next_progress:
            self._next_progress = self.num_timesteps + 1_000
            self._progress(self.num_timesteps)
        if self._selection.kind == "best" and self.num_timesteps >= self._next_evaluation:
            self._next_evaluation += self._selection.every
            self.consider(self.model)
        return True

    def consider(self, model: BaseAlgorithm) -> None:
        """Evaluate the model as it is now and keep it if no earlier one was better; a dead one is never kept."""
        if not weights_finite(model):
            return
        selection = self._selection
        returns = evaluate_model(model, self._environment, selection.episodes, selection.seed)
        mean = sum(returns) / len(returns)
        best = self.best[0] if self.best is not None else -math.inf
        if at_least_as_good(mean, best):
            self.best = (max(mean, best), int(model.num_timesteps), to_bytes(model))
