"""The margin test at one of several looks: its p-value is valid at whatever look the training of a mutant stops."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeGuard

import numpy as np

from envsearch.errors import InputError
from mutations.killing.kill_test import KillTest, KillVerdict
from mutations.killing.margin_permutation import MarginPermutation
from mutations.killing.margins import MarginEvidence, Margins, examine
from mutations.killing.permutation_law import permutation_p_value
from mutations.killing.sequential_looks import Looks
from mutations.killing.splits import Splits, drawn_splits
from mutations.killing.statistics import Rewards

REFINED_BELOW = 1e-3
REFINED_DRAWS = 49_999
"""A small p-value is drawn again, and more finely: a look that may spend 9 % of the level needs it.

The p-value stays valid: above 1e-3 it is at most a only where the first one was, below only where the second one is.
"""


def refined_p_value(
    first: Rewards, second: Rewards, rng: np.random.Generator, drawn: Splits | None = None, finer: Splits | None = None
) -> float:
    """The p-value of `permutation_p_value`, drawn again with `REFINED_DRAWS` splits where it is small.

    `drawn` and `finer` are splits to use instead of new ones, for many comparisons of these sizes.
    """
    result = permutation_p_value(first, second, rng, drawn)
    if result.exact or result.p_value > REFINED_BELOW:
        return result.p_value
    splits = finer if finer is not None else drawn_splits(first.size, second.size, rng, REFINED_DRAWS)
    return permutation_p_value(first, second, rng, splits).p_value


class MarginPermutationAtLook(MarginPermutation):
    """`MarginPermutation` for one look. `p_value` is divided by the look's share of the level (`level_share`).

    * killed: p / share is at most the level, and the mutant may lie beyond the margin.
    * survived: equivalence is shown at the level that the look may spend on it.
    * `power`: at share x level.

    Args:
        level, margins: as for `MarginPermutation`.
        share: of the level that this look may spend, in (0, 1].
        equivalence_level: of the two one-sided tests; 0 where the look does not test equivalence.
    """

    def __init__(self, level: float, margins: Margins, share: float, equivalence_level: float) -> None:
        super().__init__(level * share, margins)
        self.share = share
        self.equivalence_level = equivalence_level

    def judge_with(
        self, healthy: Rewards, mutant: Rewards, rng: np.random.Generator, drawn: Splits | None
    ) -> KillVerdict:
        """As for `MarginPermutation`."""
        verdict = super().judge_with(healthy, mutant, rng, drawn)
        if verdict.p_value is None:
            return verdict
        return replace(verdict, p_value=min(1.0, verdict.p_value / self.share), level_share=self.share)

    def _p_value(self, first: Rewards, second: Rewards, rng: np.random.Generator, drawn: Splits | None) -> float:
        return refined_p_value(first, second, rng, drawn)

    def _equivalent(self, first: Rewards, second: Rewards, evidence: MarginEvidence) -> bool:
        if not evidence.equivalent or self.equivalence_level == 0:
            return False
        return examine(first, second, self.margins, paired=False, level=self.equivalence_level).equivalent


def takes_looks(test: KillTest) -> TypeGuard[MarginPermutation]:
    """Whether a test can be judged at looks: its p-values are spent over them, and so is its level of equivalence."""
    return isinstance(test, MarginPermutation) and test.independent


def at_look(test: KillTest, looks: Looks, agents: int) -> MarginPermutationAtLook:
    """The test for a mutant whose training may stop at the look at `agents`.

    Raises:
        InputError: the test cannot be judged at looks, or there is no such look.
    """
    if not takes_looks(test):
        raise InputError(f"{test.name!r} cannot be judged at looks", "kill_tests", "margin_permutation")
    return MarginPermutationAtLook(
        test.level, test.margins, looks.share(agents), looks.equivalence_level(agents, test.margins)
    )
