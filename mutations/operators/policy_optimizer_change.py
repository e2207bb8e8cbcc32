"""POC: the weights are trained by another optimizer."""

from __future__ import annotations

import dataclasses

from agents.deeprl.recipe import TrainingRecipe
from mutations.learning import is_on_policy
from mutations.magnitude import choice
from mutations.mutant import Mutation
from mutations.operator import ChoiceMagnitude, MutationOperator
from mutations.operators import PAPER

Arguments = tuple[tuple[str, float], ...]

ON_POLICY_ARGUMENTS: dict[str, Arguments] = {
    "SGD": (),
    "Adam": (("eps", 1e-5),),
    "RMSprop": (("alpha", 0.99), ("eps", 1e-5)),
}
"""As Stable-Baselines3 sets them: Adam's in every actor-critic policy, RMSprop's in A2C."""

OFF_POLICY_ARGUMENTS: dict[str, Arguments] = {**ON_POLICY_ARGUMENTS, "Adam": ()}
"""As above; Adam keeps PyTorch's epsilon of 1e-8, as in DQN's policy."""


class PolicyOptimizerChange(MutationOperator):
    """The optimizer's class is replaced; the learning rate stays the agent's own. SGD is published, without momentum.

    RMSprop gets the arguments that Stable-Baselines3's A2C gives it, so that it is that library's default there. (The
    published code spells it RMSProp and fails; this spelling is understood here.)
    """

    acronym = "POC"
    name = "policy_optimizer_change"
    level = "agent"
    definition = "The optimizer that trains the networks is replaced by another one."
    source = PAPER
    magnitude = ChoiceMagnitude(("SGD", "Adam", "RMSprop"))
    sites = ("policy.optimizer", "policy.optimizer_kwargs")

    def objection(self, recipe: TrainingRecipe) -> str | None:
        """Applies to every agent."""
        return None

    def apply(self, recipe: TrainingRecipe, mutation: Mutation) -> TrainingRecipe:
        """The recipe with the other optimizer; unchanged if the agent has it already, whatever its arguments."""
        optimizer = choice(self, mutation)
        if optimizer == recipe.policy.optimizer:
            return recipe
        arguments = (ON_POLICY_ARGUMENTS if is_on_policy(recipe) else OFF_POLICY_ARGUMENTS)[optimizer]
        policy = dataclasses.replace(recipe.policy, optimizer=optimizer, optimizer_kwargs=arguments)
        return recipe.replace(policy=policy)
