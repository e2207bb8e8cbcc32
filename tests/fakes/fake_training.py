"""A stand-in for engine and evaluation: instant, deterministic, and faulty on request.

What it does besides training is written in the recipe's hyper-parameters, so that it reaches a worker as data:
``fail_seed`` raises, ``nan_seed`` returns a reward that is not a number, ``dead_seed`` returns one and a dead agent,
``kill_seed`` kills its own process, ``hang_seed`` waits; ``report_seed`` reports half of its steps and waits for a file
``received``; ``folder`` gets a file ``<seed>.<pid>`` when a training begins; ``once`` makes killing and waiting happen
in the first attempt only.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from agents.deeprl.engines.base import AgentSelection, TrainedAgent
from agents.deeprl.recipe import TrainingRecipe
from envsearch.errors import CorruptArtifactError
from envsearch.spec import EnvironmentSpec


class FakeEngine:
    name = "fake"

    def objection(self, recipe: TrainingRecipe) -> str | None:
        return None

    def train(
        self,
        recipe: TrainingRecipe,
        seeds: Sequence[int],
        selection: AgentSelection,
        progress: Callable[[int], None] | None = None,
    ) -> list[TrainedAgent]:
        for seed in seeds:
            if seed == recipe.hyperparameter("report_seed") and progress is not None:
                _report_until_received(recipe, progress)
        return [self._train(recipe, seed) for seed in seeds]

    def _train(self, recipe: TrainingRecipe, seed: int) -> TrainedAgent:
        first = _announce(recipe, seed)
        if seed == recipe.hyperparameter("fail_seed"):
            raise ZeroDivisionError(f"seed {seed} fails on purpose")
        if first or not recipe.hyperparameter("once"):
            if seed == recipe.hyperparameter("kill_seed"):
                os.kill(os.getpid(), signal.SIGKILL)
            if seed == recipe.hyperparameter("hang_seed"):
                time.sleep(60)
        digest = hashlib.sha256(f"{recipe.address} {seed}".encode()).hexdigest()
        dead = seed == recipe.hyperparameter("dead_seed")
        reward = float("nan") if dead or seed == recipe.hyperparameter("nan_seed") else seed + 0.1
        returns = (10.0, reward)
        return TrainedAgent(seed, digest.encode(), digest, (10, 25), returns, recipe.total_steps, 0.25, dead)


def _report_until_received(recipe: TrainingRecipe, progress: Callable[[int], None]) -> None:
    until = time.monotonic() + 60
    while not Path(str(recipe.hyperparameter("folder")), "received").exists() and time.monotonic() < until:
        progress(recipe.total_steps // 2)
        time.sleep(0.05)


def _announce(recipe: TrainingRecipe, seed: int) -> bool:
    folder = recipe.hyperparameter("folder")
    if not folder:
        return True
    first = not list(Path(str(folder)).glob(f"{seed}.*"))
    Path(str(folder), f"{seed}.{os.getpid()}").touch()
    return first


def engine(name: str) -> FakeEngine:
    return FakeEngine()


def evaluate(
    checkpoint: bytes, algorithm: str, environment: EnvironmentSpec, episodes: int, seed: int
) -> tuple[float, ...]:
    if environment.name == "Broken":
        raise ZeroDivisionError("this environment fails on purpose")
    if environment.name == "Unreadable":
        raise CorruptArtifactError("the checkpoint cannot be opened")
    start = int(hashlib.sha256(checkpoint + environment.label().encode()).hexdigest()[:6], 16)
    return tuple(start / 7 + seed + episode for episode in range(episodes))
