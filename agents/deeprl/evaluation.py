"""Evaluation: deterministic policy, one fixed seed per episode, the same for all agents."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.deeprl.checkpoint import from_bytes
from agents.deeprl.threads import one_thread
from envsearch.errors import InputError
from envsearch.registry import make
from envsearch.spec import EnvironmentSpec


def evaluate(
    checkpoint: bytes, algorithm: str, environment: EnvironmentSpec, episodes: int = 10, seed: int = 420
) -> tuple[float, ...]:
    """Returns of a saved agent in one environment, shape (episodes,); episode e is reset with seed + e.

    Raises:
        CorruptArtifactError: the checkpoint cannot be read.
        InputError: no episodes, or the environment does not fit the agent.
    """
    return evaluate_model(from_bytes(checkpoint, algorithm), environment, episodes, seed)


def evaluate_model(
    model: BaseAlgorithm, environment: EnvironmentSpec, episodes: int = 10, seed: int = 420
) -> tuple[float, ...]:
    """Returns of a model in one environment, shape (episodes,); all episodes advance together, one batch per step."""
    if episodes < 1:
        raise InputError(f"{episodes} is out of range", "evaluation.episodes", "at least one episode")
    with one_thread():
        envs: list[gymnasium.Env[Any, Any]] = [make(environment) for _ in range(episodes)]
        try:
            return _run(model, envs, seed)
        finally:
            for env in envs:
                env.close()


def _run(model: BaseAlgorithm, envs: list[gymnasium.Env[Any, Any]], seed: int) -> tuple[float, ...]:
    if envs[0].observation_space != model.observation_space:
        raise InputError(
            f"its observations are {envs[0].observation_space}", "environment", f"{model.observation_space}"
        )
    returns = np.zeros(len(envs))
    running = list(range(len(envs)))
    observations: list[Any] = [env.reset(seed=seed + index)[0] for index, env in enumerate(envs)]
    while running:
        actions, _ = model.predict(np.stack([observations[index] for index in running]), deterministic=True)
        still_running = []
        for index, action in zip(running, actions, strict=True):
            observations[index], reward, terminated, truncated, _ = envs[index].step(action)
            returns[index] += float(reward)
            if not (terminated or truncated):
                still_running.append(index)
        running = still_running
    return tuple(float(value) for value in returns)
