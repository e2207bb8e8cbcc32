"""Power of the margin permutation test, at the level that is in force."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy import optimize, stats

from mutations.killing.margins import Margins
from mutations.killing.sign_flip import smallest_p_value
from mutations.killing.splits import smallest_split_p
from mutations.killing.statistics import Rewards, f_test_power

_POWER = 0.8
_MOST_SEEDS = 1000
_LARGEST = 1e4
_LEAST_SPREAD = 0.5


def margin_power(
    healthy: Rewards, mutant: Rewards, margin: float, margins: Margins, level: float, paired: bool
) -> float:
    """Chance that a mutant just at the margin differs visibly from healthy agents, with the spread of both populations.

    "At the margin" is: every agent is worse by the margin of the mean. Where most agents of both populations share one
    reward (they cannot be better, and nothing shifts them), it is instead: so many more agents collapse as the margin
    of the shares allows. The first is the power of the better of a t and a rank test, which the permutation of the
    smallest p-value follows within a few points; the second is exact.
    """
    n, m = healthy.size, mutant.size
    if smallest_split_p(n, m) > level:
        return 0.0
    pooled = np.concatenate((healthy, mutant))
    values, counts = np.unique(pooled, return_counts=True)
    if 2 * int(np.max(counts)) > pooled.size:
        usual = values[np.argmax(counts)]
        return collapse_power(n, m, round(float(np.mean(pooled < usual)), 3), margins.collapsed, level)
    if paired:
        spread = float(np.std(mutant - healthy, ddof=1))
        ratio = margin * math.sqrt(n) / spread if spread > margin / _LARGEST else _LARGEST
        return f_test_power(ratio**2, n - 1, level)
    by_mean = f_test_power(_mean_ratio(healthy, mutant, margin) ** 2, n + m - 2, level)
    return max(by_mean, _rank_power(healthy, mutant, margin, level))


def _mean_ratio(healthy: Rewards, mutant: Rewards, margin: float) -> float:
    """Expected difference over its standard error."""
    n, m = healthy.size, mutant.size
    squares = float(np.sum((healthy - np.mean(healthy)) ** 2) + np.sum((mutant - np.mean(mutant)) ** 2))
    error = math.sqrt(squares / (n + m - 2) * (1 / n + 1 / m))
    return margin / error if error > margin / _LARGEST else _LARGEST


def _rank_power(healthy: Rewards, mutant: Rewards, margin: float, level: float) -> float:
    """Power of the rank test, whose statistic varies less under a shift than without one where rewards are skewed.

    Sources: Noether, "Sample size determination for some common nonparametric tests", JASA 82, 1987; DeLong, DeLong and
    Clarke-Pearson, "Comparing the areas under correlated ROC curves", Biometrics 44(3), 1988 (variance by placements).
    """
    n, m = healthy.size, mutant.size
    wins, better, worse = np.mean([_placements(side, margin) for side in (healthy, mutant)], axis=0)
    null = (n + m + 1) / (12 * n * m)
    spread = min(max(math.sqrt((better / n + worse / m) / null), _LEAST_SPREAD), 1.0)
    critical = float(stats.t.isf(level / 2, n + m - 2))
    return float(stats.norm.sf((critical - (wins - 0.5) / math.sqrt(null)) / spread))


def _placements(side: Rewards, margin: float) -> tuple[float, float, float]:
    """Chance that an agent beats another that is worse by the margin, and its variances over either of the two.

    An agent and itself do not form a pair.
    """
    higher = side[:, None] - (side[None, :] - margin)
    beaten = np.where(higher > 0, 1.0, np.where(higher == 0, 0.5, 0.0))
    np.fill_diagonal(beaten, 0.0)
    others = side.size - 1
    better, worse = np.sum(beaten, axis=1) / others, np.sum(beaten, axis=0) / others
    return float(np.mean(better)), float(np.var(better)), float(np.var(worse))


@lru_cache(maxsize=1024)
def collapse_power(n: int, m: int, healthy_share: float, more: float, level: float) -> float:
    """Chance that Fisher's exact test, two-sided, sees `more` collapsed agents among m than the share among n."""
    mutant_share = min(1.0, healthy_share + more)
    first, second = np.arange(n + 1), np.arange(m + 1)
    chance = np.outer(stats.binom.pmf(first, n, healthy_share), stats.binom.pmf(second, m, mutant_share))
    power = 0.0
    for total in range(n + m + 1):
        inside = second[(second <= total) & (total - second <= n)]
        law = stats.hypergeom.pmf(inside, n + m, total, m)
        distance = np.abs(inside / m - (total - inside) / n)
        for position, collapsed in enumerate(inside):
            p_value = float(np.sum(law[distance >= distance[position] * (1 - 1e-9)]))
            if p_value <= level:
                power += float(chance[total - collapsed, collapsed])
    return min(1.0, power)


def corrected_power(power: float, n: int, m: int, level: float, stricter: float, paired: bool = False) -> float:
    """The power at a stricter level, from the power at `level`: the noncentrality is that of the same alternative."""
    smallest = smallest_p_value(n) if paired else smallest_split_p(n, m)
    return 0.0 if smallest > stricter else power_at(stricter, power, level, n - 1 if paired else n + m - 2)


def power_at(stricter: float, power: float, level: float, freedom: int) -> float:
    """The power of an F test at another level, from that at `level`, with `freedom` in the denominator."""
    if power <= level:
        return min(power, stricter)
    if f_test_power(_LARGEST, freedom, level) <= power or power >= 1 - 1e-9:
        return power

    def excess(noncentrality: float) -> float:
        return f_test_power(noncentrality, freedom, level) - power

    return f_test_power(float(optimize.brentq(excess, 0.0, _LARGEST, xtol=1e-6)), freedom, stricter)


def agents_for_kill(p_value: float, n: int, m: int, level: float) -> int | None:
    """Agents per population with which 80 % of comparisons would show the difference, if the estimate held.

    Args:
        p_value: of the comparison, before correction.
        level: in force after correction.
    """
    if p_value >= 1:
        return None
    reached, needed = float(stats.norm.isf(p_value / 2)), float(stats.norm.isf(level / 2) + stats.norm.isf(1 - _POWER))
    harmonic = 2 * n * m / (n + m) * (needed / reached) ** 2 if reached > 0 else math.inf
    if harmonic > _MOST_SEEDS:
        return None
    agents = max(math.ceil(harmonic), 2)
    while smallest_split_p(agents, agents) > level:
        agents += 1
    return agents
