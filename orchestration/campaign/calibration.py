"""What a campaign's work costs on this machine: measured for a second or two, or read from finished work.

Costs are CPU time of the process that does the work. Wall time is longer where other programs use the same cores, and
where an environment waits (for a simulator of its own, say); neither can be predicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agents.deeprl.checkpoint import from_bytes
from agents.deeprl.engines.base import AgentSelection, TrainedAgent, agents_together
from agents.deeprl.engines.registry import engine
from agents.deeprl.recipe import TrainingRecipe
from agents.deeprl.stopwatch import StoppedTimes, Stopwatch
from agents.deeprl.threads import one_thread
from envsearch.registry import environment, make
from envsearch.spec import EnvironmentSpec
from orchestration.campaign.population import Populations
from orchestration.campaign.spec.campaign import ResolvedCampaign
from orchestration.execution.results import ResultStore

TRAIN_SECONDS = 1.0
"""A training is measured for at least this long (unless its whole budget is shorter)."""

MUCH_LONGER = 1.5
"""A measurement that takes this many times its CPU time gets a note."""

SHORTEST = 1000
"""Steps of the first training."""

EVALUATION_STEPS = 200
UNLIMITED_STEPS = 1000
"""Steps assumed for an episode of an environment without a time limit."""


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU seconds.

    Attributes:
        train: of one agent; where an engine trains many at once, its share of their block.
        evaluation: of one agent at one point, with episodes that last until the time limit (an upper estimate).
        source: ``measured`` here and now, or ``recorded`` from agents of this campaign in the store (not those of
            0.1.0, which recorded wall time only).
        notes: how it was measured.
    """

    train: float
    evaluation: float
    source: str
    notes: tuple[str, ...] = ()


def costs(campaign: ResolvedCampaign, store: ResultStore) -> Costs:
    """The recorded costs where this campaign has trained and evaluated healthy agents, else measured ones."""
    recorded = _recorded(campaign, store)
    return recorded or measured(campaign)


def _recorded(campaign: ResolvedCampaign, store: ResultStore) -> Costs | None:
    trainings, evaluations = [], []
    healthy = Populations(campaign, store).healthy
    for agent, key in zip(healthy.agents.values(), healthy.evaluations([campaign.initial_point]), strict=True):
        if store.has_agent(agent) and store.has_evaluation(key):
            training, evaluation = store.agent_record(agent).cpu_seconds, store.evaluation_cpu_seconds(key)
            if training is not None and evaluation is not None:  # 0.1.0 recorded wall time only
                trainings.append(training)
                evaluations.append(evaluation)
    if not trainings:
        return None
    return Costs(sum(trainings) / len(trainings), sum(evaluations) / len(evaluations), "recorded")


def measured(campaign: ResolvedCampaign) -> Costs:
    """Train the healthy recipe for a second, then step the environments of one evaluation for some steps."""
    with one_thread():
        steps, stopwatch, agents = _timed_training(campaign)
        train = stopwatch.cpu * campaign.healthy.total_steps / steps / len(agents)
        notes = _notes(steps, stopwatch, len(agents))
        if campaign.evaluation.method == "fleet":
            return Costs(train, _fleet_evaluation_seconds(campaign, agents), "measured", notes)
        return Costs(train, _evaluation_seconds(campaign, agents[0]), "measured", notes)


def _notes(steps: int, stopwatch: StoppedTimes, agents: int) -> tuple[str, ...]:
    notes = []
    if agents > 1:
        notes.append(
            f"Measured with {agents} agents at once for {steps} steps each; "
            "the start of a task (with the compilation of its program, if it is not cached) is not counted."
        )
    if stopwatch.wall > MUCH_LONGER * stopwatch.cpu:
        notes.append(
            f"The measured training took {stopwatch.wall / stopwatch.cpu:.1f} times as long as its CPU time: this "
            "machine is busy, or the environment waits. The predicted wall time assumes neither."
        )
    return tuple(notes)


