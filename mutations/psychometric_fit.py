"""Fitting a psychometric function: maximum likelihood, and the confidence distribution of its threshold.

Sources: Wichmann and Hill, "The psychometric function: I. Fitting, sampling, and goodness of fit", Perception &
Psychophysics 63(8), 2001, equation 1 and the bound of .06 on the lapse; Treutwein and Strasburger, "Fitting the
psychometric function", same journal 61(1), 1999 (all four parameters by maximum likelihood). Wichmann and Hill's second
paper ("II. Bootstrap-based confidence intervals and sampling", same issue) has bootstrap intervals. They have no width
where no agent is noticed at one magnitude and all of them at the next, so the interval here is that of the profile
likelihood.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import optimize, special, stats

from mutations.psychometric import Numbers, PsychometricFunction

LARGEST_LAPSE = 0.06
"""Wichmann and Hill's bound: with a free lapse, half of any plateau would be called a threshold."""

SHALLOWEST = 0.5
STEEPEST = 20.0
"""Bounds of the slope: per unit of ln x, and per distance of the two nearest magnitudes."""

_THRESHOLDS = 141
_SLOPES = 17
_GUESSES = (0.0, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.46, 0.52, 0.6, 0.7, 0.8, 0.9)
_LAPSES = (0.0, 0.02, LARGEST_LAPSE)
_LEAST_CHANCE = 1e-6


@dataclass(frozen=True, slots=True)
class NoticedAgents:
    """Numbers of agents, healthy ones first: shapes (K + 1,); `magnitudes` rise, the first is 0.

    Attributes:
        noticed: of each population. agents: its size.
    """

    magnitudes: Numbers
    noticed: Numbers
    agents: Numbers


def fit_psychometric(counts: NoticedAgents) -> PsychometricFunction:
    """Maximum likelihood of all four parameters; thresholds outside the magnitudes are possible."""
    grid = _grid(tuple(counts.magnitudes[1:].tolist()))
    likelihoods = grid.profile(counts.noticed[None, :], counts.agents)[0]
    start = grid.best(counts, int(np.argmax(likelihoods)))

    def loss(parameters: Numbers) -> float:
        return -log_likelihood(_function(parameters), counts)

    polished = optimize.minimize(loss, start, method="L-BFGS-B", bounds=grid.bounds)
    return _function(polished.x if polished.fun <= loss(start) else start)


def _function(parameters: Numbers) -> PsychometricFunction:
    guess, lapse, log_threshold, log_slope = (float(number) for number in parameters)
    return PsychometricFunction(guess, lapse, math.exp(log_threshold), math.exp(log_slope))


def log_likelihood(function: PsychometricFunction, counts: NoticedAgents) -> float:
    """Of the counts, up to the binomial coefficients."""
    chances = np.clip(function.chance(counts.magnitudes), _LEAST_CHANCE, 1 - _LEAST_CHANCE)
    missed = counts.agents - counts.noticed
    return float(np.sum(counts.noticed * np.log(chances) + missed * np.log1p(-chances)))


def confidence_of_threshold(
    magnitudes: Numbers, noticed: Numbers, agents: Numbers, weights: Numbers
) -> tuple[Numbers, Numbers]:
    """A confidence distribution of the threshold: grid of thresholds, and the confidence that the true one is below.

    Its quantiles at 2.5 % and 97.5 % are the ends of the profile likelihood interval. Unlike a bootstrap of the fit it
    has a width where no agent is noticed at one magnitude and all of them at the next. Several sets of counts (from
    several plausible limits) are averaged. The root of the likelihood ratio is compared with Student's law at the
    degrees of freedom of the smallest population; with the normal law, intervals of 10 agents would cover too little.

    Args:
        magnitudes: shape (K,), without 0.
        noticed: shape (U, K + 1). agents: shape (K + 1,). weights: shape (U,), sum 1.
    """
    grid = _grid(tuple(magnitudes.tolist()))
    likelihoods = grid.profile(noticed, agents)
    best = np.argmax(likelihoods, axis=1)
    drop = np.max(likelihoods, axis=1, keepdims=True) - likelihoods
    side = np.sign(np.arange(grid.thresholds.size)[None, :] - best[:, None])
    confidence = weights @ stats.t.cdf(side * np.sqrt(2 * drop), float(np.min(agents)) - 1)
    return np.exp(grid.thresholds), np.maximum.accumulate(confidence)


class _LikelihoodGrid:
    """Logarithms of the chances on a grid of the four parameters; thresholds in ln x."""

    def __init__(self, magnitudes: tuple[float, ...]) -> None:
        logs = np.log(magnitudes)
        nearest = float(np.min(np.diff(logs)))
        margin = 1.5 * float(np.max(np.diff(logs)))
        steepest = max(STEEPEST / nearest, 2 * SHALLOWEST)
        self.thresholds = np.linspace(logs[0] - margin, logs[-1] + margin, _THRESHOLDS)
        slopes = np.geomspace(SHALLOWEST, steepest, _SLOPES)
        shapes = np.array([(g, lapse, s) for g in _GUESSES for lapse in _LAPSES for s in slopes])
        self._shapes = shapes
        self.bounds = [
            (0.0, _GUESSES[-1]),
            (0.0, LARGEST_LAPSE),
            (float(self.thresholds[0]), float(self.thresholds[-1])),
            (math.log(SHALLOWEST), math.log(steepest)),
        ]
        guess, lapse, slope = (column[None, None, :] for column in shapes.T)
        places = slope * (logs[None, :, None] - self.thresholds[:, None, None])
        chances = guess + (1 - guess - lapse) * special.expit(places)
        healthy = np.broadcast_to(guess, (self.thresholds.size, 1, shapes.shape[0]))
        chances = np.clip(np.concatenate((healthy, chances), axis=1), _LEAST_CHANCE, 1 - _LEAST_CHANCE)
        self._table = np.concatenate((np.log(chances), np.log1p(-chances)), axis=1)

    def profile(self, noticed: Numbers, agents: Numbers) -> Numbers:
        """Largest log-likelihood at each threshold, shape (U, thresholds), of counts of shape (U, K + 1)."""
        counts = np.concatenate((noticed, agents[None, :] - noticed), axis=1)
        return np.stack([np.max(counts @ plane, axis=1) for plane in self._table], axis=1)

    def best(self, counts: NoticedAgents, place: int) -> Numbers:
        """The best of the grid's other parameters at one of its thresholds, as (guess, lapse, ln x, ln slope)."""
        both = np.concatenate((counts.noticed, counts.agents - counts.noticed))
        guess, lapse, slope = self._shapes[int(np.argmax(both @ self._table[place]))]
        return np.array([guess, lapse, self.thresholds[place], math.log(slope)])


@lru_cache(maxsize=8)
def _grid(magnitudes: tuple[float, ...]) -> _LikelihoodGrid:
    return _LikelihoodGrid(magnitudes)
