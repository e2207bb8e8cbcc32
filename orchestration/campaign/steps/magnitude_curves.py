"""Magnitude curves: from which magnitude is an operator noticed, by the campaign's margin?

The mutants of a sweep are first-order mutants: trained, evaluated, checked for liveness and judged like the others, in
the initial environment. Their verdicts are a family of their own, they are not in the kill matrix and they do not count
in the mutation score. So a sweep changes neither another verdict nor the score. The curve itself is about agents, not
verdicts: it is the same for every kill test.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mutations.killing.kill_test import KillVerdict
from mutations.magnitude_sweep import MagnitudeSweep
from mutations.magnitude_threshold import CONFIDENCE, magnitude_threshold
from mutations.mutant import Mutant
from orchestration.campaign.magnitude_curve import MagnitudeCurve, MagnitudePoint
from orchestration.campaign.population import Population, Populations, Rewards
from orchestration.campaign.result import MutantVerdict
from orchestration.campaign.steps.judging import LEAST_SHARE, comparison_seed


def magnitude_curves(populations: Populations, verdicts: Sequence[MutantVerdict]) -> list[MagnitudeCurve]:
    """A curve for every swept operator.

    Args:
        verdicts: in the initial environment, corrected; a mutant that the campaign judges anyway has its verdict there.
    """
    by_mutant: dict[str, tuple[KillVerdict, ...]] = {}
    for entry in verdicts:
        by_mutant[entry.mutant] = (*by_mutant.get(entry.mutant, ()), entry.verdict)
    return [_curve(populations, sweep, by_mutant) for sweep in populations.campaign.sweeps]


def _curve(
    populations: Populations, sweep: MagnitudeSweep, verdicts: dict[str, tuple[KillVerdict, ...]]
) -> MagnitudeCurve:
    campaign, initial = populations.campaign, populations.campaign.initial_point
    mutants = {place: mutant for place, mutant in _swept(populations, sweep).items() if _has_enough(mutant)}
    estimate = magnitude_threshold(
        _array(populations.healthy.rewards_at(initial)),
        {place: _array(mutant.rewards_at(initial)) for place, mutant in mutants.items()},
        campaign.margins,
        np.random.default_rng(comparison_seed(campaign.seed, sweep.operator, initial, "magnitudes")),
    )
    counts = zip(mutants.items(), estimate.noticed, estimate.agents, strict=True)
    points = (
        _point(place, mutant.id, noticed, agents, verdicts.get(mutant.id, ()))
        for (place, mutant), noticed, agents in counts
    )
    return MagnitudeCurve(
        operator=sweep.operator,
        limit=estimate.limit,
        healthy_noticed=estimate.healthy_noticed,
        healthy_agents=estimate.healthy_agents,
        points=tuple(points),
        finding=estimate.finding,
        threshold=estimate.threshold,
        low=estimate.low,
        high=estimate.high,
        function=estimate.function,
        reason=estimate.reason,
    )


def _swept(populations: Populations, sweep: MagnitudeSweep) -> dict[float, Population]:
    """Magnitude -> population, in rising order."""
    mutants = (populations.of(Mutant((mutation,))) for mutation in sweep.mutations)
    return dict(zip(sweep.magnitudes, mutants, strict=True))


def _has_enough(mutant: Population) -> bool:
    """Whether two thirds of the agents are left, as for a verdict; dead agents count, failed jobs are missing."""
    return len(mutant.rewards_at(mutant.campaign.initial_point)) >= LEAST_SHARE * len(mutant.agents)


def _array(rewards: Rewards) -> NDArray[np.float64]:
    return np.array(list(rewards.values()), dtype=np.float64)


def _point(
    magnitude: float, mutant: str, noticed: int, agents: int, verdicts: tuple[KillVerdict, ...]
) -> MagnitudePoint:
    share = stats.binomtest(noticed, agents).proportion_ci(CONFIDENCE, method="wilson")
    return MagnitudePoint(magnitude, mutant, noticed, agents, float(share.low), float(share.high), verdicts)


def left_out(populations: Populations) -> list[str]:
    """A note on every magnitude that has too few agents for its curve."""
    campaign = populations.campaign
    swept = [mutant for sweep in campaign.sweeps for mutant in _swept(populations, sweep).values()]
    return [
        f"{mutant.id} is not in its magnitude curve: only {len(mutant.rewards_at(campaign.initial_point))} of "
        f"{len(mutant.agents)} agents are left."
        for mutant in swept
        if not _has_enough(mutant)
    ]
