"""How many agents a comparison needs: power and equivalence of the margin test, simulated on healthy rewards.

Nothing is approximated by a formula: populations are drawn from a law of healthy rewards (rewards that were measured,
drawn with replacement, or a reference law), the mutant's are changed as an `Effect` says, and the test itself is run.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

from mutations.killing.margins import Margins, examine
from mutations.killing.permutation_batch import batch_p_values
from mutations.killing.sequential_looks import Looks
from mutations.killing.splits import drawn_splits
from mutations.killing.statistics import Rewards, merge_rounding

Law = Callable[[Rewards], Rewards]
"""Quantile function: uniform numbers of any shape to rewards of that shape."""

SIZES = (4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200, 300)
"""Agents per population that are tried."""

PAIRS = 250
"""Comparisons per size: a power of .8 is known to within 2.5 points (one standard error)."""

_DRAWS = 1_999
_DRAWS_IN_LOOKS = 4_999
"""The first look needs smaller p-values than the others."""


def measured(rewards: Sequence[float]) -> Law:
    """The rewards themselves, each equally often."""
    ordered = np.sort(np.asarray(rewards, dtype=np.float64))
    return lambda uniform: ordered[np.minimum((uniform * ordered.size).astype(int), ordered.size - 1)]


def spread(share: float) -> Law:
    """Normal rewards about 1 with a standard deviation of `share`."""
    return lambda uniform: 1 + share * stats.norm.ppf(uniform)


def saturated(share: float) -> Law:
    """A share of the agents earns 1, the others anything between 0 and 1."""
    return lambda uniform: np.where(uniform >= 1 - share, 1.0, uniform / (1 - share))


REFERENCE_LAWS: dict[str, Law] = {
    "normal, standard deviation 10 % of the mean": spread(0.1),
    "85 % of the agents at the best reward, the others evenly below": saturated(0.85),
}
"""Used where no healthy rewards are known. Rewards are in units of the scale."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a mutation does to its agents.

    Attributes:
        loss: of every agent, as a share of the scale.
        collapsed: share of the agents that lose the whole scale instead, each by chance.
    """

    loss: float = 0.0
    collapsed: float = 0.0

    def applied(self, rewards: Rewards, scale: float, rng: np.random.Generator) -> Rewards:
        """Rewards of mutants that would have earned `rewards` without the mutation."""
        collapses = rng.random(rewards.shape) < self.collapsed
        return np.where(collapses, rewards - scale, rewards - self.loss * scale)


@dataclass(frozen=True)
class Comparisons:
    """Simulated comparisons of a healthy law with the same law after an effect.

    Attributes:
        law: of healthy rewards.
        scale: what a good reward is, in units of reward.
        effect: of the mutation.
        seed: of the simulation; the same seed gives the same populations at every level.
        pairs: comparisons per size.
    """

    law: Law
    scale: float
    effect: Effect
    seed: int = 0
    pairs: int = PAIRS
    _known: dict[tuple[int, int, int], Rewards] = field(default_factory=dict, repr=False)

    def populations(self, n: int, m: int) -> tuple[Rewards, Rewards]:
        """Healthy and mutant rewards without rounding noise, shapes (pairs, n) and (pairs, m).

        More agents continue the same populations.
        """
        rng = np.random.default_rng(self.seed)
        most = max(n, m, SIZES[-1])
        healthy, mutant = rng.random((2, self.pairs, most))
        strange = self.effect.applied(self.law(mutant), self.scale, rng)
        pairs = zip(self.law(healthy)[:, :n], strange[:, :m], strict=True)
        first, second = zip(*(merge_rounding(*pair) for pair in pairs), strict=True)
        return np.array(first), np.array(second)

    def p_values(self, n: int, m: int, draws: int = _DRAWS) -> Rewards:
        """Of every comparison of `n` healthy agents with `m` mutants, shape (pairs,)."""
        if (n, m, draws) not in self._known:
            splits = drawn_splits(n, m, np.random.default_rng([self.seed, n, m]), draws)
            self._known[n, m, draws] = batch_p_values(*self.populations(n, m), splits)
        return self._known[n, m, draws]

    def power(self, agents: int, level: float) -> float:
        """Share of the comparisons of equal populations with a p-value of at most `level`."""
        return float(np.mean(self.p_values(agents, agents) <= level))

    def equivalent(self, agents: int, margins: Margins) -> float:
        """Share of the comparisons of equal populations in which equivalence is shown."""
        pairs = zip(*self.populations(agents, agents), strict=True)
        shown = [examine(*pair, margins, paired=False).equivalent for pair in pairs]
        return float(np.mean(shown))

    def in_looks(self, looks: Looks, level: float, healthy: int | None = None) -> tuple[float, float]:
        """Power with looks, and the mean number of mutant agents; `healthy` agents are by default the last look's."""
        beside = looks.most if healthy is None else healthy
        shown = np.array(
            [self.p_values(beside, agents, _DRAWS_IN_LOOKS) <= level * looks.share(agents) for agents in looks.agents]
        )
        killed = np.any(shown, axis=0)
        last = np.where(killed, np.argmax(shown, axis=0), len(looks.agents) - 1)
        return float(np.mean(killed)), float(np.mean(np.array(looks.agents)[last]))


def fewest(reached: Callable[[int], bool], sizes: Sequence[int] = SIZES) -> int | None:
    """The smallest of some rising sizes for which a condition holds that stays true once it is true; None: none."""
    position = bisect.bisect_left(sizes, True, key=reached)
    return sizes[position] if position < len(sizes) else None


def agents_for_kill(comparisons: Comparisons, level: float, power: float) -> int | None:
    """Agents per population with which a kill has at least this power; None where 300 are too few."""
    return fewest(lambda agents: comparisons.power(agents, level) >= power)


def agents_for_survival(comparisons: Comparisons, margins: Margins, power: float) -> int | None:
    """Agents per population with which equivalence is shown with at least this chance; None where 300 are too few."""
    least = margins.fewest_agents
    sizes = [least, *(size for size in SIZES if size > least)]
    return fewest(lambda agents: comparisons.equivalent(agents, margins) >= power, sizes)
