"""The edge along one segment of a boundary search: where the mean reward of healthy agents leaves the margin.

Estimate: the length of the segment over which the agents' mean difference, interpolated linearly between the probes,
stays within the margin. Where the difference grows steadily that is its crossing, and noise moves it either way alike.

Interval: at least that of a bootstrap over agents, wider where few agents carry the loss at the edge.

* Bootstrap over agents (Rubin's Bayesian bootstrap, deviations widened by the ratio of Student's and the normal
  quantile). It assumes no law of the agents, but knows no agent that is more fragile than those at hand: where the edge
  hangs on one agent in twenty, eight agents say too little.
* Agents' own edges as a normal sample on a scale of distances between the linear and the logarithmic one. The edge then
  lies k deviations from their mean, and the interval of such a point is that of a normal quantile (noncentral t).

The second counts less, the more agents carry the loss: not at all from nine equal ones on. benchmarks/boundaries.py
measures the coverage.

Sources: Rubin, "The Bayesian bootstrap", Annals of Statistics 9(1), 1981; Hahn and Meeker, "Statistical Intervals",
Wiley 1991, chapter 4 (interval of a normal quantile).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mutations.killing.margins import Margins, collapse_limit, is_share_of_mean, scale_of
from mutations.killing.statistics import Rewards

REPLICATES = 1000
GRID = 400
"""Points at which a segment is read between its probes."""

CONFIDENCE = 0.95
POWER = 0.5
"""Of the distances, on the scale on which agents' own edges are taken for normal."""

ENOUGH_AGENTS = 9.0
"""As many agents that share the loss at the edge alike make the bootstrap sufficient."""

OWN_EDGE = 0.25
"""An agent is beyond its own edge once it has lost this share of the scale."""


@dataclass(frozen=True, slots=True)
class EdgeEstimate:
    """Shares of a segment, from its initial end; None: beyond the last probe.

    Attributes:
        estimate: where the mean difference over the agents leaves the margin.
        low, high: its 95 % interval over agents.
    """

    estimate: float | None
    low: float | None
    high: float | None


def edge_of_behaviour(
    shares: Sequence[float], initial: Rewards, moved: NDArray[np.float64], margins: Margins
) -> EdgeEstimate:
    """The edge along one segment.

    Args:
        shares: of the segment, of every probe, shape (probes,), rising, the first above 0.
        initial: mean rewards of the agents in the initial environment, shape (agents,).
        moved: the same at the probes, shape (probes, agents).

    Raises:
        ValueError: no probe, or shapes that do not fit.
    """
    if moved.shape != (len(shares), initial.size) or not len(shares):
        raise ValueError(f"rewards of shape {moved.shape} for {len(shares)} probes and {initial.size} agents")
    probes = np.concatenate(([0.0], np.asarray(shares, dtype=np.float64)))
    losses = np.vstack((np.zeros(initial.size), moved - initial))  # (probes + 1, agents), negative where worse
    limit = collapse_limit(initial, scale_of(initial, margins))
    collapsed = np.vstack((np.zeros(initial.size), (moved < limit).astype(float) - (initial < limit)))
    alike = np.full((1, initial.size), 1 / initial.size)
    estimate = float(_within(probes, losses, collapsed, initial, alike, margins)[0])
    replicates = _within(probes, losses, collapsed, initial, _weights(initial.size), margins)
    low, high = _widened(estimate, replicates, initial.size)
    own_low, own_high = _normal_interval(estimate, _own_edges(probes, losses, initial, margins))
    share = min(1.0, (_agents_sharing(estimate, probes, losses) - 1) / (ENOUGH_AGENTS - 1))
    low = min(low, share * low + (1 - share) * own_low)
    high = max(high, share * high + (1 - share) * own_high)
    return _estimate(estimate, low, high, float(probes[-1]))


