"""PAC: the network has another activation function."""

from __future__ import annotations

import dataclasses

from agents.deeprl.recipe import TrainingRecipe
from mutations.magnitude import choice
from mutations.mutant import Mutation
from mutations.operator import ChoiceMagnitude, MutationOperator
from mutations.operators import PAPER


class PolicyActivationChange(MutationOperator):
    """The hidden activation of actor and critic is replaced, as in the published code, which has ReLU and Sigmoid."""

    acronym = "PAC"
    name = "policy_activation_change"
    level = "agent"
    definition = "The activation function of the hidden layers is replaced by another one."
    source = PAPER
    magnitude = ChoiceMagnitude(("ReLU", "Sigmoid", "Tanh", "ELU", "LeakyReLU", "SiLU"))
    sites = ("policy.activation",)

    def objection(self, recipe: TrainingRecipe) -> str | None:
        """There must be a hidden layer."""
        return None if recipe.policy.net_arch else "the network has no hidden layer"

    def apply(self, recipe: TrainingRecipe, mutation: Mutation) -> TrainingRecipe:
        """The recipe with the other activation."""
        return recipe.replace(policy=dataclasses.replace(recipe.policy, activation=choice(self, mutation)))
