"""Training: what is missing is trained, in blocks of seeds; finished agents are left alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestration.campaign.blocks import train_blocks
from orchestration.campaign.context import RunContext
from orchestration.campaign.population import Population, seed_by_seed
from orchestration.execution.work import AgentKey


def train_populations(context: RunContext, populations: Sequence[Population], phase: str) -> None:
    """Train every missing agent of some populations."""
    train(context, seed_by_seed(populations), phase)


def train(context: RunContext, keys: Sequence[AgentKey], phase: str) -> None:
    """Train what is missing. An agent that fails is in `context.failures`; the others go on."""
    missing = missing_agents(context, keys)
    earlier = len({key.address() for key in keys}) - len(missing)
    context.run(phase, train_blocks(missing, context.executor.slots), earlier)


def missing_agents(context: RunContext, keys: Iterable[AgentKey]) -> list[AgentKey]:
    """Those that are not in the store, each once, in order."""
    distinct = list({key.address(): key for key in keys}.values())
    return [key for key, stored in zip(distinct, context.store.trained(distinct), strict=True) if not stored]
