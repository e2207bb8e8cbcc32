"""A population: the agents of one mutant, one per seed, and what the result store holds about them.

A campaign makes each of its populations once and passes it to its steps; no step derives recipes or keys again.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from agents.deeprl.recipe import TrainingRecipe
from mutations.folding import mutate
from mutations.mutant import Mutant
from orchestration.campaign.result import Point
from orchestration.campaign.spec.campaign import EvaluationPurpose, ResolvedCampaign
from orchestration.execution.results import AgentRecord, ResultStore
from orchestration.execution.work import DEAD, AgentKey, EvaluationKey

Rewards = dict[int, float]
"""Seed -> mean reward over the evaluation episodes; minus infinity for a dead agent."""


def mean_reward(returns: Sequence[float]) -> float:
    """Mean of an evaluation's returns; minus infinity, a dead agent, where one of them is not finite."""
    return sum(returns) / len(returns) if all(map(math.isfinite, returns)) else DEAD


def living(rewards: Mapping[int, float]) -> Rewards:
    """The rewards of the agents that are not dead."""
    return {seed: reward for seed, reward in rewards.items() if reward != DEAD}


def mean_of_living(rewards: Mapping[int, float]) -> float:
    """Mean reward of the agents that are not dead; 0 if there are none."""
    alive = living(rewards)
    return sum(alive.values()) / len(alive) if alive else 0.0


@dataclass(eq=False, slots=True)
class Population:
    """The agents of one mutant; the healthy population is that of the mutant without mutations.

    Attributes:
        mutant: the faults of all its agents.
        recipe: the campaign's healthy recipe folded over them.
        agents: seed -> agent, in the order of the campaign's seeds.
        campaign: the one it belongs to.
        store: where its agents and their evaluations are kept.
    """

    mutant: Mutant
    recipe: TrainingRecipe
    agents: Mapping[int, AgentKey]
    campaign: ResolvedCampaign
    store: ResultStore
    _complete: dict[tuple[Point, EvaluationPurpose], Rewards] = field(default_factory=dict, repr=False)

    @property
    def id(self) -> str:
        """The mutant's (``Healthy``, ``NDF``, ``NDF-MTS``)."""
        return self.mutant.id

    def evaluations(self, points: Iterable[Point], purpose: EvaluationPurpose = "verdicts") -> list[EvaluationKey]:
        """The evaluations of every agent at every point, agent by agent."""
        places = list(points)
        agents = self.agents.values()
        return [self.campaign.evaluation_of(agent, point, purpose) for agent in agents for point in places]

    def records(self) -> dict[int, AgentRecord]:
        """Seed -> record of the trained agent. Agents whose training failed are left out."""
        records = zip(self.agents, self.store.records(list(self.agents.values())), strict=True)
        return {seed: record for seed, record in records if record is not None}

    def rewards_at(self, point: Point, purpose: EvaluationPurpose = "verdicts") -> Rewards:
        """Mean rewards at a point, by seed; dead agents have minus infinity. Agents whose job failed are left out.

        Once all agents have been evaluated at the point, the store is not asked again.
        """
        if (point, purpose) in self._complete:
            return dict(self._complete[point, purpose])
        episodes = zip(self.agents, self.store.evaluations(self.evaluations([point], purpose)), strict=True)
        rewards = {seed: mean_reward(returns) for seed, returns in episodes if returns}
        if len(rewards) == len(self.agents):
            self._complete[point, purpose] = dict(rewards)
        return rewards

    def failures(self, failures: Mapping[str, str]) -> list[tuple[int, str]]:
        """(seed, error) of the agents whose job failed: training, or evaluation at the initial point.

        Args:
            failures: content address -> error, of all items that failed.
        """
        failed = []
        for seed, agent in self.agents.items():
            evaluation = self.campaign.evaluation_of(agent, self.campaign.initial_point)
            addresses = (agent.address(), evaluation.address())
            failed += [(seed, failures[address]) for address in addresses if address in failures]
        return failed

    def first(self, agents: int) -> Population:
        """The same population with the agents of its first seeds only."""
        few = dict(itertools.islice(self.agents.items(), agents))
        return Population(self.mutant, self.recipe, few, self.campaign, self.store)


class Populations:
    """Every population of one campaign, each made once.

    Attributes:
        campaign: what runs.
        store: where its results are kept.
        healthy: the healthy population.
        first_order: those of the first-order mutants, in the spec's order.
        swept: those of the sweeps over magnitudes that are not among them.
        in_sweeps: those of the sweeps, first-order mutants included.
    """

    def __init__(self, campaign: ResolvedCampaign, store: ResultStore) -> None:
        self.campaign = campaign
        self.store = store
        self._by_id: dict[str, Population] = {}
        self.healthy = self.of(Mutant())
        self.first_order = [self.of(mutant) for mutant in campaign.mutants]
        mutants = dict.fromkeys(Mutant((mutation,)) for sweep in campaign.sweeps for mutation in sweep.mutations)
        self.in_sweeps = [self.of(mutant) for mutant in mutants]
        self.swept = [self.of(mutant) for mutant in mutants if mutant not in campaign.mutants]

    def of(self, mutant: Mutant) -> Population:
        """The population of a mutant.

        Raises:
            MutationRefusedError: its mutations cancel or shadow each other, or do not apply.
        """
        if mutant.id not in self._by_id:
            recipe = mutate(self.campaign.healthy, mutant)
            seeds = self.campaign.mutant_seeds if mutant.mutations else self.campaign.seeds
            agents = {seed: self.campaign.agent(recipe, seed) for seed in seeds}
            self._by_id[mutant.id] = Population(mutant, recipe, agents, self.campaign, self.store)
        return self._by_id[mutant.id]

    def recipes(self) -> dict[str, TrainingRecipe]:
        """Mutant id -> recipe, of the populations made so far."""
        return {name: population.recipe for name, population in self._by_id.items()}


def seed_by_seed(populations: Sequence[Population]) -> list[AgentKey]:
    """The agents of several populations of one campaign, seed by seed, so that all populations grow together."""
    largest = max(populations, key=lambda population: len(population.agents), default=None)
    seeds = largest.agents if largest is not None else ()
    return [population.agents[seed] for seed in seeds for population in populations if seed in population.agents]
