"""How sure a mutation score is: a bootstrap over agents, through the error control of the report.

Each replicate draws healthy agents and the agents of each mutant again, with replacement. An agent keeps its rewards in
all environments. All comparisons are then judged and corrected again, beside the other comparisons of the report, which
stay as they are.

The bootstrap is shrunk. An observed difference holds the chance of the observed agents, and a replicate adds its own:
drawn plainly, replicates of healthy mutants are killed far too often. So each mutant agent is replaced by a healthy one
with a probability that is large where the evidence of a difference is weak (`weight_of`).

Sources: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993; James and Stein, "Estimation with quadratic
loss", 1961 (the positive part); Efron, "Large-Scale Inference", 2010 (adjusted p-values as the share of null cases).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mutations.killing.error_control import error_control
from mutations.killing.resampled_kills import ResampledKillTest
from mutations.killing.resampled_law import Draws
from mutations.killing.splits import DRAWS
from mutations.score import ScoreUncertainty, minimal_cover

REPLICATES = 400
LARGEST_NULL_LEVEL = 0.05
SMALLEST_DRAWN_P = 1 / (DRAWS + 1)

Rewards = NDArray[np.float64]
Kills = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ScoredCell:
    """One cell of a kill matrix.

    Attributes:
        mutant, environment: row and column.
        populations: healthy and mutant rewards as the test got them; None where the outcome does not depend on them.
        killed: the outcome in that case.
        level_share: of the look at which the mutant stopped: its p-values are divided by it. Replicates stop there too.
        weight: share of the observed difference that replicates keep, see `weight_of`.
    """

    mutant: int
    environment: int
    populations: tuple[Rewards, Rewards] | None
    killed: bool = False
    level_share: float = 1.0
    weight: float = 1.0


def weight_of(p_value: float, p_adjusted: float) -> float:
    """How much of an observed difference is to be believed, in [0, 1].

    James and Stein's factor 1 - 1 / z^2 for the noise of the estimate, times 1 - adjusted p for the chance that a
    difference exists.
    """
    z = float(stats.norm.isf(p_value / 2)) if p_value > SMALLEST_DRAWN_P * (1 + 1e-9) else math.inf
    return max(0.0, 1.0 - 1.0 / z**2 if z > 0 else 0.0) * (1.0 - p_adjusted)


@dataclass(frozen=True, slots=True)
class Resampling:
    """What a bootstrap needs besides the cells.

    Attributes:
        shape: mutants and environments of the matrix.
        others: p-values of the report's other comparisons.
        control: of the report, by name.
        seed: of the generator that draws the agents.
        replicates: how many.
    """

    shape: tuple[int, int]
    others: Rewards
    control: str
    seed: int
    replicates: int = REPLICATES


def resampled_matrices(test: ResampledKillTest, cells: Sequence[ScoredCell], resampling: Resampling) -> Kills:
    """Kill matrices of all replicates, shape (replicates, mutants, environments); only kills that a score counts."""
    judged = [cell for cell in cells if cell.populations is not None]
    uniform = _Uniform(resampling, judged)
    kills = np.zeros((resampling.replicates, *resampling.shape), dtype=np.bool_)
    for cell in cells:
        kills[:, cell.mutant, cell.environment] = cell.killed
    if not judged:
        return kills
    claims, counted = [], []
    for cell in judged:
        assert cell.populations is not None
        claim = test.resampled_kills(*cell.populations, uniform.draws(cell))
        claims.append(np.minimum(1.0, claim.p_values / cell.level_share))
        counted.append(claim.counted)
    others = np.broadcast_to(resampling.others, (resampling.replicates, resampling.others.size))
    adjusted = error_control(resampling.control).adjust(np.concatenate((np.stack(claims, axis=1), others), axis=1))
    killed = (adjusted[:, : len(judged)] <= test.level) & np.stack(counted, axis=1)
    for position, cell in enumerate(judged):
        kills[:, cell.mutant, cell.environment] = killed[:, position]
    return kills


class _Uniform:
    """Uniform numbers that say which agents a replicate has: one set for the healthy ones, one for each mutant."""

    def __init__(self, resampling: Resampling, cells: Sequence[ScoredCell]) -> None:
        sizes = [[side.size for side in cell.populations] for cell in cells if cell.populations is not None]
        n, m = np.max(sizes, axis=0) if sizes else (0, 0)
        mutants, replicates = resampling.shape[0], resampling.replicates
        rng = np.random.default_rng(resampling.seed)
        self._healthy = rng.random((replicates, n))
        self._mutants, self._substitutes = rng.random((2, mutants, replicates, m))
        self._shrinking = rng.random((mutants, replicates, max(n, m)))

    def draws(self, cell: ScoredCell) -> Draws:
        """The replicates of a cell; exchanging a pair takes away twice what replacing a mutant agent does."""
        assert cell.populations is not None
        n, m = (side.size for side in cell.populations)
        shrinking = self._shrinking[cell.mutant]
        return Draws(
            healthy=(self._healthy[:, :n] * n).astype(np.intp),
            mutant=(self._mutants[cell.mutant][:, :m] * m).astype(np.intp),
            shrunk=shrinking[:, :m] >= cell.weight,
            substitutes=(self._substitutes[cell.mutant][:, :m] * n).astype(np.intp),
            exchanged=shrinking[:, :n] < (1 - cell.weight) / 2,
        )


def score_uncertainty(kills: Kills, score: float, chosen: Sequence[int], level: float) -> ScoreUncertainty:
    """What the replicates say about a score and about the smallest set of environments.

    Args:
        kills: shape (replicates, mutants, environments).
        score: the observed one; the interval holds it.
        chosen: columns of the smallest set of environments.
        level: of the report's error control. With a level of at most 5 % a set of healthy agents has, by the law of the
            control, a score above 0 in at most 5 % of all campaigns.
    """
    killed = kills.any(axis=2)
    low, high = np.quantile(killed.mean(axis=1), [0.025, 0.975], method="inverted_cdf")
    kept = ~np.any(killed & ~kills[:, :, list(chosen)].any(axis=2), axis=1)
    return ScoreUncertainty(
        low=min(float(low), score),
        high=max(float(high), score),
        null_high=0.0 if level <= LARGEST_NULL_LEVEL else None,
        environment_shares=tuple(float(share) for share in _cover_shares(kills)),
        same_kills=float(np.mean(kept)),
        replicates=kills.shape[0],
    )


def _cover_shares(kills: Kills) -> Rewards:
    """How often each environment is in the smallest set of a replicate, shape (environments,)."""
    counts = np.zeros(kills.shape[2])
    patterns, repeats = np.unique(kills.reshape(kills.shape[0], -1), axis=0, return_counts=True)
    for pattern, number in zip(patterns.reshape(-1, *kills.shape[1:]), repeats, strict=True):
        columns = minimal_cover({int(column) for column in np.flatnonzero(row)} for row in pattern if row.any())
        counts[list(columns)] += number
    shares: Rewards = counts / kills.shape[0]
    return shares
