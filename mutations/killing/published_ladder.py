"""The decision rule that the published reward and distance tests share, in closed form.

Source: RLMutation (ICST 2023), which took it from DeepCrime (ISSTA 2021). Three steps on two samples: p from a Gaussian
linear model with a group dummy (a z test with pooled variance) as printed with three decimals, Cohen's d, and the
"power" of a one-way F test into which d is put where the formula wants Cohen's f. The ladder then says inconclusive
below power .8, killed when p < .05 and d >= .5, and survived ("Not Killed") otherwise. Because f should have been
d / 2, a *survived* verdict needs a larger effect than an inconclusive one; this is kept as published.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from mutations.killing.kill_test import Outcome
from mutations.killing.statistics import Rewards, f_test_power, pooled_deviation

SIGNIFICANT = 0.05
LARGE_ENOUGH = 0.5
POWERFUL = 0.8


@dataclass(frozen=True, slots=True)
class LadderResult:
    """What the ladder says about two samples.

    Attributes:
        z: signed test statistic, second mean minus first; None when both are constant.
        p_value: two-sided, rounded to three decimals; 0 for two different constants.
        cohens_d: absolute; None when both are constant and differ (infinite).
        power: as published, in [0, 1].
    """

    outcome: Outcome
    z: float | None
    p_value: float
    cohens_d: float | None
    power: float


IDENTICAL = LadderResult(Outcome.SURVIVED, z=0.0, p_value=1.0, cohens_d=0.0, power=SIGNIFICANT)
"""Two samples without any difference."""


def published_power(cohens_d: float, total: int) -> float:
    """Power of the one-way F test on two groups, `total` values in all, with d taken for Cohen's f."""
    return f_test_power(cohens_d**2 * total, total - 2, SIGNIFICANT)


def climb(first: Rewards, second: Rewards) -> LadderResult:
    """The published ladder on two samples that are not identical.

    Two different constants are perfectly separated: killed. (The published reward test crashes there, its distance
    test says "Killed".) Two equal constants, which differ in nothing the ladder sees, are survived.
    """
    deviation = pooled_deviation(first, second)
    difference = float(np.mean(second) - np.mean(first))
    if deviation == 0:
        if first[0] == second[0]:
            return IDENTICAL
        return LadderResult(Outcome.KILLED, None, 0.0, None, 1.0)
    cohens_d = abs(difference) / deviation
    z = difference / (deviation * math.sqrt(1 / first.size + 1 / second.size))
    p_value = round(2 * float(stats.norm.sf(abs(z))), 3)
    power = published_power(cohens_d, first.size + second.size)
    return LadderResult(_verdict(p_value, cohens_d, power), z, p_value, cohens_d, power)


def _verdict(p_value: float, cohens_d: float, power: float) -> Outcome:
    if power < POWERFUL:
        return Outcome.INCONCLUSIVE
    if p_value < SIGNIFICANT and cohens_d >= LARGE_ENOUGH:
        return Outcome.KILLED
    return Outcome.SURVIVED
