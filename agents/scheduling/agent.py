"""What a scheduling agent is: observation -> scores, and learning from an episode's rewards.

An agent never keeps a generator: each call is given one that is derived from the agent's seed and the episode, so
that recommending changes no state and the state is a function of the rewarded episodes, in order, alone.
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

    Class attributes are read by the listings and by the contract.

    Args:
        hyperparameters: values for names in `defaults`; the others keep their default.
        seed: for what must be drawn when an agent is made (initial weights).
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
            observation, scores: what the agent saw and answered then.
            verdicts: what came of each test, shape (n,); NOT_RUN for tests that no result arrived of.
            rewards: one per test, shape (n,); NaN where nothing is to be learned from.
            rng: derived from the seed and the number of rewarded episodes.
        """

    def state(self) -> State:
        """Everything learned; empty for a heuristic."""
        return {}

    def restore(self, state: State) -> None:  # noqa: B027 - see `learn`
        """Take over a state that `state` gave; bit for bit the same agent afterwards."""
