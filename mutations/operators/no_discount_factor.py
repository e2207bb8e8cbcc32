"""NDF: the discount factor is left out."""

from __future__ import annotations

import dataclasses

from agents.deeprl.recipe import TrainingRecipe
from mutations.learning import is_on_policy, is_set_to
from mutations.magnitude import probability
from mutations.mutant import Mutation
from mutations.operator import MutationOperator, ProbabilityMagnitude
from mutations.operators import PAPER


class NoDiscountFactor(MutationOperator):
    """gamma := 1 where returns (on-policy) or targets (off-policy) are computed; lambda stays the agent's own.

    On-policy, the published code sets lambda to 1 besides. (It also resets gamma, which its formula does not use; the
    bootstrap at time limits keeps the agent's gamma in both variants.) Off-policy, the published formula since the
    correction of February 2023, r + (1 - d) max Q, is the defined one.
    """

    acronym = "NDF"
    name = "no_discount_factor"
    level = "agent"
    definition = "The discount factor is left out of the computation of returns or targets."
    source = PAPER
    magnitude = ProbabilityMagnitude(event="learner update", required=False)
    sites = ("returns.undiscounted", "returns.gae_lambda")
    variants = ("defined", "published")

    def objection(self, recipe: TrainingRecipe) -> str | None:
        """There must be a discount to leave out."""
        return "gamma is already 1, so there is no discount to leave out" if is_set_to(recipe, "gamma", 1) else None

    def apply(self, recipe: TrainingRecipe, mutation: Mutation) -> TrainingRecipe:
        """The recipe with undiscounted returns."""
        strikes = probability(self, mutation)
        returns = dataclasses.replace(recipe.returns, undiscounted=strikes)
        if mutation.variant == "published" and strikes > 0.0 and is_on_policy(recipe):
            returns = dataclasses.replace(returns, gae_lambda=1.0)
        return recipe.replace(returns=returns)
