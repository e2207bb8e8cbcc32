"""What an exploration is: it changes an agent's scores at random and reports how much."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from agents.scheduling.observation import Observation, Scores
from agents.scheduling.settings import checked_settings


class Exploration(ABC):
    """Adds chance to the scores of an agent. Has no state: the annealing is a function of the version.

    Args:
        settings: values for names in `defaults`; the others keep their default.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    defaults: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = checked_settings(settings, self.defaults, "exploration setting", "exploration_settings")

    @abstractmethod
    def apply(self, scores: Scores, observation: Observation, version: int, rng: np.random.Generator) -> Scores:
        """The explored scores.

        Args:
            version: how many episodes the agent has been rewarded for.
        """
