"""Small recipes that train in a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agents.deeprl.presets import preset
from agents.deeprl.recipe import TrainingRecipe
from envsearch.spec import EnvironmentSpec

SMALL: dict[str, dict[str, Any]] = {
    "ppo": {"n_steps": 64, "batch_size": 32, "n_epochs": 2},
    "a2c": {},
    "dqn": {"learning_starts": 50, "train_freq": 16, "gradient_steps": 4, "batch_size": 16, "net_arch": [16, 16]},
}
STEPS = {"ppo": 128, "a2c": 100, "dqn": 160}


@pytest.fixture
def small_recipe() -> Callable[[str], TrainingRecipe]:
    """algorithm -> a healthy CartPole recipe of some hundred steps."""

    def make(algorithm: str) -> TrainingRecipe:
        environment = EnvironmentSpec("CartPole-v1")
        return preset("CartPole-v1", algorithm).recipe(environment, STEPS[algorithm], SMALL[algorithm])

    return make
