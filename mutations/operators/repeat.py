"""R: a step is shown as the one before it."""

from __future__ import annotations

from agents.deeprl.recipe import TrainingRecipe
from envsearch.errors import MutationRefusedError
from mutations.magnitude import option, probability
from mutations.mutant import Mutation
from mutations.operator import MutationOperator, ProbabilityMagnitude
from mutations.operators import PAPER
from mutations.replacing import REPLACEMENT_SITES, replacing


class Repeat(MutationOperator):
    """Observation and reward of the previous step instead of the current one.

    With ``semantics`` delay it is the previous *true* step, so that probability 1 is a delay by one step; with freeze
    it is what was *shown* last, so that consecutive strikes repeat one step (a stuck sensor).
    """

    acronym = "R"
    name = "repeat"
    level = "environment"
    definition = "The learner is shown observation and reward of the previous step instead of the current one."
    source = PAPER
    magnitude = ProbabilityMagnitude(event="step", required=True)
    sites = (*REPLACEMENT_SITES, "experience.frozen")
    variants = ("defined", "published")
    options = (("semantics", ("delay", "freeze")),)

    def objection(self, recipe: TrainingRecipe) -> str | None:
        """Applies to every agent."""
        return None

    def apply(self, recipe: TrainingRecipe, mutation: Mutation) -> TrainingRecipe:
        """The recipe with repeated experience; as published, memory survives episodes and the shown reward is logged.

        Raises:
            MutationRefusedError: freeze is requested of the published variant, which only delays.
        """
        strikes = probability(self, mutation)
        frozen = option(self, mutation, "semantics") == "freeze"
        if frozen and mutation.variant == "published":
            raise MutationRefusedError("the published code delays and never freezes", "semantics", "delay")
        return replacing(recipe, "repeat", strikes, mutation.variant, frozen)
