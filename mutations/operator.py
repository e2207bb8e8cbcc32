"""What a mutation operator is: metadata, the fault's definition, and a change of recipe."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from agents.deeprl.recipe import TrainingRecipe
from mutations.mutant import Mutation

Level = Literal["environment", "agent"]


@dataclass(frozen=True, slots=True)
class ProbabilityMagnitude:
    """The fault strikes each event with this probability, in (0, 1]; 0 is the healthy agent.

    Attributes:
        event: what is drawn for ("step", "learner update").
        required: whether a mutation must say it (as the published ids do: ``RN_1.0``); otherwise 1 is meant.
    """

    event: str
    required: bool


@dataclass(frozen=True, slots=True)
class ChoiceMagnitude:
    """The magnitude is one of some names, always required (``PAC_ReLU``)."""

    choices: tuple[str, ...]


Magnitude = ProbabilityMagnitude | ChoiceMagnitude


class MutationOperator(ABC):
    """A function from recipe to recipe.

    Class attributes are read by ``proctor operators`` and by the contract; `apply` must be pure.
    """

    acronym: ClassVar[str]
    name: ClassVar[str]
    level: ClassVar[Level]
    definition: ClassVar[str]
    source: ClassVar[str]
    magnitude: ClassVar[Magnitude]
    sites: ClassVar[tuple[str, ...]]
    """Dotted recipe fields that the operator may write (``returns.forward``; ``hyperparameters`` is all of them), first
    the one that holds the fault. Two mutations that write different values into one field shadow each other."""
    variants: ClassVar[tuple[str, ...]] = ("defined",)
    options: ClassVar[tuple[tuple[str, tuple[str, ...]], ...]] = ()
    """Further settings and their allowed values; the first is the default."""

    @abstractmethod
    def objection(self, recipe: TrainingRecipe) -> str | None:
        """Why the fault cannot exist in this recipe ("DQN computes no returns"), or None."""

    @abstractmethod
    def apply(self, recipe: TrainingRecipe, mutation: Mutation) -> TrainingRecipe:
        """The recipe with the fault in it. Pure: `recipe` is unchanged, no randomness.

        Probability 0 gives a recipe that trains healthy agents; campaigns refuse it, contracts use it.
        `mutations.magnitude` reads and checks the settings (``probability(self, mutation)``).

        Raises:
            MutationRefusedError: the magnitude, variant or an option is not one the operator knows.
        """
