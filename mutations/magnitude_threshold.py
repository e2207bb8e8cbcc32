"""From which magnitude of a fault its mutants are noticed: one operator's sweep, judged agent by agent.

A mutant agent is *noticed* if its reward lies below the healthy mean by more than the margin. The share of noticed
agents over the magnitudes is a psychometric curve; healthy agents beyond the margin are its guess rate. A verdict per
magnitude would be one bit, and the fit of a curve to six bits is degenerate; agents are as many observations as were
trained.

A threshold is reported only where the sweep shows one: the share rises with the magnitude, it does so steadily, and the
curve is halfway up within the swept range. Nothing is extrapolated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import special, stats

from mutations.killing.margins import Margins, is_share_of_mean, scale_of
from mutations.killing.statistics import Rewards
from mutations.psychometric import LEAST_MAGNITUDES, PsychometricFunction, ThresholdFinding
from mutations.psychometric_fit import NoticedAgents, confidence_of_threshold, fit_psychometric

LEVEL = 0.05
"""Of the test that the share of noticed agents rises, and of the test that it does so steadily."""

CONFIDENCE = 0.95
LEAST_HEALTHY = 4

_LIMITS = 200
_SIMULATED = 999


@dataclass(frozen=True, slots=True)
class MagnitudeThreshold:
    """What a sweep says about one operator.

    Attributes:
        limit: reward below which an agent is noticed; None without a margin.
        healthy_noticed, healthy_agents: numbers of agents.
        noticed, agents: the same per magnitude, in rising order.
        finding: whether there is a threshold.
        threshold, low, high: with its 95 % interval. None where the number lies outside the swept magnitudes.
        function: the fitted curve; None where the shares do not rise steadily.
        reason: why there is no threshold within the range; empty if there is.
    """

    limit: float | None
    healthy_noticed: int
    healthy_agents: int
    noticed: tuple[int, ...]
    agents: tuple[int, ...]
    finding: ThresholdFinding
    threshold: float | None = None
    low: float | None = None
    high: float | None = None
    function: PsychometricFunction | None = None
    reason: str = ""


def magnitude_threshold(
    healthy: Rewards, mutants: Mapping[float, Rewards], margins: Margins, rng: np.random.Generator
) -> MagnitudeThreshold:
    """Fit one operator's curve.

    Args:
        healthy: mean rewards of the healthy agents, shape (n,); minus infinity is a dead agent.
        mutants: magnitude in (0, 1] -> mean rewards of its agents, shape (m,).
        margins: `Margins.mean` is the margin; its scale is the healthy mean unless one is set.
        rng: for plausible healthy means, and for the test of steadiness.
    """
    magnitudes = sorted(mutants)
    populations = [healthy, *(mutants[magnitude] for magnitude in magnitudes)]
    agents = np.array([population.size for population in populations], dtype=np.float64)
    limits = _limits(healthy, margins, rng)
    noticed = np.array([[np.count_nonzero(side < limit) for side in populations] for limit in limits], dtype=np.float64)
    if not len(limits):
        blank = _blank(None, np.zeros_like(agents), agents)
        return replace(blank, reason="the healthy mean is near zero or unknown: no margin without a scale")
    counts = NoticedAgents(np.array([0.0, *magnitudes]), noticed[0], agents)
    blank = _blank(float(limits[0]), counts.noticed, agents)
    reason = _objection(counts, rng)
    if reason:
        return replace(blank, reason=reason)
    return _located(blank, counts, noticed[1:])


def _blank(limit: float | None, noticed: Rewards, agents: Rewards) -> MagnitudeThreshold:
    first, *others = (int(number) for number in noticed)
    healthy, *sizes = (int(number) for number in agents)
    return MagnitudeThreshold(limit, first, healthy, tuple(others), tuple(sizes), ThresholdFinding.NONE)


def _limits(healthy: Rewards, margins: Margins, rng: np.random.Generator) -> Rewards:
    """The limit, then plausible ones: the healthy mean is an estimate (Rubin's Bayesian bootstrap over its agents).

    Empty where there is no limit. Weighted means are widened to the variance of a mean of n agents.
    """
    living = healthy[np.isfinite(healthy)]
    size = living.size
    scale = scale_of(living, margins) if size >= LEAST_HEALTHY else None
    if scale is None:
        return np.empty(0)
    mean = float(np.mean(living))
    weights = rng.dirichlet(np.ones(size), size=_LIMITS)
    means = mean + (weights @ (living - mean)) * math.sqrt((size + 1) / (size - 1))
    means = np.concatenate(([mean], means))
    limits: Rewards = means - margins.mean * (np.abs(means) if is_share_of_mean(living, margins) else scale)
    return limits


def _objection(counts: NoticedAgents, rng: np.random.Generator) -> str:
    """Why the shares are not those of a rising curve; empty if they may be."""
    if counts.magnitudes.size - 1 < LEAST_MAGNITUDES:
        return f"fewer than {LEAST_MAGNITUDES} magnitudes have enough agents"
    rising = trend_p(counts)
    if rising > LEVEL:
        return f"the share of noticed agents does not rise with the magnitude (p = {rising:.2g})"
    steady = monotone_p(counts, rng)
    if steady <= LEVEL:
        return f"the share of noticed agents rises and falls (p = {steady:.2g})"
    return ""


def trend_p(counts: NoticedAgents) -> float:
    """One-sided p-value of "the share of noticed agents does not rise", healthy agents included; by position.

    Source: Armitage, "Tests for linear trends in proportions and frequencies", Biometrics 11(3), 1955.
    """
    positions = np.arange(counts.magnitudes.size, dtype=np.float64)
    total, share = float(np.sum(counts.agents)), float(np.sum(counts.noticed) / np.sum(counts.agents))
    centred = positions - float(np.sum(counts.agents * positions)) / total
    variance = share * (1 - share) * float(np.sum(counts.agents * centred**2))
    return float(stats.norm.sf(float(np.sum(counts.noticed * centred)) / math.sqrt(variance))) if variance > 0 else 1.0


def monotone_p(counts: NoticedAgents, rng: np.random.Generator) -> float:
    """p-value of "the chance of being noticed never falls": a likelihood ratio test, simulated under the best such law.

    At .05 it rejects 1 to 3 % of steadily rising curves, and up to 10 % of shares that are all equal.

    Source: Robertson, Wright and Dykstra, "Order Restricted Statistical Inference", 1988, chapters 1 and 4.
    """
    rising = rising_shares(counts.noticed[None, :], counts.agents)
    observed = float(_cost(counts.noticed[None, :], counts.agents, rising)[0])
    if observed <= 0:
        return 1.0
    shares = np.clip(rising[0], 0.0, 1.0)
    simulated = rng.binomial(counts.agents.astype(np.int64), shares, size=(_SIMULATED, shares.size)).astype(np.float64)
    costs = _cost(simulated, counts.agents, rising_shares(simulated, counts.agents))
    return float(np.count_nonzero(costs >= observed - 1e-9) + 1) / (_SIMULATED + 1)


def rising_shares(noticed: Rewards, agents: Rewards) -> Rewards:
    """The likeliest shares that never fall, shape (U, K): max over starts of the min over ends of the pooled share."""
    size = agents.size
    before = np.concatenate((np.zeros((noticed.shape[0], 1)), np.cumsum(noticed, axis=1)), axis=1)
    total = np.concatenate(([0.0], np.cumsum(agents)))
    start, end = np.arange(size)[:, None], np.arange(size)[None, :]
    weights = np.where(end >= start, total[None, 1:] - total[:-1, None], 1.0)
    pooled = np.where(end >= start, (before[:, None, 1:] - before[:, :-1, None]) / weights, np.inf)
    lowest = np.minimum.accumulate(pooled[..., ::-1], axis=2)[..., ::-1]
    shares: Rewards = np.max(np.where(start <= end, lowest, -np.inf), axis=1)
    return shares


def _cost(noticed: Rewards, agents: Rewards, rising: Rewards) -> Rewards:
    """Log-likelihood that the restriction costs, shape (U,)."""
    shares, missed = noticed / agents, agents - noticed
    gain = special.xlogy(noticed, shares) - special.xlogy(noticed, rising)
    gain += special.xlogy(missed, 1 - shares) - special.xlogy(missed, 1 - rising)
    costs: Rewards = np.sum(gain, axis=1)
    return np.where(costs > 1e-9, costs, 0.0)


def _located(blank: MagnitudeThreshold, counts: NoticedAgents, plausible: Rewards) -> MagnitudeThreshold:
    """Threshold and interval; ends outside the swept magnitudes are open."""
    fitted = replace(blank, function=(function := fit_psychometric(counts)))
    smallest, largest = float(counts.magnitudes[1]), float(counts.magnitudes[-1])
    if function.threshold > largest:
        return replace(fitted, reason=f"the curve is not halfway up at {largest:g}, the largest magnitude")
    low, high = (end if smallest <= end <= largest else None for end in _interval(counts, plausible))
    if function.threshold < smallest:
        reason = f"agents are noticed already at {smallest:g}, the smallest magnitude"
        return replace(fitted, finding=ThresholdFinding.BELOW, high=high, reason=reason)
    return replace(fitted, finding=ThresholdFinding.WITHIN, threshold=function.threshold, low=low, high=high)


def _interval(counts: NoticedAgents, plausible: Rewards) -> tuple[float, float]:
    """Averaged over the plausible limits, and around the estimate; the ends of the grid are open."""
    distinct, times = np.unique(plausible, axis=0, return_counts=True)
    weights = times / np.sum(times)
    thresholds, confidence = confidence_of_threshold(counts.magnitudes[1:], distinct, counts.agents, weights)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.exp(np.interp([tail, 1 - tail], confidence, np.log(thresholds)))
    low = low if confidence[0] < tail else 0.0
    return float(low), float(high) if confidence[-1] > 1 - tail else math.inf
