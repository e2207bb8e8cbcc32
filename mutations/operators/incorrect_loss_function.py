"""ILF: the loss has the wrong sign."""

from __future__ import annotations

import dataclasses

from agents.deeprl.recipe import TrainingRecipe
from mutations.learning import bootstrap_objection, is_on_policy
from mutations.magnitude import probability
from mutations.mutant import Mutation
from mutations.operator import MutationOperator, ProbabilityMagnitude
from mutations.operators import PAPER


class IncorrectLossFunction(MutationOperator):
    """On-policy the policy loss is negated (entropy and value terms are not); off-policy the bootstrap is subtracted.

    Off-policy: target = r - (1 - d) gamma max Q.
    """

    acronym = "ILF"
    name = "incorrect_loss_function"
    level = "agent"
    definition = "The sign of the policy loss (on-policy) or of the target's bootstrap (off-policy) is wrong."
    source = PAPER
    magnitude = ProbabilityMagnitude(event="learner update", required=False)
    sites = ("loss.inverted",)

    def objection(self, recipe: TrainingRecipe) -> str | None:
        """Off-policy there must be a bootstrap whose sign can be wrong."""
        return None if is_on_policy(recipe) else bootstrap_objection(recipe)

    def apply(self, recipe: TrainingRecipe, mutation: Mutation) -> TrainingRecipe:
        """The recipe with the wrong sign."""
        strikes = probability(self, mutation)
        return recipe.replace(loss=dataclasses.replace(recipe.loss, inverted=strikes))
