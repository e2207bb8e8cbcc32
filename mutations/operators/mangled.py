"""M: observation and reward of a step are mixed up with those of other steps."""

from __future__ import annotations

from agents.deeprl.recipe import TrainingRecipe
from mutations.mutant import Mutation
from mutations.operator import MutationOperator, ProbabilityMagnitude
from mutations.operators import PAPER
from mutations.replacing import MEMORY_OPTION, REPLACEMENT_SITES, replacing_from_memory


class Mangled(MutationOperator):
    """Observation and reward drawn independently from ten remembered true transitions.

    Steps of earlier episodes are remembered too. With ``memory`` cleared, only those of the current episode are.
    """

    acronym = "M"
    name = "mangled"
    level = "environment"
    definition = "The learner is shown the observation of one recent step and the reward of another."
    source = PAPER
    magnitude = ProbabilityMagnitude(event="step", required=True)
    sites = REPLACEMENT_SITES
    variants = ("defined", "published")
    options = (MEMORY_OPTION,)

    def objection(self, recipe: TrainingRecipe) -> str | None:
        """Applies to every agent."""
        return None

    def apply(self, recipe: TrainingRecipe, mutation: Mutation) -> TrainingRecipe:
        """The recipe with mangled experience; as published, the shown reward is logged too.

        Raises:
            MutationRefusedError: see `replacing_from_memory`.
        """
        return replacing_from_memory(self, recipe, "mangled", mutation)
