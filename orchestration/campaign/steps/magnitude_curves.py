"""Magnitude curves: from which magnitude is an operator noticed, by the margin of each kill test?

The mutants of a sweep are first-order mutants: trained, evaluated, checked for liveness and judged like the others, in
the initial environment. They are not in the kill matrix and do not count in the mutation score, so a sweep does not
change the score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from mutations.killing.kill_test import KillVerdict
from mutations.killing.margins import Margins
from mutations.killing.registry import kill_test
from mutations.magnitude_sweep import MagnitudeSweep
from mutations.magnitude_threshold import CONFIDENCE, magnitude_threshold
from mutations.mutant import Mutant
from orchestration.campaign.magnitude_curve import MagnitudeCurve, MagnitudePoint
from orchestration.campaign.population import Population, Populations, Rewards
from orchestration.campaign.result import MutantVerdict
from orchestration.campaign.steps.judging import LEAST_SHARE, comparison_seed, judge_family


def magnitude_curves(
    populations: Populations, live: Sequence[Population], verdicts: Sequence[MutantVerdict], tests: Sequence[str]
) -> list[MagnitudeCurve]:
    """A curve for every swept operator and test.

    Args:
        live: the live mutants among those trained for the sweeps alone; those of one operator are a family.
        verdicts: of the mutants that the campaign judges anyway; one that is swept too keeps its verdict.
    """
    return [
        _curve(populations, sweep, test, _verdicts(populations, sweep, test, live, verdicts))
        for sweep in populations.campaign.sweeps
        for test in tests
    ]


def _verdicts(
    populations: Populations,
    sweep: MagnitudeSweep,
    test: str,
    live: Sequence[Population],
    verdicts: Sequence[MutantVerdict],
) -> dict[str, KillVerdict]:
    """Mutant -> verdict by one test in the initial environment."""
    campaign, point = populations.campaign, populations.campaign.initial_point
    known = {entry.mutant: entry.verdict for entry in verdicts if entry.verdict.test == test}
    swept = {Mutant((mutation,)).id for mutation in sweep.mutations}
    family = {population.id: population.rewards_at(point) for population in live if population.id in swept}
    healthy = populations.healthy.rewards_at(point)
    entries = judge_family(test, healthy, family, point, campaign.seeds, campaign.seed, campaign.repeats)
    return known | {entry.mutant: entry.verdict for entry in entries}


def _curve(
    populations: Populations, sweep: MagnitudeSweep, test: str, verdicts: Mapping[str, KillVerdict]
) -> MagnitudeCurve:
    campaign, point = populations.campaign, populations.campaign.initial_point
    mutants = {
        magnitude: populations.of(Mutant((mutation,)))
        for magnitude, mutation in zip(sweep.magnitudes, sweep.mutations, strict=True)
    }
    rewards = {magnitude: mutant.rewards_at(point) for magnitude, mutant in mutants.items()}
    enough = [magnitude for magnitude, agents in rewards.items() if len(agents) >= LEAST_SHARE * len(campaign.seeds)]
    rng = np.random.default_rng(comparison_seed(campaign.seed, sweep.operator, point, test))
    estimate = magnitude_threshold(
        _array(populations.healthy.rewards_at(point)),
        {magnitude: _array(rewards[magnitude]) for magnitude in enough},
        getattr(kill_test(test), "margins", Margins()),
        rng,
    )
    counts = zip(enough, estimate.noticed, estimate.agents, strict=True)
    points = tuple(
        _point(magnitude, mutants[magnitude].id, noticed, agents, verdicts) for magnitude, noticed, agents in counts
    )
    return MagnitudeCurve(
        operator=sweep.operator,
        test=test,
        limit=estimate.limit,
        healthy_noticed=estimate.healthy_noticed,
        healthy_agents=estimate.healthy_agents,
        points=points,
        finding=estimate.finding,
        threshold=estimate.threshold,
        low=estimate.low,
        high=estimate.high,
        function=estimate.function,
        reason=estimate.reason,
    )


def _array(rewards: Rewards) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(list(rewards.values()), dtype=np.float64)


def _point(
    magnitude: float, mutant: str, noticed: int, agents: int, verdicts: Mapping[str, KillVerdict]
) -> MagnitudePoint:
    share = stats.binomtest(noticed, agents).proportion_ci(CONFIDENCE, method="wilson")
    low, high = float(share.low), float(share.high)
    return MagnitudePoint(magnitude, mutant, noticed, agents, low, high, verdicts.get(mutant))


def left_out(populations: Populations) -> list[str]:
    """A note on every magnitude that has too few agents for its curve."""
    campaign = populations.campaign
    notes = []
    for sweep in campaign.sweeps:
        for mutation in sweep.mutations:
            mutant = populations.of(Mutant((mutation,)))
            agents = len(mutant.rewards_at(campaign.initial_point))
            if agents < LEAST_SHARE * len(campaign.seeds):
                counts = f"{agents} of {len(campaign.seeds)}"
                notes.append(f"{mutant.id} is not in the magnitude curve: only {counts} agents are left.")
    return notes
