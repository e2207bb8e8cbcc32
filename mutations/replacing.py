"""What R, Ra and M share: they replace what the learner is shown of a step."""

from __future__ import annotations

import dataclasses

from agents.deeprl.recipe import Replacement, TrainingRecipe
from envsearch.errors import MutationRefusedError
from mutations.magnitude import option, probability
from mutations.mutant import Mutation
from mutations.operator import MutationOperator

REPLACEMENT_SITES = (
    "experience.replacement",
    "experience.probability",
    "experience.across_episodes",
    "experience.log_mutated_reward",
)

MEMORY_OPTION = ("memory", ("kept", "cleared"))
"""Of Ra and M: whether the remembered steps stay when an episode ends. Neither definition clears them."""


def replacing(
    recipe: TrainingRecipe,
    replacement: Replacement,
    probability: float,
    variant: str,
    frozen: bool = False,
    across_episodes: bool = False,
) -> TrainingRecipe:
    """The recipe whose experience is replaced with this probability per step.

    The published code keeps its memory when an episode ends, so that the next one is shown its transitions, and logs
    the reward that the learner was shown.
    """
    experience = dataclasses.replace(recipe.experience, replacement=replacement, probability=probability)
    if frozen:
        experience = dataclasses.replace(experience, frozen=True)
    if across_episodes or variant == "published":
        experience = dataclasses.replace(experience, across_episodes=True)
    if variant == "published":
        experience = dataclasses.replace(experience, log_mutated_reward=True)
    return recipe.replace(experience=experience)


def replacing_from_memory(
    fault: MutationOperator, recipe: TrainingRecipe, replacement: Replacement, mutation: Mutation
) -> TrainingRecipe:
    """What Ra and M do: `replacing` from remembered steps, of earlier episodes too unless the memory is cleared.

    Raises:
        MutationRefusedError: the published variant is to clear its memory, which it never does; or see `probability`.
    """
    strikes = probability(fault, mutation)
    kept = option(fault, mutation, "memory") == "kept"
    if not kept and mutation.variant == "published":
        raise MutationRefusedError("the published code never clears its memory", "memory", "kept")
    return replacing(recipe, replacement, strikes, mutation.variant, across_episodes=kept)
