"""Evaluation: populations at points of the environment's parameters, each agent at each point once and for all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestration.campaign.blocks import evaluation_blocks
from orchestration.campaign.context import RunContext
from orchestration.campaign.population import Population
from orchestration.campaign.result import Point
from orchestration.campaign.spec.campaign import EvaluationPurpose
from orchestration.execution.work import EvaluationKey


def evaluate_populations(
    context: RunContext,
    populations: Iterable[Population],
    points: Sequence[Point],
    phase: str,
    purpose: EvaluationPurpose = "verdicts",
) -> None:
    """Evaluate every trained agent of some populations at every point; the purpose decides which episodes are run."""
    evaluate(context, [key for population in populations for key in population.evaluations(points, purpose)], phase)


def evaluate(context: RunContext, keys: Sequence[EvaluationKey], phase: str) -> None:
    """Run what is missing, for the agents that were trained. Failures are in `context.failures`; the others go on."""
    agents = list({key.agent.address(): key.agent for key in keys}.values())
    stored = zip(agents, context.store.trained(agents), strict=True)
    trained = {agent.address() for agent, is_stored in stored if is_stored}
    possible = [key for key in keys if key.agent.address() in trained]
    missing = missing_evaluations(context, possible)
    context.run(phase, evaluation_blocks(missing, context.executor.slots), len(possible) - len(missing))


def missing_evaluations(context: RunContext, keys: Iterable[EvaluationKey]) -> list[EvaluationKey]:
    """Those that are not in the store, each once, in order."""
    distinct = list({key.address(): key for key in keys}.values())
    return [key for key, stored in zip(distinct, context.store.evaluated(distinct), strict=True) if not stored]
