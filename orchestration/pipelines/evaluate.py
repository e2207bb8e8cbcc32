"""Evaluate populations at points of the environment's parameters, each agent at each point once and for all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mutations.mutant import Mutant
from orchestration.campaign_result import Point
from orchestration.pipelines.context import RunContext
from orchestration.pipelines.train import agents_of
from orchestration.spec.campaign import ResolvedCampaign
from orchestration.work import EvaluateBlock, EvaluationKey

LARGEST_BLOCK = 8
"""Evaluations per task: each takes tens of milliseconds to seconds, a task costs about two."""

BLOCKS_PER_SLOT = 4
"""At least so many tasks per core, so that the last ones end together."""

Rewards = dict[int, float]
"""Seed -> mean reward over the evaluation episodes."""


def blocks_of(keys: Sequence[EvaluationKey], slots: int) -> list[EvaluateBlock]:
    """Evaluations as tasks: big enough to be worth one, small enough to fill all cores. One agent's stay together."""
    size = max(1, min(LARGEST_BLOCK, len(keys) // (BLOCKS_PER_SLOT * slots)))
    return [EvaluateBlock(tuple(keys[start : start + size])) for start in range(0, len(keys), size)]


def missing_evaluations(context: RunContext, keys: Iterable[EvaluationKey]) -> list[EvaluationKey]:
    """Those that are not in the store, each once, in order."""
    distinct = {key.address(): key for key in keys}
    return [key for key in distinct.values() if not context.store.has_evaluation(key)]


def evaluate(context: RunContext, keys: Sequence[EvaluationKey], phase: str) -> None:
    """Run what is missing, for the agents that there are. Failures are in `context.failures`; the others go on."""
    wanted = [key for key in keys if context.store.has_agent(key.agent)]
    missing = missing_evaluations(context, wanted)
    context.run(phase, blocks_of(missing, context.executor.slots), len(wanted) - len(missing))


def evaluate_populations(
    context: RunContext, campaign: ResolvedCampaign, mutants: Sequence[Mutant], points: Sequence[Point], phase: str
) -> None:
    """Evaluate every trained agent of some populations at every point."""
    keys = [
        campaign.evaluation_of(agent, point)
        for mutant in mutants
        for agent in agents_of(campaign, mutant).values()
        for point in points
    ]
    evaluate(context, keys, phase)


def rewards_at(context: RunContext, campaign: ResolvedCampaign, mutant: Mutant, point: Point) -> Rewards:
    """Mean rewards of a population at a point, by seed; agents that failed are left out."""
    rewards: Rewards = {}
    for seed, agent in agents_of(campaign, mutant).items():
        key = campaign.evaluation_of(agent, point)
        if context.store.has_evaluation(key):
            returns = context.store.load_evaluation(key)
            rewards[seed] = sum(returns) / len(returns)
    return rewards
