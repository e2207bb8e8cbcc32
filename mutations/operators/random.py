"""Ra: a step is shown as some earlier one."""

from __future__ import annotations

from agents.deeprl.recipe import TrainingRecipe
from mutations.mutant import Mutation
from mutations.operator import MutationOperator, ProbabilityMagnitude
from mutations.operators import PAPER
from mutations.replacing import MEMORY_OPTION, REPLACEMENT_SITES, replacing_from_memory


class Random(MutationOperator):
    """Observation and reward of one remembered true transition, drawn uniformly, the current one included.

    Steps of earlier episodes are remembered too. With ``memory`` cleared, only those of the current episode are.
    """

    acronym = "Ra"
    name = "random"
    level = "environment"
    definition = "The learner is shown observation and reward of a random remembered step instead of the current one."
    source = PAPER
    magnitude = ProbabilityMagnitude(event="step", required=True)
    sites = REPLACEMENT_SITES
    variants = ("defined", "published")
    options = (MEMORY_OPTION,)

    def objection(self, recipe: TrainingRecipe) -> str | None:
        """Applies to every agent."""
        return None

    def apply(self, recipe: TrainingRecipe, mutation: Mutation) -> TrainingRecipe:
        """The recipe with random experience; as published, the shown reward is logged too.

        Raises:
            MutationRefusedError: see `replacing_from_memory`.
        """
        return replacing_from_memory(self, recipe, "random", mutation)
