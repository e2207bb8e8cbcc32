"""Interquartile means, probabilities of improvement and performance profiles of a campaign's populations.

Derived from the rewards in the result whenever a report is made; nothing of it is stored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mutations.reliability import (
    BootstrapEstimate,
    PerformanceProfile,
    flat,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
)
from orchestration.campaign import result_facts as facts
from orchestration.campaign.report import figures, formatting
from orchestration.campaign.report.matrix_view import View
from orchestration.campaign.report.table import Row, Table
from orchestration.campaign.result import CampaignResult, PopulationResult

IMPROVEMENT_SCALE = formatting.EffectScale("probability of improvement", 0.5, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class PopulationReliability:
    """One population; None where it has no agents, and no improvement for the healthy one or without it."""

    population: PopulationResult
    interquartile_mean: BootstrapEstimate | None
    improvement: BootstrapEstimate | None


def seed_of(result: CampaignResult) -> int:
    """The seed of the campaign's statistics; 0, the spec's default, where the spec sets none."""
    seed = result.spec.get("seed", 0)
    return seed if isinstance(seed, int) else 0


def reliability_of(result: CampaignResult) -> tuple[PopulationReliability, ...]:
    """Every population, the healthy one first."""
    healthy, seed = facts.healthy_of(result), seed_of(result)
    populations = [*([healthy] if healthy else []), *facts.mutant_populations(result)]
    return tuple(_reliability(population, healthy, seed) for population in populations)


def _reliability(population: PopulationResult, healthy: PopulationResult | None, seed: int) -> PopulationReliability:
    if not describable(population):
        return PopulationReliability(population, None, None)
    mean, improvement = interquartile_mean(rewards_of(population), seed), None
    if population.order and healthy is not None and describable(healthy):
        improvement = probability_of_improvement(rewards_of(healthy), rewards_of(population), seed)
    return PopulationReliability(population, mean, improvement)


def rewards_of(population: PopulationResult) -> tuple[float, ...]:
    """Rewards of all agents; minus infinity for the dead ones, which come last."""
    return (*population.rewards, *((-math.inf,) * len(population.dead)))


def describable(population: PopulationResult) -> bool:
    """Whether a population has agents, living or dead."""
    return bool(population.rewards or population.dead)


def profile_of(population: PopulationResult, seed: int) -> PerformanceProfile:
    """The share of agents above each reward that an agent has: there the curve steps, and only there."""
    return performance_profile(rewards_of(population), sorted(set(population.rewards)), seed)


def reliability_table(result: CampaignResult) -> Table:
    """One row per population: interquartile mean, probability of improvement, 95 % intervals.

    An interquartile mean is ``-inf`` where a dead agent is in the middle half.
    """
    rows: list[Row] = []
    for entry in reliability_of(result):
        row: Row = {"environment": result.environment, "algorithm": result.algorithm}
        row |= {"mutant": entry.population.mutant, "agents": len(rewards_of(entry.population))}
        numbers = flat("iqm", entry.interquartile_mean) | flat("improvement", entry.improvement)
        rows.append({**row, **{name: "-inf" if cell == -math.inf else cell for name, cell in numbers.items()}})
    columns = (*flat("iqm", None), *flat("improvement", None))
    return Table(("environment", "algorithm", "mutant", "agents", *columns), tuple(rows))


def profiles_table(result: CampaignResult) -> Table:
    """Performance profiles: per population and reward of one of its agents, the share of agents above."""
    rows: list[Row] = []
    for entry in reliability_of(result):
        if entry.interquartile_mean is not None:
            profile = profile_of(entry.population, seed_of(result))
            points = zip(profile.thresholds, profile.shares, profile.low, profile.high, strict=True)
            rows += [
                {"mutant": entry.population.mutant, "threshold": threshold, "share": share, "low": low, "high": high}
                for threshold, share, low, high in points
            ]
    return Table(("mutant", "threshold", "share", "low", "high"), tuple(rows))


def reliability_views(result: CampaignResult) -> list[View]:
    """The rows of the page's table."""
    return [_view(entry) for entry in reliability_of(result)]


def _view(entry: PopulationReliability) -> View:
    mean, improvement = entry.interquartile_mean, entry.improvement
    bar = (
        figures.effect_bar(IMPROVEMENT_SCALE, improvement.value, improvement.low, improvement.high)
        if improvement
        else ""
    )
    return {
        "mutant": entry.population.mutant,
        "agents": len(rewards_of(entry.population)),
        "iqm": formatting.number(mean.value) if mean else "–",
        "iqm_interval": _interval(mean, 3),
        "improvement": formatting.number(improvement.value, 2) if improvement else "",
        "improvement_interval": _interval(improvement, 2),
        "bar": bar,
    }


def _interval(estimate: BootstrapEstimate | None, digits: int) -> str:
    if estimate is None:
        return ""
    return f"{formatting.number(estimate.low, digits)} to {formatting.number(estimate.high, digits)}"
