"""RN: the reward that the learner sees is noisy."""

from __future__ import annotations

import dataclasses

from agents.deeprl.recipe import TrainingRecipe
from mutations.magnitude import probability
from mutations.mutant import Mutation
from mutations.operator import MutationOperator, ProbabilityMagnitude
from mutations.operators import PAPER


class RewardNoise(MutationOperator):
    """r := r + N(0, 0.1 |r|) for each step with the given probability; a reward of 0 stays 0."""

    acronym = "RN"
    name = "reward_noise"
    level = "environment"
    definition = "Gaussian noise, with a tenth of the reward as standard deviation, is added to the reward of a step."
    source = PAPER
    magnitude = ProbabilityMagnitude(event="step", required=True)
    sites = ("experience.noise_probability", "experience.log_mutated_reward")
    variants = ("defined", "published")

    def objection(self, recipe: TrainingRecipe) -> str | None:
        """Applies to every agent."""
        return None

    def apply(self, recipe: TrainingRecipe, mutation: Mutation) -> TrainingRecipe:
        """The recipe with noisy rewards; as published, the noisy reward is also the one that is logged."""
        changes: dict[str, object] = {"noise_probability": probability(self, mutation)}
        if mutation.variant == "published":
            changes["log_mutated_reward"] = True
        return recipe.replace(experience=dataclasses.replace(recipe.experience, **changes))  # type: ignore[arg-type]
