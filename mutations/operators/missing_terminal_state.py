"""MTS: the end of an episode is not noticed."""

from __future__ import annotations

import dataclasses

from agents.deeprl.recipe import TrainingRecipe
from envsearch.errors import MutationRefusedError
from mutations.learning import bootstrap_objection, is_on_policy
from mutations.magnitude import probability
from mutations.mutant import Mutation
from mutations.operator import MutationOperator, ProbabilityMagnitude
from mutations.operators import PAPER


class MissingTerminalState(MutationOperator):
    """A terminal flag is lost: the learner bootstraps across the end of the episode, and at a time limit only there.

    On-policy, the published code loses no flag: it leaves out the bootstrap at time limits, so that a time-out looks
    terminal. It is live only where episodes reach their time limit.
    """

    acronym = "MTS"
    name = "missing_terminal_state"
    level = "agent"
    definition = "The terminal flag of a step is lost: the transition is stored as not terminal."
    source = PAPER
    magnitude = ProbabilityMagnitude(event="step", required=False)
    sites = ("terminal.missed", "terminal.time_limit_is_terminal")
    variants = ("defined", "published")

    def objection(self, recipe: TrainingRecipe) -> str | None:
        """Terminal flags only matter where something is bootstrapped."""
        return bootstrap_objection(recipe)

    def apply(self, recipe: TrainingRecipe, mutation: Mutation) -> TrainingRecipe:
        """The recipe that loses terminal flags.

        Raises:
            MutationRefusedError: a probability between 0 and 1 of the published on-policy variant, which has none.
        """
        strikes = probability(self, mutation)
        if mutation.variant == "defined" or not is_on_policy(recipe):
            return recipe.replace(terminal=dataclasses.replace(recipe.terminal, missed=strikes))
        if 0.0 < strikes < 1.0:
            problem = "the published fault on-policy leaves out every bootstrap at time limits, not some"
            raise MutationRefusedError(problem, "magnitude", "no magnitude")
        return recipe.replace(terminal=dataclasses.replace(recipe.terminal, time_limit_is_terminal=strikes == 1.0))
