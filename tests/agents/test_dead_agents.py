"""Both engines notice an agent whose weights are not finite: a training may end so without any error."""

from __future__ import annotations

import math

import pytest

from agents.deeprl.engines.base import AgentSelection, TrainedAgent
from agents.deeprl.engines.registry import engine
from agents.deeprl.engines.sb3.recording import Recording
from agents.deeprl.presets import preset
from agents.deeprl.recipe import TrainingRecipe
from envsearch.spec import EnvironmentSpec

TOO_LARGE = 1e30
"""A learning rate with which the second update works on infinite values."""


def recipe(algorithm: str, learning_rate: float) -> TrainingRecipe:
    short = {"n_steps": 32} if algorithm != "dqn" else {"learning_starts": 16, "batch_size": 16, "train_freq": 16}
    settings = {**short, "learning_rate": learning_rate}
    return preset("CartPole-v1", algorithm).recipe(EnvironmentSpec("CartPole-v1"), 256, settings)


def train(name: str, algorithm: str, learning_rate: float, selection: AgentSelection | None = None) -> TrainedAgent:
    (agent,) = engine(name).train(recipe(algorithm, learning_rate), [0], selection or AgentSelection())
    return agent


@pytest.mark.parametrize("name", ["sb3", "fleet"])
@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_an_agent_with_weights_that_are_not_finite_is_dead(name: str, algorithm: str) -> None:
    agent = train(name, algorithm, TOO_LARGE)
    assert agent.dead
    assert agent.checkpoint
    assert all(map(math.isfinite, agent.episode_returns))


@pytest.mark.parametrize("name", ["sb3", "fleet"])
def test_an_ordinary_agent_lives(name: str) -> None:
    assert not train(name, "ppo", 1e-3).dead


def test_the_best_model_before_the_end_lives() -> None:
    agent = train("sb3", "ppo", TOO_LARGE, AgentSelection("best", every=16, episodes=1))
    assert not agent.dead
    assert agent.selected_step == 32  # the latest of the equal models before the first update


def test_other_errors_of_a_training_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: object) -> bool:
        raise MemoryError("no memory left")

    monkeypatch.setattr(Recording, "_on_step", fails)
    with pytest.raises(MemoryError):
        train("sb3", "ppo", 1e-3)