def _within(
    probes: Rewards,
    losses: NDArray[np.float64],
    collapsed: NDArray[np.float64],
    initial: Rewards,
    weights: NDArray[np.float64],
    margins: Margins,
) -> Rewards:
    """Length of the segment within both margins for every row of weights of agents, shape (rows,)."""
    places = np.linspace(0.0, probes[-1], GRID + 1)
    reading = np.array([np.interp(places, probes, row) for row in np.eye(probes.size)])  # (probes + 1, places)
    means, shares = weights @ losses.T @ reading, weights @ collapsed.T @ reading
    scale = np.abs(weights @ initial)
    if not is_share_of_mean(initial, margins):
        scale = np.full(len(weights), scale_of(initial, margins) or 0.0)
    excess = np.maximum(np.abs(means) / (margins.mean * scale)[:, None], np.abs(shares) / margins.collapsed) - 1
    return _length_below(excess) * float(probes[-1])


def _length_below(excess: NDArray[np.float64]) -> Rewards:
    """Share of a line on which a function, linear between equidistant places, is at most 0; shape (rows,)."""
    left, right = excess[:, :-1], excess[:, 1:]
    low, high = np.minimum(left, right), np.maximum(left, right)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(high <= 0, 1.0, np.where(low > 0, 0.0, -low / np.where(high > low, high - low, 1.0)))
    lengths: Rewards = np.mean(part, axis=1)
    return lengths


def _widened(estimate: float, replicates: Rewards, agents: int) -> tuple[float, float]:
    tail = (1 - CONFIDENCE) / 2
    widening = float(stats.t.isf(tail, agents - 1) / stats.norm.isf(tail))
    low, high = (estimate + widening * (float(end) - estimate) for end in np.quantile(replicates, [tail, 1 - tail]))
    return max(min(low, estimate), 0.0), max(high, estimate)


def _agents_sharing(estimate: float, probes: Rewards, losses: NDArray[np.float64]) -> float:
    """Effective number of agents that carry the mean difference at the edge: 1 for a single agent, n for n alike."""
    at_edge = np.array([np.interp(estimate, probes, agent) for agent in losses.T])
    carried = np.maximum(at_edge * np.sign(np.sum(at_edge)), 0.0)
    squares = float(np.sum(carried**2))
    return float(np.sum(carried)) ** 2 / squares if squares > 0 else 1.0


def _own_edges(probes: Rewards, losses: NDArray[np.float64], initial: Rewards, margins: Margins) -> Rewards:
    """Where each agent has first lost `OWN_EDGE` of the scale; infinite where it never does; shape (agents,)."""
    level = OWN_EDGE * (scale_of(initial, margins) or 0.0)
    edges = np.full(initial.size, math.inf)
    for agent, loss in enumerate(np.abs(losses.T)):
        beyond = int(np.argmax(loss >= level))
        if loss[beyond] >= level > 0:
            share = (level - loss[beyond - 1]) / (loss[beyond] - loss[beyond - 1])
            edges[agent] = probes[beyond - 1] + share * (probes[beyond] - probes[beyond - 1])
    return edges


def _normal_interval(estimate: float, edges: Rewards) -> tuple[float, float]:
    """Interval of the point that lies as far from the mean of the agents' own edges as the estimate does."""
    reached = np.sort(edges[np.isfinite(edges)])
    if reached.size < 2 or estimate <= 0:
        return estimate, estimate
    n = edges.size
    scores = stats.norm.ppf((np.arange(1, reached.size + 1) - 0.375) / (n + 0.25))
    deviation, middle = np.polyfit(scores, reached**POWER, 1)
    if deviation <= 1e-9:
        return estimate, estimate
    noncentral = (float(middle) - estimate**POWER) / float(deviation) * math.sqrt(n)
    ends = [
        float(middle) - float(deviation) * float(stats.nct.isf(tail, n - 1, noncentral)) / math.sqrt(n)
        for tail in ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
    ]
    low, high = (max(end, 0.0) ** (1 / POWER) for end in ends)
    return min(low, estimate), max(high, estimate)


def _estimate(estimate: float, low: float, high: float, last: float) -> EdgeEstimate:
    def seen(value: float) -> float | None:
        return None if value >= last * (1 - 1e-9) else value

    return EdgeEstimate(seen(estimate), seen(low), seen(high))


@lru_cache(maxsize=64)
def _weights(agents: int) -> NDArray[np.float64]:
    """Rows of weights of agents that sum to 1, shape (replicates, agents); the same for every segment."""
    weights = np.random.default_rng([agents, 11]).gamma(1.0, size=(REPLICATES, agents))
    rows: NDArray[np.float64] = weights / np.sum(weights, axis=1, keepdims=True)
    return rows
