"""What a result says about one population: rewards, failures, liveness, learning curve, cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from orchestration.campaign.context import RunContext
from orchestration.campaign.population import Population, living
from orchestration.campaign.result import LearningCurve, PopulationResult, total
from orchestration.campaign.steps.sanity import identical_seeds
from orchestration.execution.results import AgentRecord

CURVE_POINTS = 60
CURVE_WINDOW = 10
"""Episodes averaged at each point of a curve."""


def population_result(
    context: RunContext,
    population: Population,
    healthy: Mapping[int, AgentRecord],
    same_agents: Mapping[str, str],
) -> PopulationResult:
    """One population in the initial environment.

    Args:
        healthy: records of the healthy agents, by seed.
        same_agents: mutant -> the mutant that is counted in its place.
    """
    campaign, mutant = population.campaign, population.mutant
    records = population.records()
    everybody = population.rewards_at(campaign.initial_point)
    rewards, best = living(everybody), campaign.selection.kind == "best"
    return PopulationResult(
        mutant=mutant.id,
        order=mutant.order,
        seeds=tuple(rewards),
        rewards=tuple(rewards.values()),
        failed=tuple(population.failures(context.failures)),
        identical_seeds=identical_seeds(healthy, records) if mutant.order else (),
        curve=learning_curve([record for record in records.values() if not record.dead], campaign.healthy.total_steps),
        train_seconds=sum(record.train_seconds for record in records.values()),
        recipe_address=population.recipe.address,
        dead=tuple(seed for seed in everybody if seed not in rewards),
        selected_steps=tuple(records[seed].selected_step for seed in rewards) if best else (),
        cpu_seconds=total([record.cpu_seconds for record in records.values()]),
        same_agents_as=same_agents.get(mutant.id, ""),
    )


def learning_curve(records: Sequence[AgentRecord], total_steps: int) -> LearningCurve | None:
    """Training return over steps: mean and 10th to 90th percentile over agents, each smoothed over 10 episodes.

    The curve begins where every agent has finished an episode; None if that is never the case.
    """
    if not records or not all(record.episode_steps for record in records):
        return None
    grid = np.linspace(0.0, float(total_steps), CURVE_POINTS + 1)[1:]
    grid = grid[grid >= max(record.episode_steps[0] for record in records)]
    if not len(grid):
        return None
    curves = np.array([_smoothed(record, grid) for record in records])
    low, high = np.percentile(curves, [10.0, 90.0], axis=0)
    columns = (grid, curves.mean(axis=0), low, high)
    return LearningCurve(*(tuple(float(value) for value in column) for column in columns))


def _smoothed(record: AgentRecord, grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean return of the last episodes finished by each step of the grid, shape (len(grid),)."""
    returns = np.concatenate([[0.0], np.cumsum(np.asarray(record.episode_returns, dtype=np.float64))])
    ends = np.searchsorted(np.asarray(record.episode_steps), grid, side="right")
    starts = np.maximum(0, ends - CURVE_WINDOW)
    smoothed: NDArray[np.float64] = (returns[ends] - returns[starts]) / np.maximum(1, ends - starts)
    return smoothed
