"""Between the fleet's arrays and Stable-Baselines3's models: first weights in, ordinary zip files out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.deeprl.checkpoint import to_bytes, weights_digest, weights_finite
from agents.deeprl.engines.fleet.networks import Parameters, from_state_dict, stack, to_state_dict
from agents.deeprl.engines.sb3.build import build
from agents.deeprl.recipe import (
    ExperienceSite,
    LossSite,
    ReturnsSite,
    StateSite,
    TerminalSite,
    TrainingRecipe,
)
from agents.library_randomness import library_randomness_kept


def unfaulted(recipe: TrainingRecipe) -> TrainingRecipe:
    """The recipe with every site but the policy's healthy: a saved agent must not carry a fault's seam."""
    return recipe.replace(
        experience=ExperienceSite(),
        terminal=TerminalSite(),
        state=StateSite(),
        returns=ReturnsSite(),
        loss=LossSite(),
    )


def untrained(recipe: TrainingRecipe, seed: int) -> BaseAlgorithm:
    """The model that the sb3 engine would start from, its environment closed."""
    with library_randomness_kept():
        model = build(unfaulted(recipe), seed)
        model.get_env().close()  # type: ignore[union-attr]
    return model


def first_parameters(models: Sequence[BaseAlgorithm], networks: tuple[str, ...], hidden: int) -> Parameters:
    """The untrained models' own weights, agents as first axis: the same as the sb3 engine's for the same seed."""
    agents = [from_state_dict(model.policy.state_dict(), networks, hidden) for model in models]
    parameters: Parameters = stack(agents)
    return parameters


def saved(model: BaseAlgorithm, parameters: Any, agent: int, steps: int) -> tuple[bytes, str, bool]:
    """One agent of a block as a zip file, its weights' digest, and whether it is dead: its weights are not finite.

    Args:
        model: the untrained one of the same recipe and seed; its weights are overwritten.
        parameters: of the block, NumPy arrays with the agents as first axis.
        agent: which of them.
        steps: environment steps that it was trained for.
    """
    own = {
        network: tuple((np.asarray(weights[agent]), np.asarray(biases[agent])) for weights, biases in layers)
        for network, layers in parameters.items()
    }
    model.policy.load_state_dict(to_state_dict(own), strict=True)
    model.num_timesteps = steps
    return to_bytes(model), weights_digest(model), not weights_finite(model)
