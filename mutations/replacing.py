"""What R, Ra and M share: they replace what the learner is shown of a step."""

from __future__ import annotations

import dataclasses

from agents.deeprl.recipe import Replacement, TrainingRecipe

REPLACEMENT_SITES = (
    "experience.replacement",
    "experience.probability",
    "experience.across_episodes",
    "experience.log_mutated_reward",
)


def replacing(
    recipe: TrainingRecipe, replacement: Replacement, probability: float, variant: str, frozen: bool = False
) -> TrainingRecipe:
    """The recipe whose experience is replaced with this probability per step.

    The published code keeps its memory when an episode ends, so that the next one is shown its transitions, and logs
    the reward that the learner was shown.
    """
    experience = dataclasses.replace(recipe.experience, replacement=replacement, probability=probability)
    if frozen:
        experience = dataclasses.replace(experience, frozen=True)
    if variant == "published":
        experience = dataclasses.replace(experience, across_episodes=True, log_mutated_reward=True)
    return recipe.replace(experience=experience)
