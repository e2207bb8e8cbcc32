"""The sb3 engine: trains one agent after the other through Stable-Baselines3."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stable_baselines3.common.base_class import BaseAlgorithm

from agents.deeprl.checkpoint import from_bytes, to_bytes, weights_digest, weights_finite
from agents.deeprl.engines.base import AgentSelection, TrainedAgent
from agents.deeprl.engines.sb3.build import build
from agents.deeprl.engines.sb3.recording import Recording
from agents.deeprl.recipe import TrainingRecipe
from agents.deeprl.stopwatch import Stopwatch
from agents.deeprl.threads import one_thread
from agents.library_randomness import library_randomness_kept
from envsearch.errors import InputError


class SB3Engine:
    """Any Stable-Baselines3 algorithm class and gymnasium environment; the reference of all engines."""

    name = "sb3"

    def objection(self, recipe: TrainingRecipe) -> str | None:
        """Why this recipe cannot be trained: the algorithm's own refusal, found by building the model once."""
        try:
            with library_randomness_kept():
                build(recipe, seed=0).get_env().close()  # type: ignore[union-attr]
        except InputError as error:
            return str(error)
        return None

    def train(
        self,
        recipe: TrainingRecipe,
        seeds: Sequence[int],
        selection: AgentSelection | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[TrainedAgent]:
        """Train one agent per seed, one after the other, with one thread each."""
        chosen = selection or AgentSelection()
        done = 0

        def advanced(steps: int) -> None:
            if progress is not None:
                progress(done + steps)

        agents = []
        for seed in seeds:
            agents.append(train_one(recipe, seed, chosen, advanced))
            done += recipe.total_steps
        return agents


def train_one(
    recipe: TrainingRecipe,
    seed: int,
    selection: AgentSelection,
    progress: Callable[[int], None] | None = None,
    all_seams: bool = False,
) -> TrainedAgent:
    """Train one agent; see `build` for `all_seams`.

    A training that fails because its weights are not finite is over, with a dead agent (or the best model before that,
    where the best is wanted): the library refuses to draw actions from such a policy. Other errors pass through.
    """
    stopwatch = Stopwatch()
    with library_randomness_kept(), one_thread():
        model = build(recipe, seed, all_seams)
        recording = Recording(recipe.environment, selection, progress)
        try:
            _learn(model, recipe.total_steps, recording)
            chosen, step, checkpoint = model, int(model.num_timesteps), to_bytes(model)
            if selection.kind == "best":
                recording.consider(model)
            if recording.best is not None:
                _, step, checkpoint = recording.best
                chosen = from_bytes(checkpoint, recipe.algorithm)
            digest, dead = weights_digest(chosen), not weights_finite(chosen)
        finally:
            model.get_env().close()  # type: ignore[union-attr]
    return TrainedAgent(
        seed=seed,
        checkpoint=checkpoint,
        weights_digest=digest,
        episode_steps=tuple(recording.episode_steps),
        episode_returns=tuple(recording.episode_returns),
        selected_step=step,
        train_seconds=stopwatch.wall,
        dead=dead,
        cpu_seconds=stopwatch.cpu,
    )


def _learn(model: BaseAlgorithm, steps: int, recording: Recording) -> None:
    try:
        model.learn(steps, callback=recording, log_interval=1_000_000)
    except Exception:
        if weights_finite(model):
            raise
