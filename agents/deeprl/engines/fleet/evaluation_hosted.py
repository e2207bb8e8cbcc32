"""Episodes of many agents in any gymnasium environment: stepped on the host, one compiled policy call for all."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import gymnasium
import jax
import numpy as np
from numpy.typing import NDArray

from agents.deeprl.engines.fleet.evaluation_policies import FEWEST_ROWS, Layers, Policy, actions, padded, stacked
from envsearch.registry import ENVIRONMENTS, make
from envsearch.spec import EnvironmentSpec

MOST_LIVE = 256
"""Episodes that advance together, each in an environment of its own."""

Task = tuple[int, EnvironmentSpec]
"""Index of an agent, and its environment."""

Step = Callable[[Any], tuple[Any, Any, bool, bool, dict[str, Any]]]


@dataclass(slots=True)
class _Episode:
    """One episode; `row` is its place in the batch of observations."""

    task: int
    agent: int
    seed: int
    env: gymnasium.Env[Any, Any]
    observation: Any
    total: float = 0.0
    row: int = 0


def evaluate_hosted(
    policies: Sequence[Policy], tasks: Sequence[Task], episodes: int, seed: int
) -> list[tuple[float, ...] | Exception]:
    """Returns of each task's episodes, or what its environment raised; episode e is reset with seed + e.

    Args:
        policies: of one shape.
    """
    returns = [[0.0] * episodes for _ in tasks]
    failures: dict[int, Exception] = {}
    wanted = [(task, number) for task in range(len(tasks)) for number in range(episodes)]
    for start in range(0, len(wanted), MOST_LIVE):
        wave = _Wave(policies, tasks, failures)
        try:
            for task, number in wanted[start : start + MOST_LIVE]:
                wave.begin(task, seed + number)
            wave.finish()
        finally:
            wave.close()
        for episode in wave.begun:
            returns[episode.task][episode.seed - seed] = episode.total
    return [failures.get(task) or tuple(returns[task]) for task in range(len(tasks))]


class _Wave:
    """Episodes that advance together until all have ended.

    Attributes:
        begun: all of them.
    """

    def __init__(self, policies: Sequence[Policy], tasks: Sequence[Task], failures: dict[int, Exception]) -> None:
        self._policies = policies
        self._tasks = tasks
        self._failures = failures
        self.begun: list[_Episode] = []

    def begin(self, task: int, seed: int) -> None:
        """Build the environment of an episode and reset it; a task that has failed is left alone."""
        if task in self._failures:
            return
        agent, environment = self._tasks[task]
        try:
            env = make(environment)
            self.begun.append(_Episode(task, agent, seed, env, None))
            self.begun[-1].observation = env.reset(seed=seed)[0]
        except Exception as error:  # noqa: BLE001 - a user's environment may fail in any way
            self._failures[task] = error

    def finish(self) -> None:
        """Advance all episodes to their end, in ever smaller batches."""
        live = [episode for episode in self.begun if episode.task not in self._failures]
        while live:
            live = self._advance(live)

    def close(self) -> None:
        """Close the environments."""
        for episode in self.begun:
            with suppress(Exception):  # the returns are there; what an environment does afterwards changes nothing
                episode.env.close()

    def _advance(self, live: list[_Episode]) -> list[_Episode]:
        """Step until half of the episodes are over; those that are not."""
        layers, batch = self._batch(live)
        activation = self._policies[0].activation
        flat, known = batch.reshape(-1, batch.shape[-1]), self._tasks[live[0].task][1].name in ENVIRONMENTS
        enough = len(live) // 2
        while len(live) > enough:
            chosen = np.asarray(_act(layers, batch, activation)).ravel()
            # Plain integers are faster; a user's environment gets what Stable-Baselines3 would give it.
            steps = chosen.tolist() if known else list(chosen)
            live = self._step(live, steps, flat)
        for episode in live:
            episode.observation = flat[episode.row].copy()
        return live

    def _step(self, live: list[_Episode], chosen: list[Any], flat: NDArray[np.float32]) -> list[_Episode]:
        ended = False
        for episode in live:
            row = episode.row
            try:
                flat[row], reward, terminated, truncated, _ = episode.env.step(chosen[row])
                episode.total += float(reward)
            except Exception as error:  # noqa: BLE001 - a user's environment may fail in any way
                self._failures[episode.task] = error
                terminated = truncated = True
            if terminated or truncated:
                episode.row, ended = -1, True
        if not ended:
            return live
        return [episode for episode in live if episode.row >= 0 and episode.task not in self._failures]

    def _batch(self, live: list[_Episode]) -> tuple[Layers, NDArray[np.float32]]:
        """Weights of the live agents and the array of observations, shape (agents, columns, inputs)."""
        by_agent: dict[int, list[_Episode]] = {}
        for episode in live:
            by_agent.setdefault(episode.agent, []).append(episode)
        agents = padded(len(by_agent))
        columns = padded(max(len(some) for some in by_agent.values()), FEWEST_ROWS)
        inputs = self._policies[0].shape[1][0]
        batch = np.zeros((agents, columns, inputs), np.float32)
        for place, some in enumerate(by_agent.values()):
            for column, episode in enumerate(some):
                batch[place, column] = episode.observation
                episode.row = place * columns + column
        return stacked([self._policies[agent] for agent in by_agent], agents), batch


@functools.partial(jax.jit, static_argnames=("activation",))
def _act(layers: Layers, observations: Any, activation: str) -> jax.Array:
    return actions(layers, observations, activation)