def _timed_training(campaign: ResolvedCampaign) -> tuple[int, StoppedTimes, list[TrainedAgent]]:
    """Train with growing budgets until a training takes long enough; the shorter ones absorb the start-up."""
    trainer, total = engine(campaign.engine), campaign.healthy.total_steps
    together = agents_together(trainer, campaign.healthy)
    seeds = list(range(min(together, len(campaign.seeds))))
    steps = min(total, SHORTEST)
    if together > 1:  # compiles the program, which is then cached
        trainer.train(_short(campaign.healthy, steps), seeds, AgentSelection())
    while True:
        stopwatch = Stopwatch()
        agents = trainer.train(_short(campaign.healthy, steps), seeds, AgentSelection())
        taken = stopwatch.stopped()
        done = max(steps, agents[0].selected_step)  # on-policy algorithms end with a whole rollout
        if taken.wall >= TRAIN_SECONDS or steps >= total:
            return done, taken, agents
        steps = min(total, max(2 * steps, int(1.3 * steps * TRAIN_SECONDS / taken.wall)))


def _short(recipe: TrainingRecipe, steps: int) -> TrainingRecipe:
    """The recipe for a few steps. An off-policy learner must learn in them, or only its warm-up would be measured."""
    hyperparameters = dict(recipe.hyperparameters)
    starts = hyperparameters.get("learning_starts")
    if isinstance(starts, int) and starts > steps // 10:
        share = starts / recipe.total_steps
        hyperparameters["learning_starts"] = int(min(share, 0.9) * steps)
    return recipe.replace(total_steps=steps, hyperparameters=tuple(hyperparameters.items()))


def _fleet_evaluation_seconds(campaign: ResolvedCampaign, agents: Sequence[TrainedAgent]) -> float:
    """CPU seconds of one agent's share of a batch, as if its episodes lasted until the time limit."""
    from agents.deeprl.engines.fleet.evaluation import SavedAgent, compiled_step_seconds

    recipe = campaign.healthy
    place, episodes = recipe.environment, campaign.evaluation.episodes
    pairs = [(SavedAgent(agent.checkpoint, recipe.algorithm, recipe.policy), place) for agent in agents]
    together = compiled_step_seconds(pairs, episodes)
    if together is not None:
        return together / len(pairs) * _time_limit(campaign)
    return _step_seconds(place) * episodes * _time_limit(campaign)


def _step_seconds(place: EnvironmentSpec) -> float:
    """CPU seconds of an environment's step: the rest of an evaluation by the fleet costs little in comparison."""
    env = make(place)
    env.action_space.seed(0)
    env.reset(seed=0)
    stopwatch = Stopwatch()
    for _ in range(EVALUATION_STEPS):
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            env.reset()
    seconds = stopwatch.cpu
    env.close()
    return seconds / EVALUATION_STEPS


def _time_limit(campaign: ResolvedCampaign) -> int:
    return environment(campaign.healthy.environment.name).max_episode_steps or UNLIMITED_STEPS


def _evaluation_seconds(campaign: ResolvedCampaign, agent: TrainedAgent) -> float:
    """CPU seconds of one evaluation whose episodes all last until the time limit, advanced together."""
    stopwatch = Stopwatch()
    model = from_bytes(agent.checkpoint, campaign.healthy.algorithm)
    loading = stopwatch.cpu
    envs = [make(campaign.healthy.environment) for _ in range(campaign.evaluation.episodes)]
    observations = [env.reset(seed=index)[0] for index, env in enumerate(envs)]
    stopwatch = Stopwatch()
    for _ in range(EVALUATION_STEPS):
        actions, _ = model.predict(np.stack(observations), deterministic=True)
        for index, (env, action) in enumerate(zip(envs, actions, strict=True)):
            observations[index], _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                observations[index] = env.reset()[0]
    seconds = stopwatch.cpu
    for env in envs:
        env.close()
    return loading + seconds / EVALUATION_STEPS * _time_limit(campaign)
