"""What a scheduling agent is: observation -> scores, and learning from an episode's rewards.

An agent never keeps a generator. Each call gets one that derives from the agent's seed and the episode. A
recommendation therefore changes no state, and the state is a function of the rewarded episodes and their order alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from agents.scheduling.observation import FloatArray, Observation, Scores
from agents.scheduling.settings import checked_settings
from agents.scheduling.state import State
from agents.scheduling.testcase import Verdict


class SchedulingAgent(ABC):
    """Gives each test case of a cycle one continuous priority.

    The listings and the contract read the class attributes.

    Args:
        hyperparameters: values for names in `defaults`; the others keep their default.
        seed: for random initial values (weights).
    """

    kind: ClassVar[str]
    summary: ClassVar[str]
    learns: ClassVar[bool] = False
    defaults: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, hyperparameters: Mapping[str, Any], seed: int) -> None:
        self.hyperparameters = checked_settings(hyperparameters, self.defaults, "hyper-parameter", "hyperparameters")
        self.seed = seed

    @abstractmethod
    def score(self, observation: Observation, rng: np.random.Generator) -> Scores:
        """Priorities of the observed tests. Changes no state."""

    def learn(  # noqa: B027 - a heuristic learns nothing beyond the history that everyone shares
        self,
        observation: Observation,
        scores: Scores,
        verdicts: tuple[Verdict, ...],
        rewards: FloatArray,
        rng: np.random.Generator,
    ) -> None:
        """Learn from one rewarded episode.

        Args:
            observation, scores: what the agent observed and answered in that episode.
            verdicts: of each test, shape (n,); NOT_RUN for tests without a result.
            rewards: one per test, shape (n,); NaN where there is nothing to learn.
            rng: derived from the seed and the number of rewarded episodes.
        """

    def state(self) -> State:
        """Everything learned; empty for a heuristic."""
        return {}

    def restore(self, state: State) -> None:  # noqa: B027 - see `learn`
        """Restore what `state` returned; the agent is bit for bit the same afterwards."""
