"""MSU: the new state does not become the current one."""

from __future__ import annotations

import dataclasses

from agents.deeprl.recipe import TrainingRecipe
from mutations.learning import bootstrap_objection, is_on_policy
from mutations.magnitude import probability
from mutations.mutant import Mutation
from mutations.operator import MutationOperator, ProbabilityMagnitude
from mutations.operators import PAPER


class MissingStateUpdate(MutationOperator):
    """``state <- next state`` is lost for a step.

    On-policy the learner goes on acting on, and storing, the old state (with probability 1 the very first one, for the
    whole training). Off-policy the transition is stored with its own state as next state; acting uses the true one.
    """

    acronym = "MSU"
    name = "missing_state_update"
    level = "agent"
    definition = "After a step the current state is not updated to the next state."
    source = PAPER
    magnitude = ProbabilityMagnitude(event="step", required=False)
    sites = ("state.missed_update",)

    def objection(self, recipe: TrainingRecipe) -> str | None:
        """Off-policy, the next state only matters where something is bootstrapped from it."""
        return None if is_on_policy(recipe) else bootstrap_objection(recipe)

    def apply(self, recipe: TrainingRecipe, mutation: Mutation) -> TrainingRecipe:
        """The recipe that loses state updates."""
        strikes = probability(self, mutation)
        return recipe.replace(state=dataclasses.replace(recipe.state, missed_update=strikes))
