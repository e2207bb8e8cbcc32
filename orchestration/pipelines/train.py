"""Train populations: every missing agent is a task of its own, the finished ones are left alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from agents.deeprl.recipe import TrainingRecipe
from mutations.folding import mutate
from mutations.mutant import Mutant
from orchestration.pipelines.context import RunContext
from orchestration.spec.campaign import ResolvedCampaign
from orchestration.stores.results import AgentRecord
from orchestration.work import AgentKey, TrainBlock

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
    distinct = {key.address(): key for key in keys}
    return [key for key in distinct.values() if not context.store.has_agent(key)]


def train(context: RunContext, keys: Sequence[AgentKey], phase: str) -> None:
    """Train what is missing. A failing agent is in `context.failures`; the others go on."""
    missing = missing_agents(context, keys)
    earlier = len({key.address() for key in keys}) - len(missing)
    context.run(phase, [TrainBlock((key,)) for key in missing], earlier)


def records_of(context: RunContext, campaign: ResolvedCampaign, mutant: Mutant) -> dict[int, AgentRecord]:
    """What is known of a population's trained agents, by seed; agents whose training failed are left out."""
    keys = agents_of(campaign, mutant)
    return {seed: context.store.agent_record(key) for seed, key in keys.items() if context.store.has_agent(key)}
