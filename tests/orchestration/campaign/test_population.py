"""Populations: made once, keys by seed, rewards read once all agents have been evaluated."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from agents.deeprl.engines.base import TrainedAgent
from envsearch.errors import MutationRefusedError
from mutations.folding import mutate
from mutations.parsing import parse_mutant
from orchestration.campaign.population import Populations, living, seed_by_seed
from orchestration.campaign.spec.campaign import ResolvedCampaign
from orchestration.campaign.spec.loading import parse_spec
from orchestration.campaign.spec.resolving import resolve
from orchestration.execution.results import ResultStore


@pytest.fixture
def campaign() -> ResolvedCampaign:
    spec = {"environment": "CartPole-v1", "algorithm": "ppo", "seeds": 3, "steps": 100, "operators": ["NDF", "MTS"]}
    return resolve(parse_spec({**spec, "evaluation": {"episodes": 2}}))


@pytest.fixture
def populations(campaign: ResolvedCampaign, tmp_path: Path) -> Populations:
    return Populations(campaign, ResultStore(str(tmp_path)))


def test_each_population_is_made_once(populations: Populations) -> None:
    assert populations.of(populations.first_order[0].mutant) is populations.first_order[0]
    higher = populations.of(parse_mutant("NDF-MTS"))
    assert populations.of(parse_mutant("NDF-MTS")) is higher
    assert higher.recipe == mutate(populations.campaign.healthy, parse_mutant("NDF-MTS"))
    assert list(populations.recipes()) == ["Healthy", "NDF", "MTS", "NDF-MTS"]


def test_mutations_that_cannot_be_combined_are_refused(populations: Populations) -> None:
    with pytest.raises(MutationRefusedError):
        populations.of(parse_mutant("POC_Adam"))


def test_agents_grow_together(populations: Populations) -> None:
    keys = seed_by_seed([populations.healthy, *populations.first_order])
    assert [key.seed for key in keys] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert keys[1] == populations.first_order[0].agents[0]
    assert seed_by_seed([]) == []


def test_evaluations_are_agent_by_agent(populations: Populations) -> None:
    points = [populations.campaign.initial_point, (("cart_mass", 2.0), ("pole_mass", 0.1))]
    keys = populations.healthy.evaluations(points)
    assert [key.agent.seed for key in keys] == [0, 0, 1, 1, 2, 2]
    assert [key.environment.values for key in keys] == points * 3


def test_rewards_are_kept_once_complete(populations: Populations) -> None:
    healthy, point = populations.healthy, populations.campaign.initial_point
    keys = healthy.evaluations([point])
    for key in keys[:2]:
        healthy.store.save_evaluation(key, (1.0, 2.0), 0.1)
    assert healthy.rewards_at(point) == {0: 1.5, 1: 1.5}, "a missing agent is left out"
    healthy.store.save_evaluation(keys[2], (3.0, 5.0), 0.1)
    complete = healthy.rewards_at(point)
    assert complete == {0: 1.5, 1: 1.5, 2: 4.0}
    complete.clear()
    assert len(healthy.rewards_at(point)) == 3, "a caller's change reaches nobody else"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_agent_whose_returns_are_not_finite_is_dead(populations: Populations, value: float) -> None:
    healthy, point = populations.healthy, populations.campaign.initial_point
    for key, returns in zip(healthy.evaluations([point]), ((1.0, 2.0), (1.0, value), (3.0, 5.0)), strict=True):
        healthy.store.save_evaluation(key, returns, 0.1)
    assert healthy.rewards_at(point) == {0: 1.5, 1: -math.inf, 2: 4.0}
    assert living(healthy.rewards_at(point)) == {0: 1.5, 2: 4.0}


def test_records_and_failures_are_by_seed(populations: Populations) -> None:
    healthy = populations.healthy
    agent = TrainedAgent(1, b"zip", "digest", (10,), (10.0,), 100, 0.5)
    healthy.store.save_agent(healthy.agents[1], agent)
    assert {seed: record.weights_digest for seed, record in healthy.records().items()} == {1: "digest"}
    (evaluation,) = healthy.evaluations([populations.campaign.initial_point])[2:]
    failures = {healthy.agents[0].address(): "ValueError: lost", evaluation.address(): "OSError: full", "other": "x"}
    assert healthy.failures(failures) == [(0, "ValueError: lost"), (2, "OSError: full")]
