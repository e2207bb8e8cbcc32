"""Work items as tasks: everything once, in whole blocks of seeds where there are enough of them for all cores."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.deeprl.engines import registry
from agents.deeprl.recipe import PolicySite, TrainingRecipe
from envsearch.spec import EnvironmentSpec
from orchestration.campaign.blocks import LARGEST_BLOCK, LARGEST_FLEET, evaluation_blocks, train_blocks
from orchestration.execution.work import AgentKey, EvaluationKey, TrainBlock

SEEDS = 20


def recipe(number: int = 0) -> TrainingRecipe:
    return TrainingRecipe(EnvironmentSpec("E"), "ppo", (), 100 + number, PolicySite("Tanh", "Adam"))


class Together:
    """An engine that trains twenty agents at once."""

    def block_size(self, recipe: TrainingRecipe) -> int:
        return SEEDS


class Alone:
    """An engine from before there were blocks."""


@pytest.fixture(autouse=True)
def _engines(monkeypatch: pytest.MonkeyPatch) -> None:
    engines: dict[str, Any] = {"together": Together(), "alone": Alone()}
    monkeypatch.setattr("orchestration.campaign.blocks.engine", engines.__getitem__)
    assert "sb3" in registry.ENGINES


def agents(populations: int, seeds: int = SEEDS, engine: str = "together") -> list[AgentKey]:
    recipes = [recipe(number) for number in range(populations)]
    return [AgentKey(each, seed, engine) for seed in range(seeds) for each in recipes]


def sizes(blocks: list[TrainBlock]) -> list[int]:
    return [len(block.agents) for block in blocks]


@pytest.mark.parametrize(
    ("populations", "seeds", "slots", "expected"),
    [
        (13, 20, 1, [20] * 13),
        (13, 20, 2, [20] * 12 + [10, 10]),
        (1, 20, 2, [10, 10]),
        (1, 20, 4, [5, 5, 5, 5]),
        (2, 20, 2, [20, 20]),
        (12, 20, 8, [20] * 8 + [10] * 8),
        (1, 25, 1, [12, 13]),
        (1, 1, 8, [1]),
        (0, 20, 2, []),
    ],
)
def test_blocks_of_seeds(populations: int, seeds: int, slots: int, expected: list[int]) -> None:
    assert sizes(train_blocks(agents(populations, seeds), slots)) == expected


@given(st.integers(0, 6), st.integers(1, 45), st.integers(1, 12))
def test_every_agent_is_in_one_block_with_its_own_recipe(populations: int, seeds: int, slots: int) -> None:
    keys = agents(populations, seeds)
    blocks = train_blocks(keys, slots)
    assert Counter(key for block in blocks for key in block.agents) == Counter(keys)
    assert all(len({key.recipe for key in block.agents}) == 1 for block in blocks)
    assert all(size <= SEEDS for size in sizes(blocks))


def test_an_engine_that_trains_one_at_a_time_gets_a_task_for_each_agent_in_order() -> None:
    keys = agents(3, 4, "alone")
    assert train_blocks(keys, 2) == [TrainBlock((key,)) for key in keys]


def test_an_engine_that_there_is_not_is_left_to_its_task() -> None:
    keys = agents(1, 2, "nowhere:ENGINE")
    assert train_blocks(keys, 2) == [TrainBlock((key,)) for key in keys]


@given(st.integers(0, 200), st.integers(1, 40))
def test_evaluations_one_after_another(count: int, slots: int) -> None:
    keys = [EvaluationKey(AgentKey(recipe(), seed), EnvironmentSpec("E")) for seed in range(count)]
    blocks = evaluation_blocks(keys, slots)
    assert [key for block in blocks for key in block.evaluations] == keys
    assert all(1 <= len(block.evaluations) <= LARGEST_BLOCK for block in blocks)
    if count >= slots:
        assert len(blocks) >= min(slots, count)


@given(st.integers(0, 60), st.integers(1, 30), st.integers(1, 9))
def test_evaluations_together(count: int, points: int, slots: int) -> None:
    keys = [
        EvaluationKey(agent, EnvironmentSpec("E", (("x", float(point)),)), method="fleet")
        for agent in (AgentKey(recipe(), seed) for seed in range(count))
        for point in range(points)
    ]
    blocks = evaluation_blocks(keys, slots)
    assert [key for block in blocks for key in block.evaluations] == keys
    assert all(len(block.evaluations) <= LARGEST_FLEET + points for block in blocks)
    assert len(blocks) >= min(slots, count)
    where: dict[str, set[int]] = {}
    for number, block in enumerate(blocks):
        for key in block.evaluations:
            where.setdefault(key.agent.address(), set()).add(number)
    assert all(len(numbers) == 1 for numbers in where.values())
