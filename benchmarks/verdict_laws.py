"""Laws of mean rewards on which verdicts are judged, and pairs of populations drawn from them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Rewards = NDArray[np.float64]
Law = Callable[[Rewards], Rewards]
"""Quantile function: uniform numbers of any shape to rewards of that shape."""

PERFECT = 500.0


def normal(mean: float, deviation: float) -> Law:
    """Rewards of an environment without a ceiling."""
    return lambda u: mean + deviation * stats.norm.ppf(u)


def lognormal(mean: float, sigma: float) -> Law:
    """Skewed to the right, with the given mean."""
    return lambda u: mean * np.exp(sigma * stats.norm.ppf(u) - sigma**2 / 2)


def exponential(mean: float) -> Law:
    """Skewed to the right."""
    return lambda u: mean * stats.expon.ppf(u)


def saturated(share: float, low: float = 0.0, high: float = PERFECT) -> Law:
    """A share of the agents earns 500, the others anything between `low` and `high`."""
    return lambda u: np.where(u >= 1 - share, PERFECT, low + (high - low) * u / max(1 - share, 1e-12))


def collapsing(share: float) -> Law:
    """A share of the agents collapses to between 0 and 200, the others earn 500."""
    return saturated(1 - share, 0.0, 200.0)


def bimodal(share: float) -> Law:
    """A share of the agents is near 50, the others near 450."""

    def draw(u: Rewards) -> Rewards:
        low = 50 + 20 * stats.norm.ppf(np.clip(u / share, 1e-12, 1 - 1e-12))
        high = 450 + 30 * stats.norm.ppf(np.clip((u - share) / (1 - share), 1e-12, 1 - 1e-12))
        return np.where(u < share, low, high)

    return draw


def levels(*values: float) -> Law:
    """Each of some rewards equally often."""
    ordered = np.sort(np.array(values))
    return lambda u: ordered[np.minimum((u * ordered.size).astype(int), ordered.size - 1)]


def atoms(share: float) -> Law:
    """Two rewards: 0 with a share, else 500."""
    return lambda u: np.where(u < share, 0.0, PERFECT)


def shifted(law: Law, shift: float) -> Law:
    """Every agent better by `shift`."""
    return lambda u: law(u) + shift


EXCHANGEABLE: dict[str, Law] = {
    "normal": normal(0.0, 1.0),
    "85 % at 500": saturated(0.85),
    "bimodal, 25 % collapsed": bimodal(0.25),
    "five levels": levels(100, 200, 300, 400, 500),
    "two atoms, 5 % at 0": atoms(0.05),
    "lognormal": lognormal(100.0, 1.0),
    "Cauchy": lambda u: stats.cauchy.ppf(u),
}

ALTERNATIVES: dict[str, tuple[Law, Law]] = {
    "normal, d = 0.5": (normal(0.0, 1.0), normal(-0.5, 1.0)),
    "normal, d = 0.8": (normal(0.0, 1.0), normal(-0.8, 1.0)),
    "normal, 3 x the spread": (normal(0.0, 1.0), normal(0.0, 3.0)),
    "all at 500, 20 % collapse": (collapsing(0.0), collapsing(0.2)),
    "all at 500, 30 % collapse": (collapsing(0.0), collapsing(0.3)),
    "85 % against 60 % at 500": (saturated(0.85), saturated(0.6)),
    "25 % against 60 % collapsed": (bimodal(0.25), bimodal(0.6)),
    "lognormal, -0.5 sd": (lognormal(100.0, 1.0), shifted(lognormal(100.0, 1.0), -0.5 * 131.08)),
}


def draw_pairs(
    laws: tuple[Law, Law], sizes: tuple[int, int], pairs: int, rng: np.random.Generator, correlation: float = 0.0
) -> tuple[Rewards, Rewards]:
    """Healthy and mutant populations, shapes (pairs, n) and (pairs, m).

    Args:
        correlation: of twins, through a Gaussian copula; needs equal sizes unless it is 0.
    """
    n, m = sizes
    if correlation == 0:
        return laws[0](rng.random((pairs, n))), laws[1](rng.random((pairs, m)))
    first, own = rng.normal(size=(pairs, n)), rng.normal(size=(pairs, m))
    second = correlation * first + np.sqrt(1 - correlation**2) * own
    return laws[0](stats.norm.cdf(first)), laws[1](stats.norm.cdf(second))


def mean_of(law: Law) -> float:
    """Expected reward, by the midpoint rule over quantiles."""
    points = (np.arange(400_000) + 0.5) / 400_000
    return float(np.mean(law(points)))
