"""NR: returns are accumulated in the wrong direction."""

from __future__ import annotations

import dataclasses

from agents.deeprl.recipe import TrainingRecipe
from mutations.learning import bootstrap_objection, is_on_policy, is_set_to
from mutations.magnitude import probability
from mutations.mutant import Mutation
from mutations.operator import MutationOperator, ProbabilityMagnitude
from mutations.operators import PAPER

PUBLISHED_GAMMA = 0.99
PUBLISHED_LAMBDA = 1.0


class NoReverse(MutationOperator):
    """A_t = delta_t + gamma lambda nt_{t+1} A_{t-1} instead of ... A_{t+1}; gamma and lambda stay the agent's own.

    The published code uses gamma 0.99 and lambda 1 in the recursion, whatever the agent uses.
    """

    acronym = "NR"
    name = "no_reverse"
    level = "agent"
    definition = "Returns are accumulated from the first step of a rollout to the last instead of backwards."
    source = PAPER
    magnitude = ProbabilityMagnitude(event="learner update", required=False)
    sites = ("returns.forward", "returns.gamma", "returns.gae_lambda")
    variants = ("defined", "published")

    def objection(self, recipe: TrainingRecipe) -> str | None:
        """There must be a recursion over a rollout, and more than one term in it."""
        if not is_on_policy(recipe):
            return f"{recipe.algorithm} stores transitions and computes no returns over a rollout"
        if is_set_to(recipe, "gae_lambda", 0):
            return "gae_lambda is 0, so advantages are not accumulated in any direction"
        if is_set_to(recipe, "n_steps", 1):
            return "n_steps is 1, so a rollout has no direction"
        return bootstrap_objection(recipe)

    def apply(self, recipe: TrainingRecipe, mutation: Mutation) -> TrainingRecipe:
        """The recipe whose returns are accumulated forward."""
        strikes = probability(self, mutation)
        returns = dataclasses.replace(recipe.returns, forward=strikes)
        if mutation.variant == "published" and strikes > 0.0:
            returns = dataclasses.replace(returns, gamma=PUBLISHED_GAMMA, gae_lambda=PUBLISHED_LAMBDA)
        return recipe.replace(returns=returns)
