"""Train populations: what is missing is trained, in blocks of seeds; the finished agents are left alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from agents.deeprl.recipe import TrainingRecipe
from mutations.folding import mutate
from mutations.mutant import Mutant
from orchestration.campaign.blocks import train_blocks
from orchestration.campaign.context import RunContext
from orchestration.campaign.spec.campaign import ResolvedCampaign
from orchestration.execution.results import AgentRecord
from orchestration.execution.work import AgentKey

HEALTHY_MUTANT = Mutant()


def recipe_of(campaign: ResolvedCampaign, mutant: Mutant) -> TrainingRecipe:
    """The healthy recipe folded over a mutant's operators."""
    return _folded(campaign.healthy, mutant)


@lru_cache(maxsize=1024)
def _folded(healthy: TrainingRecipe, mutant: Mutant) -> TrainingRecipe:
    """Kept, because a recipe keeps its own address and is asked for it once per agent and point."""
    return mutate(healthy, mutant)


def agents_of(campaign: ResolvedCampaign, mutant: Mutant) -> dict[int, AgentKey]:
    """The agents of one population, by seed."""
    recipe = recipe_of(campaign, mutant)
    return {seed: campaign.agent(recipe, seed) for seed in campaign.seeds}


def interleaved(campaign: ResolvedCampaign, mutants: Sequence[Mutant]) -> list[AgentKey]:
    """The agents of several populations, seed by seed, so that all populations grow together."""
    populations = [agents_of(campaign, mutant) for mutant in mutants]
    return [population[seed] for seed in campaign.seeds for population in populations]


def missing_agents(context: RunContext, keys: Iterable[AgentKey]) -> list[AgentKey]:
    """Those that are not in the store, each once, in order."""
    distinct = list({key.address(): key for key in keys}.values())
    return [key for key, there in zip(distinct, context.store.trained(distinct), strict=True) if not there]


def train(context: RunContext, keys: Sequence[AgentKey], phase: str) -> None:
    """Train what is missing. A failing agent is in `context.failures`; the others go on."""
    missing = missing_agents(context, keys)
    earlier = len({key.address() for key in keys}) - len(missing)
    context.run(phase, train_blocks(missing, context.executor.slots), earlier)


def records_of(context: RunContext, campaign: ResolvedCampaign, mutant: Mutant) -> dict[int, AgentRecord]:
    """What is known of a population's trained agents, by seed; agents whose training failed are left out."""
    keys = agents_of(campaign, mutant)
    records = zip(keys, context.store.records(list(keys.values())), strict=True)
    return {seed: record for seed, record in records if record is not None}
