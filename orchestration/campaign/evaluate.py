"""Evaluate populations at points of the environment's parameters, each agent at each point once and for all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mutations.mutant import Mutant
from orchestration.campaign.blocks import evaluation_blocks
from orchestration.campaign.context import RunContext
from orchestration.campaign.result import Point
from orchestration.campaign.spec.campaign import ResolvedCampaign
from orchestration.campaign.train import agents_of
from orchestration.execution.work import EvaluationKey

Rewards = dict[int, float]
"""Seed -> mean reward over the evaluation episodes."""


def missing_evaluations(context: RunContext, keys: Iterable[EvaluationKey]) -> list[EvaluationKey]:
    """Those that are not in the store, each once, in order."""
    distinct = list({key.address(): key for key in keys}.values())
    return [key for key, there in zip(distinct, context.store.evaluated(distinct), strict=True) if not there]


def evaluate(context: RunContext, keys: Sequence[EvaluationKey], phase: str) -> None:
    """Run what is missing, for the agents that there are. Failures are in `context.failures`; the others go on."""
    agents = list({key.agent.address(): key.agent for key in keys}.values())
    there = {agent.address() for agent, found in zip(agents, context.store.trained(agents), strict=True) if found}
    wanted = [key for key in keys if key.agent.address() in there]
    missing = missing_evaluations(context, wanted)
    context.run(phase, evaluation_blocks(missing, context.executor.slots), len(wanted) - len(missing))


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
    agents = agents_of(campaign, mutant)
    found = context.store.evaluations([campaign.evaluation_of(agent, point) for agent in agents.values()])
    return {seed: sum(returns) / len(returns) for seed, returns in zip(agents, found, strict=True) if returns}
